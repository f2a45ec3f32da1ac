"""How sure a mean over seeds is: its 95% interval, and the evidence that it lies above a bound.

Both speak of one data set: what would vary if the split, the corruption and the training were drawn again. They say
nothing of other data.

Of normal values Student's t is exact. Scores of a few seeds are often skewed, and t then misses on the side of the long
tail: of three to ten values of an exponential law it holds the mean in 88 to 90% of all cases. So the end on the side
of the tail is drawn out by the third moment of the values (Willink 2005, Communications in Statistics: Theory and
Methods 34, 753), and the other one stays. That holds the mean in 93 to 97% of all cases for three, five and ten values
of normal laws and of laws with a skewness up to about 1.8, at the price of intervals half as wide again. Nothing
can be guaranteed of three values of a law with a rare, large tail, or with two far modes: most samples do not show it.

Values that repeat (a number of clusters, the share of genes called) are not near normal in any sense: there the
evidence is the exact test over all signs of the distances from the bound, which five values decide at the earliest.
"""

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
LEVEL = 1 - CONFIDENCE
MOST_SIGNS = 16  # values whose signs are enumerated


def interval(values):
    """95% interval of the mean of each row of values.

    Parameters
    ----------
    values : array_like, shape (..., n_seeds)

    Returns
    -------
    low, high : float or numpy.ndarray of shape (...)
        NaN below two values. Of equal values twice that value: seeds do not move it.
    """
    values = np.asarray(values, dtype=float)
    if values.shape[-1] < 2:
        return np.nan, np.nan
    mean, error, a = _moments(values)
    t = stats.t.ppf((1 + CONFIDENCE) / 2, values.shape[-1] - 1)
    return mean - error * np.maximum(t, _drawn_out(t, a)), mean + error * np.maximum(t, -_drawn_out(-t, a))


def p_above(values, bound=0.0):
    """p of "the mean is not above the bound"; at most `LEVEL` where the interval lies above it.

    Parameters
    ----------
    values : array_like, shape (n_seeds,)
    bound : float

    Returns
    -------
    float
        Two-sided, as the interval is; of values that repeat that of the exact test, which needs no such reserve and is
        one-sided. 1 below two values.
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return 1.0
    if repeat(values) and values.size <= MOST_SIGNS:
        return _p_of_signs(values - bound)
    mean, error, a = _moments(values)
    if error == 0:
        return float(mean <= bound)
    t = (mean - bound) / error
    t = min(t, a + t + 2 * a * t**2 + 4 / 3 * a**2 * t**3)  # the inverse of _drawn_out
    return float(min(1.0, 2 * stats.t.sf(t, values.size - 1)))


def repeat(values):
    """Whether a value comes twice: a law with a density gives no two alike."""
    values = np.asarray(values, dtype=float)
    scale = np.abs(values).max()
    return np.unique(np.round(values / (scale or 1.0), 10)).size < values.size


def holm(p_values):
    """p-values of several comparisons, adjusted: the chance that any of them is wrong is at most the level (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, which in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[which]))
        adjusted[which] = worst
    return adjusted


def _moments(values):
    """Mean, its standard error and Willink's coefficient of asymmetry, a sixth of the skewness of the mean."""
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    error = np.where(np.ptp(values, axis=-1) == 0, 0.0, values.std(axis=-1, ddof=1) / np.sqrt(n))
    if n < 3:
        return mean, error, np.zeros_like(mean)
    third = n / ((n - 1) * (n - 2)) * ((values - mean[..., None]) ** 3).sum(axis=-1)
    spread = np.where(error == 0, 1.0, error * np.sqrt(n))
    return mean, error, np.where(error == 0, 0.0, third / (6 * np.sqrt(n) * spread**3))


def _drawn_out(t, a):
    """Quantile of the mean's distance from the truth, in standard errors, where t is Student's (Willink, eq. 9)."""
    small = np.abs(a) < 1e-9
    a = np.where(small, 1.0, a)
    return np.where(small, t, (np.cbrt(1 + 6 * a * (t - a)) - 1) / (2 * a))


def _p_of_signs(distances):
    """Share of all choices of signs whose sum is at least that of the distances."""
    signs = 1 - 2 * ((np.arange(2**distances.size)[:, None] >> np.arange(distances.size)) & 1)
    sums = signs @ distances
    return float(np.mean(sums >= distances.sum() - 1e-9 * np.abs(distances).sum()))
