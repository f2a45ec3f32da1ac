"""Technical variability: correlations with quality metrics, and where zeros come from (paper, section 2.8)."""

import numpy as np
from scipy.special import betainc, betaln, gammaln, hyp2f1

SMALLEST = np.finfo(float).smallest_subnormal


def signed_log10_p(*, x, y, n=None):
    """Sign of the correlation of x and y times -log10 of its two-sided p value (Fig 6c, d).

    The logarithm is that of the exact p = I(1 - r^2; (n - 2) / 2, 1/2), finite where p itself is below the smallest
    double. NaN where x or y does not vary.

    Parameters
    ----------
    n : int, optional
        Number of cells that p is computed for, if not that of x.
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (x, y))
    if np.ptp(x) == 0 or np.ptp(y) == 0:  # what is left of equal values after their mean is rounding
        return np.nan
    x, y = x - x.mean(), y - y.mean()
    size = np.linalg.norm(x) * np.linalg.norm(y)
    r = float(np.clip(x @ y / size, -1, 1))
    a, rest = ((n or len(x)) - 2) / 2, (1 - r) * (1 + r)
    p = betainc(a, 0.5, rest)
    if p > 1e-280:
        log_p = np.log(p)
    elif rest > 0:
        log_p = a * np.log(rest) + 0.5 * np.log1p(-rest) - np.log(a) - betaln(a, 0.5)
        log_p += np.log(hyp2f1(a + 0.5, 1, a + 1, rest))
    else:
        log_p = -np.inf
    return float(-np.sign(r) * log_p / np.log(10))


def underflows(*, score):
    """Whether the p value behind ``signed_log10_p`` is zero in double precision."""
    return np.abs(score) > -np.log10(SMALLEST)


def nb_share(*, nb, bernoulli):
    """Probability that a zero would be one without dropout, given that it is zero (Fig 13a), entry by entry."""
    nb, bernoulli = np.asarray(nb, dtype=np.float64), np.asarray(bernoulli, dtype=np.float64)
    return nb / (nb + bernoulli - nb * bernoulli)


def hypergeometric_zero(*, frequency, n_drawn, n_in_cell):
    """Probability of none among ``n_drawn`` molecules drawn without replacement from ``n_in_cell`` (Fig 6b).

    ``frequency`` is the share of the gene in the cell; its number of molecules need not be whole.
    """
    others = n_in_cell * (1 - np.asarray(frequency, dtype=np.float64))
    left = others - n_drawn
    safe = np.maximum(left, 0)
    log_p = gammaln(others + 1) - gammaln(safe + 1) - gammaln(n_in_cell + 1) + gammaln(n_in_cell - n_drawn + 1)
    return np.where(left < 0, 0.0, np.exp(log_p))


def binomial_zero(*, frequency, n_drawn):
    """Probability of none among ``n_drawn`` molecules drawn with replacement (Fig 6b)."""
    return np.exp(n_drawn * np.log1p(-np.asarray(frequency, dtype=np.float64)))


def mean_gap(*, observed, expected):
    """Mean absolute difference of two shares."""
    return float(np.mean(np.abs(np.asarray(observed) - np.asarray(expected))))
