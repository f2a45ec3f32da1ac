"""Clustering scores against the paper's formulas, written out."""

import itertools
import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from experiments.metrics import clustering as metrics
from experiments.metrics.clustering import ari, asw, label_scores, nmi


@pytest.fixture(scope="module", params=[0, 1, 2])
def partitions(request):
    rng = np.random.default_rng(request.param)
    labels = rng.integers(4, size=60)
    clusters = np.where(rng.random(60) < 0.6, labels, rng.integers(6, size=60))
    return np.array(list("abcd"))[labels], clusters


def contingency(first, second):
    return np.array([[np.sum((first == a) & (second == b)) for b in np.unique(second)] for a in np.unique(first)])


def test_adjusted_rand_is_the_formula_of_the_paper(partitions):
    labels, clusters = partitions
    table = contingency(labels, clusters)
    pairs = sum(math.comb(n, 2) for n in table.ravel())
    rows, columns = (sum(math.comb(n, 2) for n in table.sum(axis=axis)) for axis in (1, 0))
    chance = rows * columns / math.comb(labels.size, 2)
    expected = (pairs - chance) / ((rows + columns) / 2 - chance)
    assert ari(labels=labels, clusters=clusters) == pytest.approx(expected)
    together = [(labels[i] == labels[j], clusters[i] == clusters[j]) for i, j in itertools.combinations(range(60), 2)]
    assert pairs == sum(a and b for a, b in together)


def test_mutual_information_is_normalised_by_the_geometric_mean(partitions):
    labels, clusters = partitions
    joint = contingency(labels, clusters) / labels.size
    p, q = joint.sum(axis=1), joint.sum(axis=0)
    information = sum(joint[i, j] * math.log(joint[i, j] / (p[i] * q[j])) for i, j in np.argwhere(joint > 0))
    expected = information / math.sqrt(sum(-x * math.log(x) for x in p) * sum(-x * math.log(x) for x in q))
    assert nmi(labels=labels, clusters=clusters) == pytest.approx(expected)
    arithmetic = 2 * information / (sum(-x * math.log(x) for x in p) + sum(-x * math.log(x) for x in q))
    assert abs(expected - arithmetic) > 1e-5  # the two can be told apart here


def test_silhouette_is_the_formula_of_the_paper():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], [10, 15, 5])
    latent = rng.normal(size=(30, 4)).astype(np.float32) + (labels == "a")[:, None]
    distance = cdist(latent.astype(float), latent.astype(float))
    widths = []
    for i in range(30):
        own = np.flatnonzero((labels == labels[i]) & (np.arange(30) != i))
        a = distance[i, own].mean()
        b = min(distance[i, labels == other].mean() for other in "abc" if other != labels[i])
        widths.append((b - a) / max(a, b))
    assert asw(latent=latent, labels=labels) == pytest.approx(np.mean(widths))


def test_a_perfect_and_a_random_clustering():
    labels = np.repeat(np.arange(4), 500)
    renamed, shuffled = labels[::-1] + 10, np.random.default_rng(0).permutation(labels)
    for score in (ari, nmi):
        assert score(labels=labels, clusters=renamed) == pytest.approx(1)
        assert abs(score(labels=labels, clusters=shuffled)) < 0.01


def test_ari_and_nmi_are_not_swapped(monkeypatch):
    """With the clusters of k-means replaced by known ones, each score is the one of its name."""
    rng = np.random.default_rng(1)
    truth, known, starts = rng.integers(3, size=120), rng.integers(3, size=120), []

    class Known:
        def __init__(self, n_clusters, *, n_init, random_state):
            starts.append((n_clusters, n_init))

        def fit_predict(self, X):
            return known

    monkeypatch.setattr(metrics, "KMeans", Known)
    scores = label_scores(latent=rng.normal(size=(120, 2)), labels=truth, seed=0)
    assert starts == [(3, 200)]
    assert scores["ari"] == pytest.approx(adjusted_rand_score(truth, known))
    assert scores["nmi"] == pytest.approx(normalized_mutual_info_score(truth, known, average_method="geometric"))
    assert scores["ari"] != pytest.approx(scores["nmi"], abs=1e-6)
