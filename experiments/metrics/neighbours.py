"""How far two neighbour graphs of the same cells agree (paper, section 4.7, "Protein abundance / mRNA expression").

A graph is an array (n_cells, n_neighbors) of the rows of each cell's nearest neighbours: directed edges. Both scores
are over all n_cells² ordered pairs, those of a cell with itself included, as the authors' code counts them.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.neighbors import NearestNeighbors


def neighbour_graph(points, n_neighbors):
    """The nearest neighbours of every point, itself left out: (n_points, n_neighbors) rows, Euclidean.

    Raises
    ------
    ValueError
        There are not more points than neighbours.
    """
    if len(points) <= n_neighbors:
        raise ValueError(f"A graph of {n_neighbors} neighbours needs more than {n_neighbors} cells, not {len(points)}.")
    search = NearestNeighbors(n_neighbors=n_neighbors).fit(np.asarray(points, dtype=np.float64))
    return search.kneighbors(return_distance=False)


def graph_spearman(*, first, second):
    """Spearman correlation of the two flattened 0/1 adjacency matrices.

    The rank of an entry is an increasing linear function of its value where there are only two values, so this is
    Pearson's correlation of the indicators, which needs the sizes of the edge sets alone and no n × n matrix.
    """
    shared, one, other, pairs = _sizes(first, second)
    return (shared * pairs - one * other) / np.sqrt(one * (pairs - one) * other * (pairs - other))


def fold_enrichment(*, first, second):
    """Shared edges over those expected by chance: ``|A ∩ B| |C| / (|A| |B|)``, C being all pairs."""
    shared, one, other, pairs = _sizes(first, second)
    return shared * pairs / (one * other)


def _sizes(first, second):
    """|A ∩ B|, |A|, |B| and |C|, as floats."""
    shared = _adjacency(first).multiply(_adjacency(second)).nnz
    return float(shared), float(np.size(first)), float(np.size(second)), float(len(first)) ** 2


def _adjacency(graph):
    n, k = np.shape(graph)
    return sp.csr_array((np.ones(n * k, dtype=bool), np.ravel(graph), np.arange(0, n * k + 1, k)), shape=(n, n))
