"""Scores of batch removal against scib-metrics (tests/golden/scib_metrics.npz), scikit-learn and hand computations."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import entr
from scipy.stats import chisquare
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import f1_score, silhouette_samples

from experiments.metrics import integration as scores

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "scib_metrics.npz")
CASES = ("apart", "partly", "mixed")


def case(name):
    """Latent space, batches, types and neighbours of a golden case."""
    latent, batch, label = (GOLDEN[f"{name}/{part}"] for part in ("latent", "batch", "label"))
    return latent, batch, label, scores.nearest(latent, scores.LISI_CELLS - 1)


@pytest.mark.parametrize("name", CASES)
def test_equal_to_scib_metrics(name):
    latent, batch, label, neighbours = case(name)
    found = {
        "ilisi": scores.ilisi(neighbours=neighbours, batch=batch),
        "clisi": scores.clisi(neighbours=neighbours, labels=label),
        "kbet": scores.kbet(neighbours=neighbours, batch=batch),
        "graph_connectivity": scores.graph_connectivity(neighbours=neighbours, labels=label),
        "isolated_asw": scores.isolated_asw(latent=latent, labels=label, batch=batch),
        "batch_variance": scores.batch_variance(latent=latent, batch=batch),
    }
    for score, value in found.items():
        assert value == pytest.approx(float(GOLDEN[f"{name}/{score}"]), abs=1e-9), score
    np.testing.assert_allclose(scores.lisi(neighbours=neighbours, labels=label), GOLDEN[f"{name}/lisi"], atol=1e-9)


def test_names_of_labels_and_batches_change_nothing():
    latent, batch, label, neighbours = case("partly")
    words, donors = np.array(["z", "a", "m", "b"])[label], np.array(["y", "x", "w"])[batch]
    assert scores.kbet(neighbours=neighbours, batch=donors) == scores.kbet(neighbours=neighbours, batch=batch)
    asw = scores.isolated_asw(latent=latent, labels=words, batch=donors)
    assert asw == pytest.approx(scores.isolated_asw(latent=latent, labels=label, batch=batch))
    assert scores.isolated_labels(labels=words, batch=donors).tolist() == ["z"]  # label 0 is in no batch 0


def test_the_weights_of_lisi_have_the_perplexity_whatever_the_scale():
    distance = np.sort(np.random.default_rng(0).gamma(3.0, size=(40, 89)), axis=1)
    for scale in (1e-6, 1.0, 1e6):
        weight = scores._weights(scale * distance, 30)
        np.testing.assert_allclose(weight.sum(axis=1), 1)
        np.testing.assert_allclose(np.exp(entr(weight).sum(axis=1)), 30, rtol=2e-5)
    far = scores._weights(1e4 + distance, 30)  # exp(-10,000) is zero
    np.testing.assert_allclose(far, scores._weights(distance, 30), atol=1e-4)
    np.testing.assert_allclose(scores._weights(np.zeros((2, 89)), 30), 1 / 89)  # cells on one spot
    tied = scores._weights(np.r_[np.full(40, 1.8), np.full(49, 9.0)][None], 30)[0]  # no weights have a perplexity of 30
    np.testing.assert_allclose(tied, np.r_[np.full(40, 1 / 40), np.zeros(49)])


def test_lisi_by_hand_where_neighbours_are_equally_far():
    index = np.array([[1, 2, 3, 4]] * 5)
    neighbours = scores.Neighbours(index, np.ones((5, 4)))
    found = scores.lisi(neighbours=neighbours, labels=np.array(["a", "a", "b", "b", "b"]))
    np.testing.assert_allclose(found, 1 / (0.25**2 + 0.75**2))


def test_kbet_is_a_chi_squared_test_of_every_neighbourhood():
    _, batch, _, neighbours = case("partly")
    share = np.bincount(batch) / len(batch)
    members = np.column_stack([np.arange(len(batch)), neighbours.index[:, :49]])
    p = [chisquare(np.bincount(batch[row], minlength=3), 50 * share).pvalue for row in members]
    assert scores.kbet(neighbours=neighbours, batch=batch) == np.mean(np.array(p) >= 0.05)


def test_principal_component_regression_is_that_of_scikit_learn():
    latent, batch, _, _ = case("partly")
    pca = PCA().fit(latent)
    components, one_hot = pca.transform(latent), np.eye(3)[batch]
    r2 = [LinearRegression().fit(one_hot, x).score(one_hot, x) for x in components.T]
    expected = np.average(r2, weights=pca.explained_variance_)
    assert scores.batch_variance(latent=latent, batch=batch) == pytest.approx(expected, rel=1e-10)
    assert scores.batch_variance(latent=np.eye(3)[batch] + 5, batch=batch) == pytest.approx(1)
    assert scores.batch_variance(latent=np.ones((240, 2)), batch=batch) == 0


def test_a_type_in_two_pieces_is_half_connected():
    latent = np.r_[np.arange(20.0), 100 + np.arange(20.0), 300 + np.arange(20.0)][:, None]
    labels = np.repeat(["a", "a", "b"], 20)
    neighbours = scores.nearest(latent, 14)
    assert scores.graph_connectivity(neighbours=neighbours, labels=labels) == (0.5 + 1) / 2


def test_a_one_way_edge_connects_nothing():
    """Of 15 cells each is among the nearest of the others; the two far away look at them and nobody looks back."""
    latent = np.r_[np.arange(15.0), 1000.0, -1000.0][:, None]
    neighbours = scores.nearest(latent, 14)
    assert scores.graph_connectivity(neighbours=neighbours, labels=np.zeros(17)) == 15 / 17


def test_f1_of_isolated_types_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(4, size=200), rng.integers(5, size=200)
    clusters[labels == 2] = np.where(rng.random((labels == 2).sum()) < 0.7, 1, 4)
    batch = np.where(np.isin(labels, [2, 3]), 0, rng.integers(2, size=200))  # 2 and 3 are in one batch alone
    best = [max(f1_score(labels == label, clusters == c) for c in range(5)) for label in (2, 3)]
    found = scores.isolated_f1(clusters=clusters, labels=labels, batch=batch)
    assert found == pytest.approx(np.mean(best), rel=1e-12)
    assert scores.isolated_f1(clusters=labels + 7, labels=labels, batch=batch) == 1


def test_all_labels_are_isolated_where_all_are_in_as_many_batches():
    latent, labels = np.random.default_rng(1).normal(size=(60, 2)), np.arange(60) % 3
    batch = np.arange(60) // 3 % 2
    assert scores.isolated_labels(labels=labels, batch=batch).tolist() == [0, 1, 2]
    found = scores.isolated_asw(latent=latent, labels=labels, batch=batch)
    assert found == pytest.approx((silhouette_samples(latent, labels).mean() + 1) / 2)
