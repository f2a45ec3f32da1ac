"""Scores of imputed counts against molecules that were kept back (molecular cross-validation, Batson et al. 2019)."""

import numpy as np
from scipy.stats import poisson

TARGET_SUM = 1e4  # counts that every cell is scaled to, as in the open benchmark of denoising
SMALLEST_RATE = 1e-6  # counts


def log_normalised(counts):
    """log(1 + 10,000 counts / their sum over the cell), (n_cells, n_genes).

    What is below zero counts as zero; a cell without counts stays at zero.
    """
    counts = np.maximum(np.asarray(counts, dtype=np.float64), 0)
    total = counts.sum(axis=1, keepdims=True)
    return np.log1p(TARGET_SUM * counts / np.where(total > 0, total, 1))


def log_normalised_mse(*, observed, expected):
    """Mean squared error of log-normalised counts, over genes and the cells with counts in ``observed``; 0 at best.

    The score of the open benchmark of denoising (Luecken et al. 2025): mean of (f(expected) − f(observed))², f being
    `log_normalised`. Scaling a cell as a whole changes nothing. It is no proper score: the logarithm of a mean is not
    the mean of the logarithms, so where most observed counts are zero an answer with as many zeros can come out ahead
    of the true rates.

    Parameters
    ----------
    observed, expected : arrays, shape (n_cells, n_genes)
        Counts kept back, and what a method expects of them.

    Raises
    ------
    ValueError
        No cell has counts.
    """
    observed = np.asarray(observed)
    there = observed.sum(axis=1) > 0
    if not there.any():
        raise ValueError("No cell has counts among the molecules kept back: keep more of them back.")
    error = log_normalised(np.asarray(expected)[there]) - log_normalised(observed[there])
    return float(np.mean(error**2))


def poisson_loss(*, observed, expected):
    """Mean over entries of −log P(observed count), Poisson of mean ``expected``, in nats; lower is better.

    A proper score: its expectation is least for the true rates, whatever the depth. A mean below 1e-6 is taken as
    1e-6, so that a count where none was expected costs about 14 nats and not infinitely many. The loss of the open
    benchmark (Batson et al. 2019) adds 1e-6 in the logarithm and lacks log(observed!), the same for all methods.

    Parameters
    ----------
    observed, expected : arrays, shape (n_cells, n_genes)
        Counts kept back, and what a method expects of them.
    """
    rate = np.maximum(np.asarray(expected, dtype=np.float64), SMALLEST_RATE)
    return float(-np.mean(poisson.logpmf(np.asarray(observed), rate)))
