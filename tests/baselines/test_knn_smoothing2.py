"""kNN-smoothing 2 against its algorithm written out cell by cell, and by its purpose."""

from pathlib import Path

import numpy as np
import pytest

from baselines.controls import GeneMean
from baselines.knn_smoothing2 import KNNSmoothing2, nearest, schedule

COUNTS = np.load(Path(__file__).parents[1] / "golden" / "scanpy_rows.npz")["counts"].astype(int)


def written_out(X, k, d):
    """The sums of Algorithm 2, genes and cells as plain lists of sums, principal components from a decomposition."""
    S, step = X.astype(float), 0
    while True:
        step += 1
        k_step = min(2**step - 1, k)
        median = np.median([cell.sum() for cell in S])
        stable = np.array([[np.sqrt(x) + np.sqrt(x + 1) for x in cell * median / cell.sum()] for cell in S])
        centred = stable - stable.mean(axis=0)
        values, vectors = np.linalg.eigh(centred.T @ centred)
        scores = centred @ vectors[:, np.argsort(values)[::-1][:d]]
        new = np.empty_like(S)
        for i in range(len(X)):
            distance = [np.sqrt(((scores[i] - scores[j]) ** 2).sum()) for j in range(len(X))]
            order = sorted(range(len(X)), key=lambda j: (j != i, round(distance[j], 9), j))
            new[i] = sum(X[j] for j in order[: k_step + 1])
        S = new
        if k_step == k:
            return S


@pytest.mark.parametrize(("k", "d"), [(1, 3), (6, 5), (7, 4)])
def test_equals_its_algorithm(k, d):
    X = COUNTS[:50]
    method = KNNSmoothing2(n_neighbors=k, n_components=d).fit(X)
    expected = written_out(X, k, d)
    np.testing.assert_array_equal(method.smoothed_, expected)
    share = expected / expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(method.impute(X), share * X.sum(axis=1, keepdims=True))


def test_the_numbers_of_neighbours():
    """As the authors' program prints them for 127; the last step has what is asked for."""
    assert schedule(127) == [1, 3, 7, 15, 31, 63, 127]
    assert schedule(10) == [1, 3, 7, 10]
    assert schedule(1) == [1]


def test_of_equal_points_the_first_comes_first():
    points, place = np.array([[0.0], [1], [2]]), np.array([0, 1, 1, 2, 2])
    assert nearest(points, place, 2).tolist() == [[0, 1, 2], [1, 2, 0], [2, 1, 0], [3, 4, 1], [4, 3, 1]]


def test_imputed_cells_keep_their_depth_and_hidden_counts_come_back():
    rng = np.random.default_rng(0)
    mean = rng.gamma(1, 4, size=(3, 60))[rng.integers(3, size=300)] * rng.gamma(9, 1 / 9, size=(300, 1))
    X = rng.poisson(mean)
    X[:, 0] += 1
    rows, columns = np.nonzero(X)
    hidden = rng.choice(rows.size, rows.size // 10, replace=False)
    at = rows[hidden], columns[hidden]
    corrupted = X.copy()
    corrupted[at] = 0
    found = KNNSmoothing2().fit(corrupted).impute(corrupted)
    np.testing.assert_allclose(found.sum(axis=1), corrupted.sum(axis=1))
    error = np.median(np.abs(found[at] - X[at]))
    assert error < 0.7 * np.median(np.abs(GeneMean().fit(corrupted).impute(corrupted)[at] - X[at]))


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="10 cells do not have n_neighbors=15 others each: choose 1 to 9"):
        KNNSmoothing2().fit(COUNTS[:10])
    with pytest.raises(ValueError, match="n_components=0: choose 1 or more"):
        KNNSmoothing2(n_components=0).fit(COUNTS)
    with pytest.raises(ValueError, match="KNNSmoothing2 has no map to cells it was not fitted to"):
        KNNSmoothing2().fit(COUNTS).impute(COUNTS[::-1])
