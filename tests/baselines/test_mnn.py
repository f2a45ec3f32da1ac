"""MNN correction against scran's mnnCorrect (tests/golden/mnn.npz) and on simulated batches."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from baselines import mnn
from baselines.mnn import MNN, mutual_neighbors

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "mnn.npz")
COUNTS, BATCH = GOLDEN["counts"].astype(np.int64), GOLDEN["batch"]
TWO = BATCH < 2


@pytest.mark.parametrize(
    ("case", "cells", "parameters"),
    [
        ("two", TWO, {}),
        ("two_plain", TWO, {"adjust_variance": False}),
        ("two_k5_sigma1", TWO, {"n_neighbors": 5, "sigma": 1.0}),
        ("three", slice(None), {}),
    ],
)
def test_equals_scran(case, cells, parameters, monkeypatch):
    monkeypatch.setattr(mnn, "CELL_BLOCK", 32)  # several blocks, the last one smaller
    X, batch = COUNTS[cells], BATCH[cells]
    method = MNN(**parameters).fit(X, batch)
    np.testing.assert_allclose(method.correct(X, batch), GOLDEN[case], atol=1e-12)
    if case == "two":
        assert set(map(tuple, method.pairs_[0])) == {(a, 110 + b) for a, b in GOLDEN["pairs"]}


def test_the_order_of_the_cells_does_not_matter():
    order = np.random.default_rng(0).permutation(len(COUNTS))
    mixed = MNN().fit(COUNTS[order], BATCH[order]).correct(COUNTS[order], BATCH[order])
    np.testing.assert_allclose(mixed, GOLDEN["three"][order], atol=1e-12)


def test_pairs_are_mutual_by_brute_force():
    rng = np.random.default_rng(0)
    reference, target = rng.normal(size=(30, 5)), rng.normal(size=(12, 5))
    distance = np.linalg.norm(reference[:, None] - target, axis=2)
    near = (distance.argsort(axis=1).argsort(axis=1) < 4) & (distance.argsort(axis=0).argsort(axis=0) < 4)
    first, second = mutual_neighbors(reference, target, 4)
    assert set(zip(first, second, strict=True)) == set(zip(*np.nonzero(near), strict=True))


def mixing(latent, batch):
    """Share of the 30 nearest neighbours that come from the other batch, over what chance would give."""
    neighbor = NearestNeighbors(n_neighbors=30).fit(latent).kneighbors(return_distance=False)
    return np.mean(batch[neighbor] != batch[:, None]) / (2 * batch.mean() * (1 - batch.mean()))


def test_batches_mix_and_kinds_stay_apart():
    rng = np.random.default_rng(0)
    kind, batch = rng.integers(4, size=600), np.repeat([0, 1], [350, 250])
    mean = rng.gamma(1, 3, size=(4, 100))[kind] * np.exp(rng.normal(0, 0.5, 100) * batch[:, None])
    X = rng.poisson(mean)
    plain = np.log1p(X)
    method = MNN().fit(X, batch)
    corrected, latent = method.correct(X, batch), method.latent(X, batch)
    assert latent.shape == (600, 10)
    assert mixing(plain, batch) < 0.1
    assert mixing(corrected, batch) > 0.6
    assert mixing(latent, batch) > 0.6
    assert silhouette_score(latent, kind) > silhouette_score(plain, kind)
    reference = plain[batch == 0]
    np.testing.assert_allclose(
        corrected[batch == 0], reference / np.linalg.norm(reference, axis=1, keepdims=True), atol=1e-12
    )  # the first batch stays where it is


def test_a_single_batch_stays_as_it_is():
    plain = np.log1p(COUNTS)
    method = MNN().fit(COUNTS)
    np.testing.assert_allclose(
        method.correct(COUNTS, None), plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-14
    )
    assert method.pairs_ == []


def test_other_cells_or_batches_are_refused():
    method = MNN().fit(COUNTS, BATCH)
    with pytest.raises(ValueError, match="MNN has no map to cells it was not fitted to: call fit first"):
        method.correct(COUNTS[TWO], BATCH[TWO])
    with pytest.raises(ValueError, match="the matrix and batch labels that are passed here"):
        method.correct(COUNTS, BATCH[::-1])


def test_batches_alike_are_left_alone():
    """The same cells in both batches: every shift is zero, and nothing is divided by it."""
    X, batch = np.vstack([COUNTS[:60], COUNTS[:60]]), np.repeat([0, 1], 60)
    corrected = MNN(n_neighbors=1).fit(X, batch).correct(X, batch)
    np.testing.assert_allclose(corrected[:60], corrected[60:], atol=1e-12)
