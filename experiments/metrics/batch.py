"""The paper's score of how well batches mix in a latent space (that of silhouettes is `clustering.asw` on batches)."""

import numpy as np
from scipy.stats import entropy

N_NEIGHBORS = 50  # section 4.7


def batch_entropy(*, neighbours, batch, n_draws, rng, n_cells=100):
    """Entropy of batch mixing (paper, section 4.7), in nats: how many batches meet in a neighbourhood.

    The entropy of the batch frequencies among the nearest neighbours of a cell, the cell itself not counted, averaged
    over cells drawn with replacement. Where batches mix at random it is close to the entropy of their sizes, at most
    ln(number of batches); where every neighbourhood has one batch it is 0.

    Parameters
    ----------
    neighbours : experiments.metrics.integration.Neighbours
        Of every cell; the nearest 50 count.
    batch : array of labels, shape (n_cells,)
        Two batches in the paper; any number here.
    n_draws, n_cells : int
        The average runs over ``n_draws`` × ``n_cells`` drawn cells.
    rng : numpy.random.Generator
    """
    labels, code = np.unique(np.asarray(batch), return_inverse=True)
    share = np.eye(len(labels))[code[neighbours.index[:, :N_NEIGHBORS]]].mean(axis=1)  # (cells, batches)
    of_cell = entropy(share, axis=1)
    return float(of_cell[rng.integers(len(of_cell), size=(n_draws, n_cells))].mean())
