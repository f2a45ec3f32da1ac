"""Counts divided by the size factors of their cells, the first step of most methods of single-cell analysis."""

import numpy as np


def library_sizes(X):
    """Return the number of counts of every cell, (n_cells,) float64, none of them zero in checked counts."""
    return np.asarray(X.sum(axis=1), dtype=np.float64).ravel()


def log_normalised(X, target):
    """Return log(1 + counts × target / library size), dense, and the size factors, library size / target.

    Parameters
    ----------
    X : CSR matrix (n_cells, n_genes)
        Raw counts without empty cells.
    target : float
        What every cell's counts sum to before the logarithm.

    Returns
    -------
    Y : array (n_cells, n_genes)
    size_factors : array (n_cells,)
    """
    factors = library_sizes(X) / target
    Y = X.toarray().astype(np.float64)
    Y /= factors[:, None]
    return np.log1p(Y, out=Y), factors


def check_n_latent(method, shape):
    """Raise ValueError where ``method.n_latent`` components of a matrix of ``shape`` cannot be."""
    if not 1 <= method.n_latent <= min(shape):
        raise ValueError(
            f"{type(method).__name__} cannot give n_latent={method.n_latent} components of {shape[0]} cells × "
            f"{shape[1]} genes: choose 1 to {min(shape)}."
        )
