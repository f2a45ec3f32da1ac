"""Scores of how well batches mix in a latent space. (The silhouette of batches is `clustering.asw` on batch labels.)"""

import numpy as np
from scipy.stats import entropy
from sklearn.neighbors import NearestNeighbors

N_NEIGHBORS = 50  # section 4.7


def batch_entropy(*, latent, batch, n_draws, rng, n_cells=100, n_neighbors=N_NEIGHBORS):
    """Entropy of batch mixing (paper, section 4.7), in nats: how many batches meet in a neighbourhood.

    The entropy of the batch frequencies among the nearest neighbours of a cell, the cell itself not counted, averaged
    over cells drawn with replacement. Where batches mix at random it is close to the entropy of their sizes, at most
    ln(number of batches); where every neighbourhood has one batch it is 0.

    Parameters
    ----------
    latent : array, shape (n_cells, n_latent)
        Neighbours are Euclidean.
    batch : array of labels, shape (n_cells,)
        Two batches in the paper; any number here.
    n_draws, n_cells : int
        The average runs over ``n_draws`` × ``n_cells`` drawn cells.
    rng : numpy.random.Generator
    n_neighbors : int

    Raises
    ------
    ValueError
        A cell has fewer than ``n_neighbors`` others.
    """
    labels, code = np.unique(np.asarray(batch), return_inverse=True)
    if len(latent) <= n_neighbors:
        raise ValueError(f"Batch mixing among {n_neighbors} neighbours needs more cells than {len(latent)}.")
    neighbor = NearestNeighbors(n_neighbors=n_neighbors).fit(latent).kneighbors(return_distance=False)
    share = np.eye(len(labels))[code[neighbor]].mean(axis=1)  # (cells, batches)
    of_cell = entropy(share, axis=1)
    return float(of_cell[rng.integers(len(of_cell), size=(n_draws, n_cells))].mean())
