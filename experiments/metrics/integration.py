"""Scores of batch removal as the open benchmarks of integration have them (Luecken et al. 2022), after `scib-metrics`.

All but `isolated_f1` are equal to scib-metrics 0.5.10 to 1e-6 on the same neighbours
(tests/experiments/test_metrics_integration.py). As there, a cell is the first of its own neighbourhood where a size of
it is named; it has no weight in LISI.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2
from sklearn.metrics import silhouette_samples
from sklearn.metrics.cluster import contingency_matrix
from sklearn.neighbors import NearestNeighbors

LISI_CELLS, KBET_CELLS, GRAPH_CELLS = 90, 50, 15  # of a neighbourhood, the cell itself among them
TOLERANCE, N_STEPS = 1e-5, 50  # nats, of the search for the weights of LISI
ALPHA = 0.05  # of kBET


class Neighbours(NamedTuple):
    """The nearest other cells of every cell, the nearest first."""

    index: np.ndarray  # (n_cells, n_neighbors)
    distance: np.ndarray  # (n_cells, n_neighbors), Euclidean


def nearest(latent, n_neighbors):
    """The `Neighbours` in a latent space, searched once for all scores.

    Parameters
    ----------
    latent : array, shape (n_cells, n_latent)
    n_neighbors : int
        Without the cell itself.

    Raises
    ------
    ValueError
        A cell has fewer than ``n_neighbors`` others.
    """
    if len(latent) <= n_neighbors:
        raise ValueError(f"Batch mixing among {n_neighbors} neighbours needs more cells than {len(latent)}.")
    distance, index = NearestNeighbors(n_neighbors=n_neighbors).fit(latent).kneighbors()
    return Neighbours(index, distance)


def lisi(*, neighbours, labels):
    """Local inverse Simpson index of every cell (Korsunsky et al. 2019): how many labels its neighbourhood has.

    1 / Σ_l p_l², p_l being the weight of label l among the neighbours. The weights fall with the distance d as
    exp(−β d), with β such that their perplexity is a third of the neighbourhood: exp(entropy) = (n_neighbors + 1) // 3.
    Where more neighbours than that are the nearest, all equally far, they have equal weights (scib-metrics gives −1).

    Parameters
    ----------
    neighbours : Neighbours
        All of them are used; 89 in the open benchmark.
    labels : array, shape (n_cells,)

    Returns
    -------
    array, shape (n_cells,)
        From 1 (one label) to the number of labels.
    """
    names, code = np.unique(np.asarray(labels), return_inverse=True)
    weight = _weights(neighbours.distance, (neighbours.index.shape[1] + 1) // 3)
    of_neighbour = code[neighbours.index]
    share = np.stack([np.where(of_neighbour == label, weight, 0).sum(axis=1) for label in range(len(names))])
    return 1 / np.square(share).sum(axis=0)


def ilisi(*, neighbours, batch):
    """How many batches meet in a neighbourhood (integration LISI): (median LISI − 1) / (n_batches − 1).

    0 where every neighbourhood has one batch, 1 where all have all batches in equal parts; higher is better.
    """
    return float((np.median(lisi(neighbours=neighbours, labels=batch)) - 1) / (np.unique(batch).size - 1))


def clisi(*, neighbours, labels):
    """How few types meet in a neighbourhood (cell-type LISI): (n_labels − median LISI) / (n_labels − 1).

    1 where every neighbourhood has one type, 0 where all have all types in equal parts; higher is better.
    """
    n_labels = np.unique(labels).size
    return float((n_labels - np.median(lisi(neighbours=neighbours, labels=labels))) / (n_labels - 1))


def kbet(*, neighbours, batch):
    """Share of cells whose neighbourhood has the batches of all cells, by a χ² test (Büttner et al. 2019).

    The acceptance rate of Σ_b (observed_b − expected_b)² / expected_b at level 0.05, over neighbourhoods of 50 cells;
    from 0 to 1, higher is better. It is that over all cells: where batches differ in their types, a method that keeps
    types apart is rejected for it, so read it beside `clisi`.
    """
    names, code = np.unique(np.asarray(batch), return_inverse=True)
    members = np.column_stack([np.arange(len(code)), neighbours.index[:, : KBET_CELLS - 1]])
    observed = np.stack([(code[members] == b).sum(axis=1) for b in range(len(names))], axis=1)  # (cells, batches)
    expected = np.bincount(code) / len(code) * members.shape[1]
    statistic = (np.square(observed - expected) / expected).sum(axis=1)
    return float(np.mean(chi2.sf(statistic, len(names) - 1) >= ALPHA))


def graph_connectivity(*, neighbours, labels):
    """Share of the cells of a type that hang together in the graph of 15 neighbours, mean over types.

    The largest strongly connected component of the graph of the cells of a type alone, over their number; above 0 to
    1, higher is better.
    """
    index, labels = neighbours.index[:, : GRAPH_CELLS - 1], np.asarray(labels)
    n_cells, n_neighbors = index.shape
    edges = np.ones(index.size), index.ravel(), np.arange(0, index.size + 1, n_neighbors)
    graph = sp.csr_array(edges, shape=(n_cells, n_cells))
    largest = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        _, component = connected_components(graph[own][:, own], connection="strong")
        largest.append(np.bincount(component).max() / own.size)
    return float(np.mean(largest))


def isolated_labels(*, labels, batch):
    """The labels that are in the fewest batches; all of them where all are in as many."""
    names, of_cell = np.unique(np.asarray(labels), return_inverse=True)
    batches, of_batch = np.unique(np.asarray(batch), return_inverse=True)
    there = np.zeros((len(names), len(batches)), dtype=bool)
    there[of_cell, of_batch] = True
    n_batches = there.sum(axis=1)
    return names[n_batches == n_batches.min()]


def isolated_asw(*, latent, labels, batch):
    """Whether types that few batches have stay apart: their silhouette (s + 1) / 2, mean over the isolated labels.

    s is the mean silhouette width of the cells of an isolated label among all labels, so the score is from 0 to 1,
    higher is better.
    """
    labels = np.asarray(labels)
    width = (silhouette_samples(np.asarray(latent, dtype=np.float64), labels) + 1) / 2
    return float(np.mean([width[labels == label].mean() for label in isolated_labels(labels=labels, batch=batch)]))


def isolated_f1(*, clusters, labels, batch):
    """Whether types that few batches have are found as clusters: F1 of the best cluster, mean over the isolated labels.

    F1 = ``2 |cluster ∩ label| / (|cluster| + |label|)``, from 0 to 1, higher is better. The original (scib) takes it
    over Leiden clusters of the best resolution; here the clusters are those that are passed.
    """
    names = np.unique(np.asarray(labels))
    shared = contingency_matrix(labels, clusters)  # (labels, clusters)
    f1 = 2 * shared / (shared.sum(axis=1, keepdims=True) + shared.sum(axis=0))
    return float(f1.max(axis=1)[np.isin(names, isolated_labels(labels=labels, batch=batch))].mean())


def batch_variance(*, latent, batch):
    """Share of the variance of a latent space that the batch of a cell explains: principal component regression.

    Σ_k R²_k λ_k / Σ_k λ_k over all principal components k, R²_k being that of a regression of the component on the
    batches and λ_k its variance. As the components are a rotation, this is the sum of squares between batches over
    that of all cells. From 0 to 1, lower is better; 0 where the latent space does not vary.
    """
    latent, code = np.asarray(latent, dtype=np.float64), np.unique(np.asarray(batch), return_inverse=True)[1]
    latent = latent - latent.mean(axis=0)
    size = np.bincount(code)
    centre = np.stack([np.bincount(code, weights=x) for x in latent.T], axis=1) / size[:, None]
    total = np.square(latent).sum()
    return float((size @ np.square(centre)).sum() / total) if total > 0 else 0.0


def _weights(distance, perplexity):
    """Weights of neighbours, (n_cells, n_neighbors), that add up to one and have this perplexity; by bisection."""
    distance = distance - distance.min(axis=1, keepdims=True)  # changes no weight, and none vanishes
    low, high, beta = np.zeros(len(distance)), np.full(len(distance), np.inf), np.ones(len(distance))
    entropy, weight = _entropy(distance, beta)
    for _ in range(N_STEPS):
        gap = entropy - np.log(perplexity)
        unfinished = np.abs(gap) >= TOLERANCE
        if not unfinished.any():
            break
        low = np.where(unfinished & (gap > 0), beta, low)
        high = np.where(unfinished & (gap <= 0), beta, high)
        beta = np.where(unfinished, np.where(np.isinf(high), 2 * beta, (low + high) / 2), beta)
        entropy, weight = _entropy(distance, beta)
    return weight


def _entropy(distance, beta):
    """Entropy, (n_cells,) nats, and weights, (n_cells, n_neighbors), of exp(−β d)."""
    scaled = distance * beta[:, None]
    weight = np.exp(-scaled)
    total = weight.sum(axis=1)
    weight /= total[:, None]
    return np.log(total) + (scaled * weight).sum(axis=1), weight
