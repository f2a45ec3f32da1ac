"""Scores of structure against scikit-learn, networkx and cases whose answer is known."""

import networkx as nx
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsRegressor

from experiments.metrics.structure import cluster_excess, coordinate_r2, graph_components, kmeans_asw
from experiments.tasks.graph import neighbor_graph, spring_layout


@pytest.fixture(scope="module")
def cloud():
    return np.random.default_rng(0).normal(size=(300, 4)) * [3.0, 1.0, 0.5, 0.1]


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(1)
    return rng.normal(size=(300, 4)) + 12 * np.eye(4)[np.arange(300) % 3]


def test_kmeans_asw_is_scikit_learns(groups):
    clusters = KMeans(3, n_init=10, random_state=0).fit_predict(groups)
    expected = silhouette_score(groups, clusters)
    assert kmeans_asw(latent=groups, n_clusters=3, random_state=0) == pytest.approx(expected)


def test_a_gaussian_has_no_clusters_beyond_a_gaussian_and_groups_have(cloud, groups):
    assert abs(cluster_excess(latent=cloud, n_clusters=5, random_state=0)) < 0.04
    assert cluster_excess(latent=groups, n_clusters=3, random_state=0) > 0.3


def test_the_null_has_the_covariance_of_the_space(cloud):
    """On one long axis k-means cuts slices of a high silhouette: a round null would take that for clusters."""
    line = cloud * [50.0, 0.1, 0.1, 0.1] + 1000
    assert kmeans_asw(latent=line, n_clusters=4, random_state=0) > 0.5
    assert abs(cluster_excess(latent=line, n_clusters=4, random_state=0)) < 0.05


def test_a_space_of_lower_rank_will_do(cloud):
    flat = np.c_[cloud, cloud[:, 0], np.zeros(300)]
    assert np.isfinite(cluster_excess(latent=flat, n_clusters=3, random_state=0))


def test_graph_components_are_networkx(groups, cloud):
    for latent in (groups, cloud):
        graph = neighbor_graph(latent, 5)
        expected = nx.number_connected_components(nx.from_scipy_sparse_array(graph))
        assert graph_components(graph=graph) == expected
    assert graph_components(graph=neighbor_graph(groups, 5)) == 3
    assert graph_components(graph=neighbor_graph(cloud, 5)) == 1


def test_neighbor_graph_by_hand():
    """On a line each cell is joined with its nearest; the last one is joined though it is nobody's nearest."""
    graph = neighbor_graph(np.array([[0.0], [1.0], [3.0], [7.0]]), 1).toarray()
    np.testing.assert_array_equal(graph, [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]])


def test_coordinate_r2_is_leave_one_out_regression(cloud):
    coordinate = cloud[:, 0] + np.random.default_rng(0).normal(size=300)
    left_out = [
        KNeighborsRegressor(5).fit(np.delete(cloud, i, 0), np.delete(coordinate, i)).predict(cloud[i : i + 1])[0]
        for i in range(300)
    ]
    expected = 1 - np.sum((coordinate - left_out) ** 2) / np.sum((coordinate - coordinate.mean()) ** 2)
    assert coordinate_r2(latent=cloud, coordinate=coordinate, n_neighbors=5) == pytest.approx(expected)


@pytest.mark.parametrize(("n_cells", "n_iterations", "tolerance"), [(40, 12, 1e-6), (520, 4, 2e-5)])
def test_the_layout_is_networkx(n_cells, n_iterations, tolerance, monkeypatch):
    """networkx has a dense program and, from 500 nodes on, a sparse one in single precision; ours works in blocks."""
    monkeypatch.setattr("experiments.tasks.graph.CELL_BLOCK", 64)
    latent = np.random.default_rng(n_cells).normal(size=(n_cells, 3))
    graph = neighbor_graph(latent, 5)
    start = np.random.default_rng(0).random((n_cells, 2))
    length = np.sqrt(1 / (0.9 * n_cells))
    options = {"k": length, "pos": dict(enumerate(start)), "iterations": n_iterations, "method": "force"}
    theirs = nx.spring_layout(nx.from_scipy_sparse_array(graph), **options)
    ours = spring_layout(graph, start=start, n_iterations=n_iterations)
    np.testing.assert_allclose(ours, np.array([theirs[i] for i in range(n_cells)]), rtol=0, atol=tolerance)


def test_the_layout_leaves_its_start_alone():
    graph = neighbor_graph(np.random.default_rng(0).normal(size=(30, 2)), 3)
    start = np.random.default_rng(0).random((30, 2))
    before = start.copy()
    spring_layout(graph, start=start, n_iterations=3)
    np.testing.assert_array_equal(start, before)
