"""Fewer genes, by the spread of their raw counts as every dataset of the paper needs it, or fewer cells, at random."""

from numbers import Integral

import numpy as np
import scipy.sparse as sp

from ..base import InvalidDataset, check_dataset


def top_genes(X, n_genes):
    """Columns of the ``n_genes`` genes with the highest standard deviation of raw counts, highest first.

    Computed in exact integers over all cells, so the order does not depend on the machine; genes of equal spread
    keep the order of the file. (The authors select before they split; protocol.md §5, 22.)

    Parameters
    ----------
    X : sparse matrix of integers, shape (n_cells, n_genes_in_file)
    n_genes : int or None
        None keeps every gene in the order of the file.

    Returns
    -------
    ndarray of int, shape (n_genes,)
    """
    if n_genes is None:
        return np.arange(X.shape[1])
    if not (isinstance(n_genes, Integral) and 1 <= n_genes <= X.shape[1]):
        raise InvalidDataset(
            f"n_genes={n_genes} is asked for and the data have {X.shape[1]} genes: choose between 1 and that number."
        )
    total, squares = moments(X)
    return rank_by_variance(X.shape[0], total, squares)[:n_genes]


def moments(X):
    """Sum and sum of squares of every column of a sparse integer matrix, exact (int64)."""
    X = X.tocoo()
    columns = X.shape[1]
    values = X.data.astype(np.int64)
    total, squares = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    np.add.at(total, X.col, values)
    np.add.at(squares, X.col, values * values)
    return total, squares


def rank_by_variance(n_cells, total, squares):
    """Columns in decreasing order of variance, given exact sums; ties in the order of the file."""
    # n² · variance as Python integers: it passes 2⁶³ on a million cells.
    scaled = np.array([n_cells * int(q) - int(t) ** 2 for t, q in zip(total, squares, strict=True)], dtype=object)
    return np.argsort(-scaled, kind="stable")


def subsample(adata, n_cells, random_state=0):
    """At most ``n_cells`` cells drawn at random, in their order; says so in ``uns["source"]``.

    The types that are left are a subset, and so are the genes with counts: no gene is removed.
    """
    if adata.n_obs <= n_cells:
        return adata
    chosen = np.sort(np.random.default_rng(random_state).choice(adata.n_obs, n_cells, replace=False))
    smaller = adata[chosen].copy()
    smaller.X = sp.csr_matrix(smaller.X)
    for key in smaller.obs.select_dtypes("category"):
        smaller.obs[key] = smaller.obs[key].cat.remove_unused_categories()
    source = dict(smaller.uns["source"])
    source["steps"] = [*source["steps"], f"drew {n_cells} of {adata.n_obs} cells"]
    smaller.uns["source"] = source
    return check_dataset(smaller)
