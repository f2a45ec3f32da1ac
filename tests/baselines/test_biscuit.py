"""BISCUIT recovers clusters and scalings of data drawn from its model, and merges blocks as it says."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import invgamma, invwishart
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import euclidean_distances

from baselines.biscuit import program
from baselines.biscuit.gibbs import Moments
from baselines.biscuit.method import BISCUIT, fiedler_order, merge_labels

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "biscuit.npz")


def _draw_counts(rng, n, n_genes, block):
    """Draw from the model, with a covariance that is block-diagonal: counts, labels, alpha, beta, cluster means."""
    z = rng.integers(0, 3, n)
    alpha = np.clip(rng.normal(1, 0.15, n), 0.6, 1.4)
    beta = invgamma(6, scale=5).rvs(n, random_state=rng)
    means = rng.normal(4, 0.7, (3, n_genes))
    x = alpha[:, None] * means[z]
    for genes in np.array_split(rng.permutation(n_genes), n_genes // block):
        for k in range(3):
            covariance = invwishart(block + 10, 0.06 * 9 * np.eye(block)).rvs(random_state=rng)
            noise = rng.multivariate_normal(np.zeros(block), covariance, (z == k).sum())
            x[np.ix_(z == k, genes)] += np.sqrt(beta[z == k])[:, None] * noise
    return np.rint(np.expm1(np.clip(x, 0, None))).astype(int), z, alpha, beta, means


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [120, 30])
def test_recovers_clusters_and_scalings_of_its_model(block_size):
    counts, z, alpha, beta, means = _draw_counts(np.random.default_rng(0), 200, 120, 20)
    method = BISCUIT(n_iterations=10, block_size=block_size, imputation="mean").fit(counts)
    assert len(method.blocks_) == 120 // block_size
    assert adjusted_rand_score(z, method.clusters(counts)) > 0.95
    assert np.corrcoef(alpha, method.alpha_)[0, 1] > 0.95
    assert np.corrcoef(np.log(beta), np.log(method.beta_))[0, 1] > 0.85  # 120 genes allow no more than 0.91
    matched = method.means_[np.array([np.bincount(method.labels_[z == k]).argmax() for k in range(3)])]
    assert np.abs(matched / matched.mean(axis=1, keepdims=True) - means / means.mean(axis=1, keepdims=True)).max() < 0.1
    expected = np.expm1(alpha[:, None] * means[z])
    assert np.corrcoef(np.log1p(method.impute(counts)).ravel(), np.log1p(expected).ravel())[0, 1] > 0.95


@pytest.mark.slow
def test_beats_the_authors_program_on_its_golden_input():
    counts, truth = GOLDEN["counts"].astype(int), GOLDEN["cluster"]
    method = BISCUIT(n_iterations=20).fit(counts)
    assert adjusted_rand_score(truth, method.labels_) > 0.9
    assert np.corrcoef(GOLDEN["alpha"], method.alpha_)[0, 1] > 0.9
    for name in GOLDEN.files:
        if name.startswith("labels_"):
            assert adjusted_rand_score(truth, GOLDEN[name]) < 0.35


def test_merging_equals_k_means_on_the_co_clustering_matrix():
    rng = np.random.default_rng(1)
    labels = np.array([rng.integers(0, 3, 40), rng.integers(0, 4, 40), np.arange(40) // 10])
    weights = np.array([0.5, 0.2, 1.0])
    matrix = sum(w * (z[:, None] == z) for z, w in zip(labels, weights, strict=True))
    indicators = np.concatenate([np.sqrt(w) * np.eye(z.max() + 1)[z] for z, w in zip(labels, weights, strict=True)], 1)
    np.testing.assert_allclose(indicators @ indicators.T, matrix)
    direct = KMeans(4, n_init=10, random_state=0).fit(matrix)
    merged = merge_labels(labels, weights, seed=0)
    centres = np.array([matrix[merged == k].mean(axis=0) for k in range(4)])
    np.testing.assert_allclose(((matrix - centres[merged]) ** 2).sum(), direct.inertia_, rtol=1e-6)
    assert adjusted_rand_score(labels[2], merged) == 1
    assert euclidean_distances(centres).max() > 0


def test_order_follows_the_covariance():
    """Two groups of genes that vary together stand on either side."""
    rng = np.random.default_rng(2)
    factor = rng.gamma(2, 1, (300, 2))
    group = rng.permutation(np.repeat([0, 1], 10))
    counts = rng.poisson(5 * factor[:, group])
    order = fiedler_order(sp.csr_matrix(counts))
    assert sorted(order) == list(range(20))
    assert len(set(group[order[:10]])) == len(set(group[order[10:]])) == 1


@pytest.mark.slow
def test_transform_sends_a_cluster_to_unit_scalings():
    counts, _, _, _, _ = _draw_counts(np.random.default_rng(3), 120, 20, 20)
    method = BISCUIT(n_iterations=6).fit(counts)
    y = np.log1p(method.impute(counts))
    for k, mean in enumerate(method.means_):
        own = method.labels_ == k
        root, scale = np.sqrt(np.median(method.beta_[own])), np.median(method.alpha_[own])
        np.testing.assert_allclose((y[own] - mean) * root, np.log1p(counts[own]) - scale * mean, atol=1e-8)


def test_the_same_seed_gives_the_same_answer_and_genes_without_counts_stay_zero():
    counts, _, _, _, _ = _draw_counts(np.random.default_rng(4), 60, 20, 10)
    counts[:, 3] = 0
    first, second = (BISCUIT(n_iterations=3, block_size=7, random_state=5).fit(counts) for _ in range(2))
    np.testing.assert_array_equal(first.labels_, second.labels_)
    np.testing.assert_array_equal(first.impute(counts), second.impute(counts))
    assert (first.impute(counts)[:, 3] < 0.1).all()
    assert np.concatenate(first.blocks_).size == 20
    assert BISCUIT(n_iterations=1).fit(np.ones((8, 5), dtype=int)).labels_.max() == 0


def test_imputes_as_the_authors_program():
    """Its map at its own labels, scalings and means: what it wrote, values below zero among them."""
    of = {key.removeprefix("imputed__"): GOLDEN[key] for key in GOLDEN if key.startswith("imputed__")}
    counts = GOLDEN["counts"][:, of["gene"]]
    method = BISCUIT(scalings="authors", imputation="authors", n_iterations=1).fit(counts)
    method.labels_, method.alpha_, method.beta_, method.means_ = of["z"], of["alpha"], of["beta"], of["mean"]
    np.testing.assert_allclose(method.impute(counts), of["count"], rtol=1e-11, atol=1e-12)
    assert of["count"].min() < -0.01


def test_scalings_are_drawn_as_by_the_authors_program():
    """Near one whatever the data: in distribution those of its eight blocks, by rank and in their ends.

    They depend on its clusters, which are none of the data's; so the quartiles agree and not every quantile.
    """
    method = BISCUIT(n_iterations=3, block_size=20, scalings="authors").fit(GOLDEN["counts"])
    fits = [program.draw_scalings(np.random.default_rng(i), *_one_cluster(GOLDEN["counts"], method.blocks_[i % 2]))
            for i in range(8)]  # fmt: skip
    for ours, theirs, width in zip(np.array(fits).transpose(1, 0, 2), (GOLDEN["block_alpha"], GOLDEN["block_beta"]),
                                   (0.02, 5e-4), strict=True):  # fmt: skip
        quartiles = [np.quantile(part, [0.25, 0.5, 0.75]) for part in (ours, theirs)]
        np.testing.assert_allclose(*quartiles, atol=width)
        assert abs(ours.min() - theirs.min()) < 10 * width
    assert abs(np.corrcoef(GOLDEN["alpha"], method.alpha_)[0, 1]) < 0.2  # theirs has none either
    np.testing.assert_allclose(method.beta_, 1, atol=0.03)


def _one_cluster(counts, genes):
    """Log expression of a block, labels and moments as if all cells were alike."""
    x = np.log1p(counts[:, genes].astype(float))
    root = np.linalg.inv(np.linalg.cholesky(np.cov(x.T)))
    return x, np.zeros(len(x), dtype=int), [Moments(x.mean(axis=0), root)]


def test_says_what_is_wrong():
    counts = np.ones((8, 5), dtype=int)
    with pytest.raises(ValueError, match="choose 'transform' or 'mean' or 'authors'"):
        BISCUIT(imputation="median").fit(counts)
    with pytest.raises(ValueError, match="scalings='free'"):
        BISCUIT(scalings="free").fit(counts)
    with pytest.raises(ValueError, match="n_iterations=0"):
        BISCUIT(n_iterations=0).fit(counts)
    with pytest.raises(ValueError, match="no map to cells"):
        BISCUIT(n_iterations=1).fit(counts).impute(counts + 1)
