"""How a cost grows with the size of the data."""

import numpy as np
from scipy.stats import linregress, t

CONFIDENCE = 0.95
FEWEST = 4  # sizes


def growth_exponent(*, sizes, costs):
    """Slope of log cost against log size by least squares, and its interval: cost ~ size ** slope.

    Parameters
    ----------
    sizes, costs : arrays, shape (n,)
        Positive numbers.

    Returns
    -------
    slope, low, high : float
        The interval is Student's with n - 2 degrees of freedom. All NaN below four sizes, of which an exponent would
        say nothing.
    """
    x, y = np.log(np.asarray(sizes, dtype=float)), np.log(np.asarray(costs, dtype=float))
    if len(np.unique(x)) < FEWEST:
        return np.nan, np.nan, np.nan
    fit = linregress(x, y)
    half = t.ppf((1 + CONFIDENCE) / 2, len(x) - 2) * fit.stderr
    return float(fit.slope), float(fit.slope - half), float(fit.slope + half)
