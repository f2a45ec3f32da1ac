"""ALRA: adaptively thresholded low-rank approximation (Linderman et al. 2018, 2022)."""

import numpy as np
from sklearn.utils.extmath import randomized_svd

from .shared.normalise import library_sizes, log_normalised
from .shared.transductive import Transductive

TARGET = 1e4  # what the counts of a cell are scaled to before the logarithm
N_SINGULAR, NOISE_FROM = 100, 80  # singular values that the choice of the rank looks at; those from here on are noise


class ALRA(Transductive):
    """Low-rank approximation of log-normalised counts in which the zeros of biology are to stay zeros.

    1. Counts are scaled to 10,000 a cell and taken to log(1 + x).
    2. The matrix, not centred, is approximated by its first ``rank`` singular vectors.
    3. Where a gene is not expressed its approximated values scatter about zero, about as far above as below. The most
       negative ones say how far that is: of every gene the values up to the magnitude of its quantile ``quantile`` are
       set to zero.
    4. The values that are left are scaled to the mean and standard deviation of the gene's observed positive values.
    5. What comes out negative is zero; an observed value that came out as zero is put back as it was.

    ``impute`` takes the result back to counts, (exp(y) - 1) × library size / 10,000.

    Parameters
    ----------
    rank : int or None
        None chooses it: the last singular value whose distance to the next exceeds the mean of the distances from the
        80th of 100 on by ``threshold`` of their standard deviations.
    quantile : float
        Share of a gene's values that lie below minus its threshold: 0.001.
    threshold : float
        Standard deviations that make a singular value stand out: 6.
    n_power : int
        Power iterations of the randomised decomposition that imputes: 10.
    random_state : int

    Attributes
    ----------
    rank_ : int
    singular_values_ : ndarray
        Those that the rank was chosen by; None where it was given.

    Notes
    -----
    The defaults are those of the authors' R program, and each step is as there, the quirks included: a quantile that is
    positive (a gene expressed everywhere) sets a threshold as well; a gene with fewer than two values left, or all
    equal, is not scaled. It differs in two points. The random matrix of the decomposition is another, with 2 power
    iterations for the choice of the rank as there. And matrices with fewer than 101 cells or genes, which the original
    refuses, are decomposed whole: the last fifth of the singular values is then the noise.

    References
    ----------
    Linderman, Zhao, Roulis, Bielecki, Flavell, Nadler and Kluger, Nature Communications 13:192 (2022).

    Examples
    --------
    >>> from baselines.alra import ALRA
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> mean = rng.gamma(1, 4, size=(2, 30))  # of two types
    >>> counts = rng.poisson(mean[np.arange(80) % 2]) + 1
    >>> alra = ALRA(rank=2).fit(counts)
    >>> alra.impute(counts).shape
    (80, 30)
    """

    def __init__(self, rank=None, quantile=0.001, threshold=6.0, n_power=10, random_state=0):
        self.rank = rank
        self.quantile = quantile
        self.threshold = threshold
        self.n_power = n_power
        self.random_state = random_state

    def fit(self, X, batch=None):
        """Impute the counts ``X`` (n_cells, n_genes); batch labels are not used.

        Raises
        ------
        ValueError
            The rank is no rank of the matrix, or none stands out.
        """
        if self.rank is not None and not 1 <= self.rank <= min(X.shape):
            raise ValueError(
                f"ALRA cannot give rank={self.rank} to {X.shape[0]} cells × {X.shape[1]} genes: choose 1 to "
                f"{min(X.shape)}, or null."
            )
        observed, _ = log_normalised(X, TARGET)
        self.singular_values_, self.rank_ = None, self.rank
        if self.rank is None:
            n_values = min(N_SINGULAR, *X.shape)
            _, self.singular_values_, _ = self._decompose(observed, n_values, n_power=2)
            self.rank_ = chosen_rank(self.singular_values_, self.threshold)
        left, values, right = self._decompose(observed, self.rank_, self.n_power)
        self.imputed_ = completed((left * values) @ right, observed, self.quantile)
        self._remember(X, batch)
        return self

    def impute(self, X, batch=None):
        """Return the imputed counts, (n_cells, n_genes), on the scale of ``X``: the matrix given to ``fit``."""
        counts = self._recall(X)
        return np.expm1(self.imputed_) * (library_sizes(counts) / TARGET)[:, None]

    def _decompose(self, matrix, rank, n_power):
        return randomized_svd(matrix, rank, n_iter=n_power, random_state=self.random_state)


def chosen_rank(singular_values, threshold):
    """Return the number of the last singular value that stands out from the next.

    Parameters
    ----------
    singular_values : array (n,)
        In falling order.
    threshold : float
        Standard deviations of the distances between those that are noise.

    Raises
    ------
    ValueError
        None stands out.
    """
    gaps = singular_values[:-1] - singular_values[1:]
    noise = gaps[round(NOISE_FROM / N_SINGULAR * len(singular_values)) - 2 :]  # as there, from the one before the 80th
    outstanding = np.flatnonzero(gaps - noise.mean() > threshold * noise.std(ddof=1))
    if not outstanding.size:
        raise ValueError("No singular value stands out, so that ALRA has no rank to choose: name one (rank=10).")
    return int(outstanding[-1]) + 1


def completed(approximation, observed, quantile):
    """Return the approximation with thresholds, scaled, and with the observed values that it lost, (n_cells, n_genes).

    Parameters
    ----------
    approximation : array (n_cells, n_genes)
        Of low rank.
    observed : array (n_cells, n_genes)
        Log-normalised counts, zeros where there are none.
    quantile : float
        Of the values of a gene; its magnitude is the threshold.
    """
    kept = approximation > np.abs(np.quantile(approximation, quantile, axis=0))
    (mean, sd), (mean_observed, sd_observed) = _moments(approximation, kept), _moments(observed, observed > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = sd_observed / sd
        scaled = (approximation - mean) * factor + mean_observed
    can_be_scaled = (sd > 0) & np.isfinite(sd_observed)  # False for NaN
    values = np.where(kept, np.where(can_be_scaled, scaled, approximation), 0.0)
    np.maximum(values, 0.0, out=values)
    return np.where(values == 0, observed, values)


def _moments(values, chosen):
    """Mean and standard deviation (about n - 1) of the chosen values of each column, NaN where there are too few."""
    n = chosen.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(chosen, values, 0.0).sum(axis=0) / n
        squares = (np.where(chosen, values - mean, 0.0) ** 2).sum(axis=0)
        return mean, np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
