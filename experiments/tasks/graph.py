"""Neighbour graphs of cells and their force-directed layout in the plane (paper, section 4.6; Fig 3 and 16)."""

import numpy as np
from sklearn.neighbors import kneighbors_graph
from sklearn.utils import gen_batches

CLOSEST = 0.01  # points nearer than this repel and attract as if they were this far apart
CELL_BLOCK = 1024


def neighbor_graph(latent, n_neighbors):
    """Return the symmetric 0/1 adjacency of the nearest-neighbour graph, CSR (n_cells, n_cells).

    Cells are joined where either is among the other's ``n_neighbors`` nearest (Euclidean, the cell not counted).
    """
    directed = kneighbors_graph(latent, min(n_neighbors, len(latent) - 1))
    return directed.maximum(directed.T).tocsr()


def spring_layout(graph, *, start, n_iterations=200, length=None, threshold=1e-4):
    """Return the layout of Fruchterman and Reingold (1991), (n_cells, 2), centred and scaled into [-1, 1].

    Every pair of cells repels with length² / distance, joined ones attract with distance² / length; the longest step
    falls linearly to zero. As ``networkx.spring_layout(method="force")``, in blocks of cells in place of one by one.

    Parameters
    ----------
    graph : sparse matrix, shape (n_cells, n_cells)
        Symmetric adjacency.
    start : array, shape (n_cells, 2)
        Where the cells are at first, for instance uniform draws from the unit square.
    n_iterations : int
        200 in the authors' code.
    length : float, optional
        By default sqrt(1 / (0.9 n_cells)), as in the authors' code.
    threshold : float
        The layout is taken for settled where the mean step is shorter.
    """
    position = np.array(start, dtype=np.float64)
    n_cells = len(position)
    length = np.sqrt(1 / (0.9 * n_cells)) if length is None else length
    edges = graph.tocoo()
    longest = 0.1 * np.ptp(position, axis=0).max()
    cooling = longest / (n_iterations + 1)
    for _ in range(n_iterations):
        force = _repulsion(position, length) - _attraction(position, edges, length)
        norm = np.maximum(np.linalg.norm(force, axis=1, keepdims=True), 0.01)
        step = force * longest / norm
        position += step
        longest -= cooling
        if np.linalg.norm(step) / n_cells < threshold:
            break
    position -= position.mean(axis=0)
    return position / np.abs(position).max()


def _repulsion(position, length):
    """Sum over all cells of length² (p_i - p_j) / distance², (n_cells, 2)."""
    squared = np.square(position).sum(axis=1)
    force = np.empty_like(position)
    for cells in gen_batches(len(position), CELL_BLOCK):
        weight = squared[cells, None] + squared - 2 * position[cells] @ position.T
        np.maximum(weight, CLOSEST**2, out=weight)
        np.divide(length**2, weight, out=weight)
        force[cells] = position[cells] * weight.sum(axis=1, keepdims=True) - weight @ position
    return force


def _attraction(position, edges, length):
    """Sum over joined cells of distance (p_i - p_j) / length, (n_cells, 2)."""
    difference = position[edges.row] - position[edges.col]
    distance = np.maximum(np.linalg.norm(difference, axis=1), CLOSEST)
    pull = difference * (edges.data * distance / length)[:, None]
    return np.stack([np.bincount(edges.row, weights=p, minlength=len(position)) for p in pull.T], axis=1)
