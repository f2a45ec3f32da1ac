"""SIMLR's estimate of the number of clusters (Wang et al. 2017, supplement; paper, Fig 3 and 15)."""

import math

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import eigsh
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches
from tqdm import tqdm

from .kernels import SIGMAS

NEAREST = range(10, 31, 2)  # neighbours that set the width of the kernels
CELL_BLOCK = 128


def estimate_n_clusters(log_counts, candidates=range(2, 21), *, verbose=False):
    """Score numbers of clusters; the best has the smallest value.

    Parameters
    ----------
    log_counts : array or sparse matrix, shape (n_cells, n_genes)
        log(1 + counts).
    candidates : iterable of int
        Numbers of clusters, at least 2; the paper tries 2 to 20.
    verbose : bool
        Show a progress bar over the cells while the kernels are computed.

    Returns
    -------
    pandas.DataFrame, index = candidates
        Columns ``K1`` and ``K2``, the two heuristics; the paper uses K1.

    Notes
    -----
    Time grows as n_cells³; memory holds about four n_cells × n_cells matrices.
    """
    candidates = np.asarray(list(candidates))
    largest = candidates.max() + 2  # eigenvalues needed: the score of c looks at c + 1, which looks at one more
    n_cells, fewest = log_counts.shape[0], max(largest, NEAREST[0] + 1) + 1
    if candidates.min() < 2 or n_cells < fewest:
        raise ValueError(
            f"Scoring {candidates.min()} to {candidates.max()} clusters on {n_cells} cells is not possible: "
            f"give candidates from 2 on, and at least {fewest} cells for the largest of these."
        )
    graph = diffuse_network(mean_kernel(log_counts, verbose=verbose))
    quality = separation(graph, largest)
    at = {shift: quality[candidates + shift - 1] for shift in (-1, 0, 1)}
    K1 = 2 * at[0] - at[1] - at[-1]
    index = pd.Index(candidates, name="n_clusters")
    return pd.DataFrame({"K1": K1, "K2": K1 * (candidates + 1) / candidates}, index=index)


def mean_kernel(log_counts, *, verbose=False):
    """Return the mean of the normalised kernels between all cells, shifted to begin at 0, (n_cells, n_cells).

    A normalised kernel w_ij / sqrt(w_ii w_jj) of width sigma (T_i + T_j) / 2 in the squared distance is
    sqrt(T_i T_j) / T_ij exp(-(d²_ij / sigma T_ij)² / 2), T_ij the mean of the two.
    """
    squared = euclidean_distances(log_counts, squared=True)  # becomes the kernel, block by block
    n_cells = squared.shape[0]
    nearest = [q for q in NEAREST if q < n_cells - 1]
    n_sorted = max(nearest) + 1  # the first is the cell itself
    closest = np.sort(np.partition(squared, n_sorted - 1, axis=1)[:, :n_sorted], axis=1)[:, 1:]
    radius = np.stack([closest[:, :q].mean(axis=1) for q in nearest]) + np.finfo(float).eps  # (n_q, n_cells)
    with tqdm(total=n_cells, desc="SIMLR kernels", unit="cell", disable=not verbose) as progress:
        for cells in gen_batches(n_cells, CELL_BLOCK):
            total = np.zeros_like(squared[cells])
            for width in radius:
                own, mean = width[cells, None], (width[cells, None] + width) / 2
                exponent = -0.5 * (squared[cells] / mean) ** 2
                total += np.sqrt(own * width) / mean * sum(np.exp(exponent / sigma**2) for sigma in SIGMAS)
            squared[cells] = total / (len(nearest) * SIGMAS.size)
            progress.update(total.shape[0])
    squared -= squared.min()
    return squared


def diffuse_network(affinity):
    """Return ``affinity`` (n_cells, n_cells), which is overwritten, spread along its strongest edges.

    The walk P on each cell's strongest max(n / 20, 10) edges is diffused to 0.2 P (I - 0.8 P²)⁻¹, which the original
    computes from all eigenvectors of P.
    """
    n_cells = affinity.shape[0]
    n_kept = min(max(math.ceil(n_cells / 20), 10), n_cells - 1)
    diagonal = np.diag_indices(n_cells)
    walk = affinity
    walk[diagonal] = 0.0
    for cells in gen_batches(n_cells, CELL_BLOCK):
        weak = np.argpartition(-walk[cells], n_kept, axis=1)[:, n_kept:]
        np.put_along_axis(walk[cells], weak, 0.0, axis=1)
    walk += walk.T
    walk /= 2
    walk[diagonal] = walk.sum(axis=1) + 1
    walk /= walk.sum(axis=0)[:, None]
    walk /= np.sqrt(walk.sum(axis=0))
    walk = walk @ walk.T
    left = walk @ walk
    left *= -0.8
    left[diagonal] += 1
    walk *= 0.2
    # Both are symmetric: their transposes are the same in the order that LAPACK works in, hence without a copy.
    diffused = cho_solve(cho_factor(left.T, overwrite_a=True), walk.T, overwrite_b=True)
    diffused /= 1 - diffused.diagonal()[:, None]
    diffused[diagonal] = 0.0
    diffused += diffused.T
    diffused /= 2
    return np.maximum(diffused, 0.0, out=diffused)


def separation(graph, n_eigenvalues):
    """Return how well ``graph`` falls into c = 1, 2, ... clusters, (n_eigenvalues - 1,); position 0 is one cluster.

    Per cell, the squared coordinates in the first c eigenvectors of the normalised Laplacian, relative to the largest
    of them, add up to 1 where a single eigenvector claims the cell; the sum over cells is scaled by the ratio of
    eigenvalues across the gap.
    """
    degree = graph.sum(axis=1)
    root = np.sqrt(np.where(degree > 0, degree, 1.0))
    affinity = graph / root[:, None] / root  # 1 - Laplacian
    np.fill_diagonal(affinity, degree == 0)  # a cell without edges is a component of its own
    start = np.random.default_rng(0).uniform(size=graph.shape[0])  # the answer does not depend on it
    values, vectors = eigsh(affinity, k=n_eigenvalues, which="LA", v0=start)
    values, vectors = values[::-1], vectors[:, ::-1]
    quality = [float(graph.shape[0])]
    for c in range(2, n_eigenvalues):
        share = -np.sort(-(vectors[:, :c] ** 2), axis=1)
        share /= np.maximum(share[:, :1], np.finfo(float).tiny)
        quality.append(values[c] / values[c - 1] * share[:, : max(2, c - 1)].sum())
    return np.array(quality)
