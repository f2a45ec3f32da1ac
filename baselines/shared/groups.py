"""What every comparison of two groups of cells checks first."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from scvi_core.data.counts import InvalidCounts

from ..base import check_batch, check_counts


class ComparedCells(NamedTuple):
    """The cells of both groups, in the order of the data.

    ``counts`` (n_compared, n_genes), ``in_a`` (n_compared,) True for group a, ``batch`` (n_compared,) labels or None
    where all are alike.
    """

    counts: sp.csr_matrix
    in_a: np.ndarray
    batch: np.ndarray | None


def compared_cells(X, group_a, group_b, batch=None, *, allow_empty_cells=False):
    """Return the cells of two groups, or say in one sentence why they cannot be compared.

    Parameters
    ----------
    X : array or sparse matrix, shape (n_cells, n_genes)
        Raw counts.
    group_a, group_b : boolean arrays, shape (n_cells,)
        Disjoint masks.
    batch : sequence, shape (n_cells,), optional
    allow_empty_cells : bool
        Accept compared cells without a single count.

    Raises
    ------
    InvalidCounts
        ``X`` is not a matrix of raw counts, or a compared cell is empty.
    ValueError
        The masks do not fit, or the batches determine the group.
    """
    X = check_counts(X, allow_empty_cells=True)
    a, b = np.asarray(group_a), np.asarray(group_b)
    for name, mask in (("group_a", a), ("group_b", b)):
        if mask.dtype != bool or mask.shape != X.shape[:1]:
            raise ValueError(f"{name} has shape {mask.shape} and dtype {mask.dtype}: pass a boolean mask over cells.")
        if not mask.any():
            raise ValueError(f"{name} is empty: select at least one cell.")
    if (a & b).any():
        raise ValueError(f"The cell in row {int(np.flatnonzero(a & b)[0])} is in both groups: make them disjoint.")
    used = a | b
    empty = np.flatnonzero(used & (np.diff(X.indptr) == 0))
    if empty.size and not allow_empty_cells:
        raise InvalidCounts(f"No gene is counted in the compared cell in row {empty[0]}: take it out of its group.")
    counts, in_a, labels = X[used], a[used], check_batch(batch, X.shape[0])[used]
    present = np.unique(labels)
    if len(present) == 1:
        return ComparedCells(counts, in_a, None)
    if not any(0 < in_a[labels == label].mean() < 1 for label in present):
        raise ValueError("The batches determine the group, so their effects cannot be told apart: pass batch=None.")
    return ComparedCells(counts, in_a, labels)


def scores(pvalue):
    """Return -log(p) of p-values, finite where p underflows and NaN where there is none; (n_genes,)."""
    return -np.log(np.maximum(pvalue, np.nextafter(0, 1)))
