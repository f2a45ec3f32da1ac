"""Known differences between cells of one type, made by thinning real counts (after Gerard 2020)."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

CHANGED = 0.1  # of the genes; they are drawn from the upper half by mean count in the type
KEPT = 0.5  # of the molecules of a thinned gene


class Thinned(NamedTuple):
    """Counts in which two halves of one type differ, and where they do."""

    X: sp.csr_matrix  # (n_cells, n_genes), all cells; some may be empty now
    halves: list  # two arrays of rows of X
    changed: np.ndarray  # (n_genes,) bool, genes that differ between the halves


def halve(cells, rng):
    """Two disjoint random halves of an array of rows; one row is left out where their number is odd."""
    return np.split(rng.permutation(cells)[: len(cells) // 2 * 2], 2)


def thin(X, cells, rng):
    """Thin a tenth of the genes in one of two random halves of ``cells``; all else stays as it is.

    Of every two genes of nearly the same mean one is thinned in the first half and one in the other, so that no half
    loses more molecules than the other. A count n becomes a draw from Bin(n, 0.5): a twofold change that leaves it
    as noisy as counts of that size are. Genes that are not thinned do not differ: the halves are random.

    Parameters
    ----------
    X : CSR matrix, shape (n_cells, n_genes)
        Counts; not modified.
    cells : array of int
        Rows of ``X``, the cells of one type.
    rng : numpy.random.Generator

    Returns
    -------
    Thinned
    """
    halves = halve(cells, rng)
    mean = np.asarray(X[cells].mean(axis=0)).ravel()
    often = np.argsort(mean)[len(mean) // 2 :]
    n_pairs = max(round(CHANGED * len(mean) / 2), 1)
    chosen = np.sort(rng.choice(len(often), 2 * n_pairs, replace=False))  # by their mean
    pairs = rng.permuted(often[chosen].reshape(n_pairs, 2), axis=1)
    half_of = np.full(X.shape[0], -1)
    thinned_in = np.full(X.shape[1], -2)
    for side in (0, 1):
        half_of[halves[side]] = side
        thinned_in[pairs[:, side]] = side
    result = X.copy()
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    there = half_of[row] == thinned_in[X.indices]
    result.data[there] = rng.binomial(X.data[there], KEPT)
    result.eliminate_zeros()
    return Thinned(result, halves, thinned_in >= 0)
