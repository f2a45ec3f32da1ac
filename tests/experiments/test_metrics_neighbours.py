"""Agreement of neighbour graphs, against dense matrices, scipy and sets."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from experiments.metrics.neighbours import fold_enrichment, graph_spearman, neighbour_graph


def dense(graph):
    adjacency = np.zeros((len(graph), len(graph)), dtype=int)
    np.put_along_axis(adjacency, graph, 1, axis=1)
    return adjacency


@pytest.fixture(scope="module")
def graphs():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 3))
    return neighbour_graph(points, 7), neighbour_graph(points + 0.7 * rng.normal(size=points.shape), 12)


def test_neighbours_are_the_nearest_others():
    points = np.random.default_rng(1).normal(size=(40, 5))
    points[7] = points[3]  # a twin is a neighbour, the cell itself is not
    distance = cdist(points, points)
    np.fill_diagonal(distance, np.inf)
    found = neighbour_graph(points, 6)
    nearest = np.take_along_axis(distance, found, axis=1)  # distances, for the twins tie
    np.testing.assert_allclose(np.sort(nearest, axis=1), np.sort(distance, axis=1)[:, :6])
    assert all(len(set(row)) == 6 for row in found)
    assert 3 in found[7]
    assert 7 not in found[7]
    with pytest.raises(ValueError, match="more than 40 cells, not 40"):
        neighbour_graph(points, 40)


def test_spearman_is_that_of_the_flattened_matrices(graphs):
    first, second = graphs
    expected = spearmanr(dense(first).ravel(), dense(second).ravel()).statistic
    assert graph_spearman(first=first, second=second) == pytest.approx(expected, abs=1e-12)
    assert 0.1 < expected < 0.9


def test_fold_enrichment_counts_sets_of_edges(graphs):
    first, second = graphs
    a, b = ({(i, j) for i, row in enumerate(graph) for j in row} for graph in graphs)
    expected = len(a & b) * 60**2 / (len(a) * len(b))
    assert fold_enrichment(first=first, second=second) == pytest.approx(expected, rel=1e-12)
    assert fold_enrichment(first=second, second=first) == pytest.approx(expected, rel=1e-12)


def test_the_same_graph_and_an_unrelated_one():
    rng = np.random.default_rng(2)
    one, other = (neighbour_graph(rng.normal(size=(500, 4)), 20) for _ in range(2))
    assert graph_spearman(first=one, second=one) == pytest.approx(1)
    assert fold_enrichment(first=one, second=one) == pytest.approx(500 / 20)
    assert abs(graph_spearman(first=one, second=other)) < 0.02
    assert fold_enrichment(first=one, second=other) == pytest.approx(1, abs=0.2)
