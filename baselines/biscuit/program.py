"""The scalings of a cell as the authors' program draws them, and what its map that imputes adds to a count.

Its sampler divides what the data say of the scaling of a cell by d^2, so that draws fall about the prior, and puts what
is outside the range of the start back to its ends: the variance scaling is a little below one in every cell, the mean
scaling mostly about the lower end of its start, whatever the data. The formulas are those of
BISCUIT_IMM_Gibbs_MCMC_parallel.R and BISCUIT_parallel_impute.R (sandhya212/BISCUIT_SingleCell_IMM_ICML_2016).
"""

import numpy as np

FLOOR = 0.1  # added to a count before the logarithm of the map


def start_scalings(x):
    """The mean scalings with which the program begins, (n_cells,): sums of exp(centred, normalised x), about one.

    They are over the smaller of the median and the mode of the sums; the mode of values that are all different is, to
    the program, the first.
    """
    centred = x - x.mean(axis=0)
    largest = np.linalg.norm(centred, axis=1).max()
    sums = np.exp(centred / (largest if largest > 0 else 1.0)).sum(axis=1)
    _, first, times = np.unique(sums, return_index=True, return_counts=True)
    mode = sums[first[times == times.max()].min()]
    return sums / min(np.median(sums), mode)


def draw_scalings(rng, x, z, moments):
    """Draw the scalings of the mean and of the variance of every cell, two arrays (n_cells,).

    Parameters
    ----------
    rng : numpy.random.Generator
    x : array, shape (n_cells, d)
        Log expression of a block.
    z : array of int, shape (n_cells,)
    moments : list of baselines.biscuit.gibbs.Moments
        Of the clusters.
    """
    n, d = x.shape
    start = start_scalings(x)
    low, high = start.min(), start.max()

    shape = 1 + d / 2
    beta = 1 - 1 / (shape * rng.gamma(shape, size=n))  # below one it goes to above one, and from there to below

    variances = np.array([np.diag(np.linalg.inv(m.root.T @ m.root)) for m in moments])  # (clusters, d)
    means = np.array([m.mean for m in moments])
    inverse_sd = 1 / np.sqrt(beta[:, None] * variances[z])  # (n, d)
    spread = max(1000 * start.var(ddof=1), 1e-12)  # all cells are alike: the start is where alpha stays
    width = np.abs(1 / (inverse_sd.mean(axis=1) * means[z].mean(axis=1) + 1 / spread))
    centre = np.abs(width * (inverse_sd[:, 0] * x[:, 0] / d**2 + start.mean() / spread))
    alpha = rng.normal(centre, width)
    alpha = np.where(alpha < low, low + rng.normal(0, 0.1, n), alpha)
    alpha = np.where(alpha > high, high - rng.normal(0, 0.1, n), alpha)
    return alpha, beta
