"""Counts divided by the size factors of their cells, the first step of most methods of single-cell analysis."""

import numpy as np


def library_sizes(X):
    """Return the number of counts of every cell, (n_cells,) float64, none of them zero in checked counts."""
    return np.asarray(X.sum(axis=1), dtype=np.float64).ravel()


def log_normalised(X, target=None):
    """Return log(1 + counts × target / library size), dense, and the size factors, library size / target.

    Parameters
    ----------
    X : CSR matrix (n_cells, n_genes)
        Raw counts without empty cells.
    target : float, optional
        What every cell's counts sum to before the logarithm; None is the median library size.

    Returns
    -------
    Y : array (n_cells, n_genes)
    size_factors : array (n_cells,)
    """
    factors = library_sizes(X)
    factors /= np.median(factors) if target is None else target
    Y = X.toarray().astype(np.float64)
    Y /= factors[:, None]
    return np.log1p(Y, out=Y), factors


def check_target(target):
    """Raise ValueError where ``target`` is given and not positive."""
    if target is not None and not target > 0:
        raise ValueError(f"target={target}: choose a positive number of counts, or null for the median.")


def check_n_latent(method, shape):
    """Raise ValueError where ``method.n_latent`` components of a matrix of ``shape`` cannot be."""
    if not 1 <= method.n_latent <= min(shape):
        raise ValueError(
            f"{type(method).__name__} cannot give n_latent={method.n_latent} components of {shape[0]} cells × "
            f"{shape[1]} genes: choose 1 to {min(shape)}."
        )
