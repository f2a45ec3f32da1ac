"""SIMLR against the R package (tests/golden/simlr.npz), scipy and its own definitions."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.stats import entropy, norm
from sklearn.metrics import adjusted_rand_score, silhouette_score

from baselines.simlr import SIMLR
from baselines.simlr import method as simlr
from baselines.simlr.kernels import NeighborKernels
from baselines.simlr.n_clusters import diffuse_network, estimate_n_clusters, mean_kernel

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "simlr.npz")
COUNTS, CLUSTER = GOLDEN["counts"].astype(np.int64), GOLDEN["cluster"]
LOG_COUNTS = sp.csr_matrix(np.log1p(COUNTS))


def neighbors_of(case):
    return GOLDEN[f"{case}__distance"].astype(np.float64), GOLDEN[f"{case}__neighbor"].astype(int)


@pytest.mark.parametrize(("case", "k"), [("k30_kk200", 30), ("k10_kk20", 10)])
def test_equals_the_package_given_its_neighbors_and_signs(case, k):
    stored = iter(GOLDEN[f"{case}__eigenvectors"])

    def as_stored(vectors, previous):
        theirs = next(stored)
        ours = vectors * np.sign(np.einsum("cf,cf->f", vectors, theirs))
        np.testing.assert_allclose(ours, theirs, atol=1e-9)  # the same eigenvectors, up to the sign
        return ours

    similarity, latent, weights = simlr.learn_similarity(*neighbors_of(case), 4, k, orient=as_stored)
    np.testing.assert_allclose(similarity, GOLDEN[f"{case}__S0"], atol=1e-10)
    np.testing.assert_allclose(latent, GOLDEN[f"{case}__F"], atol=1e-10)
    np.testing.assert_allclose(weights, GOLDEN[f"{case}__alphaK"], atol=1e-12)


def test_features_and_neighbors_equal_the_package():
    """200 test vectors span all 100 genes: the randomised SVD is then exact, features equal up to rotation."""
    features = simlr.fast_pca(LOG_COUNTS, 200, np.random.default_rng(0))
    theirs = GOLDEN["k30_kk200__features"]
    np.testing.assert_allclose(features @ features.T, theirs @ theirs.T, atol=1e-12)
    distance, neighbor = simlr.nearest_neighbors(features, 60)
    # Annoy's distances are single precision: neighbours as far as each other to 1e-6 may come in either order.
    expected, chosen = neighbors_of("k30_kk200")
    np.testing.assert_allclose(distance, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(features[:, None] - features[chosen], axis=2), distance, atol=2e-6)
    assert (neighbor == chosen).mean() > 0.99


def test_number_of_clusters_equals_the_package():
    found = estimate_n_clusters(LOG_COUNTS, GOLDEN["candidates"])
    np.testing.assert_array_equal(found.index, GOLDEN["candidates"])
    np.testing.assert_allclose(found["K1"], GOLDEN["K1"], atol=1e-8)
    np.testing.assert_allclose(found["K2"], GOLDEN["K2"], atol=1e-8)


@pytest.mark.slow
def test_finds_the_eleven_clusters_of_the_paper_where_there_is_nothing():
    """The random data of Fig 3 and 15, drawn as the authors drew it: SIMLR reports eleven clusters."""
    rng = np.random.RandomState(0)  # the authors' generator: another gives other cells
    X = rng.poisson(rng.gamma(2, 2, size=(2000, 10))) * rng.binomial(1, 0.3, size=(2000, 10))
    found = estimate_n_clusters(np.log1p(X[X.sum(axis=1) > 0]))
    assert found["K1"].idxmin() == 11


def test_signs_of_eigenvectors_do_not_matter(monkeypatch):
    exact = simlr.learn_similarity(*neighbors_of("k10_kk20"), 4, 10)
    solver, flip = simlr.eigsh, np.random.default_rng(0)

    def capricious(*arguments, **keywords):
        values, vectors = solver(*arguments, **keywords)
        return values, vectors * flip.choice([-1, 1], size=values.size)

    monkeypatch.setattr(simlr, "eigsh", capricious)
    flipped = simlr.learn_similarity(*neighbors_of("k10_kk20"), 4, 10)
    for ours, theirs in zip(exact, flipped, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def check_other_signs(ours, theirs):
    """What does not hang on the signs that the package met: most of S, and the weights of the kernels.

    Single entries of S move by up to 0.3 where types overlap, and are the same where they lie apart.
    """
    (similarity, weights), (other_similarity, other_weights) = ours, theirs
    assert np.corrcoef(similarity.ravel(), other_similarity.ravel())[0, 1] > 0.9
    assert np.abs(similarity - other_similarity).sum(axis=1).mean() / 2 < 0.2  # total variation, a row sums to one
    np.testing.assert_allclose(weights, other_weights, atol=1e-3)


def test_own_signs_give_the_similarity_of_the_package_for_most_pairs():
    for case, k in (("k30_kk200", 30), ("k10_kk20", 10)):
        similarity, _, weights = simlr.learn_similarity(*neighbors_of(case), 4, k)
        check_other_signs((similarity, weights), (GOLDEN[f"{case}__S0"], GOLDEN[f"{case}__alphaK"]))


def test_any_signs_give_the_same_similarity_for_most_pairs_where_types_overlap():
    rng = np.random.default_rng([3, 2])
    mean = rng.gamma(1, 2, size=100) * np.exp(0.3 * rng.normal(size=(4, 100)))
    counts = rng.poisson(rng.gamma(2, mean[rng.integers(4, size=200)] / 2))
    features = simlr.fast_pca(sp.csr_matrix(np.log1p(counts)), 20, np.random.default_rng(0))
    near = simlr.nearest_neighbors(features, 20)
    own, other = (simlr.learn_similarity(*near, 4, 10, orient=orient)[::2] for orient in (None, any_signs(rng)))
    check_other_signs(own, other)
    assert np.abs(own[0] - other[0]).max() > 0.05  # which is why signs are fixed here


def any_signs(rng):
    return lambda vectors, previous: vectors * rng.choice([-1, 1], size=vectors.shape[1])


def test_kernels_are_their_definition(monkeypatch):
    """Cell by cell with scipy's normal density, in the order of the original: widths outside, sigmas inside."""
    distance, neighbor = (part[:, :20] for part in neighbors_of("k10_kk20"))
    squared, eps = distance**2, np.finfo(float).eps
    expected = []
    for q in range(5, 16):
        radius = squared[:, :q].mean(axis=1) + eps
        for sigma in (2, 1.75, 1.5, 1.25, 1):
            weight = norm.pdf(squared, 0, sigma * (radius[:, None] + radius[neighbor]) / 2)
            own = weight[:, 0]
            expected.append((own[:, None] + own[neighbor]) / 2 - weight + eps)
    monkeypatch.setattr("baselines.simlr.kernels.CELL_BLOCK", 37)  # several blocks, the last one smaller
    kernels = NeighborKernels(squared, neighbor, 10)
    assert kernels.n_kernels == len(expected) == 55
    chosen = np.random.default_rng(0).dirichlet(np.ones(55))
    np.testing.assert_allclose(kernels.combine(chosen), np.tensordot(chosen, expected, axes=1), rtol=1e-10)
    similarity = np.random.default_rng(1).dirichlet(np.ones(20), size=200)
    scores = [np.mean(((D + eps) * (similarity + eps)).sum(axis=0)) for D in expected]
    np.testing.assert_allclose(kernels.scores(similarity), scores, rtol=1e-10)


def test_projection_on_the_simplex():
    points = np.random.default_rng(0).normal(0, 1, size=(5, 6))
    for point, ours in zip(points, simlr.project_on_simplex(points), strict=True):
        best = minimize(
            lambda p, point=point: np.sum((p - point) ** 2),
            np.full(6, 1 / 6),
            bounds=[(0, 1)] * 6,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        np.testing.assert_allclose(ours, best.x, atol=1e-6)


def test_kernel_weights_have_perplexity_20():
    scores = np.random.default_rng(0).gamma(2, size=55)
    weights = simlr.weights_of_entropy(scores)
    assert entropy(weights) == pytest.approx(np.log(20), abs=1e-4)
    assert weights.sum() == pytest.approx(1)
    assert np.all(np.diff(weights[np.argsort(scores)]) < 0)


def test_diffusion_equals_its_eigendecomposition():
    """The closed form against the sum over eigenvectors that the original takes."""
    affinity = mean_kernel(LOG_COUNTS[:60])
    walk = affinity.copy()
    np.fill_diagonal(walk, 0)
    for row in walk:
        row[np.argsort(row)[:-10]] = 0
    walk = (walk + walk.T) / 2
    walk += np.diag(walk.sum(axis=1) + 1)
    walk /= walk.sum(axis=1, keepdims=True)
    half = walk / np.sqrt(walk.sum(axis=0))
    values, vectors = np.linalg.eigh(half @ half.T)
    diffused = vectors @ np.diag(0.2 * values / (1 - 0.8 * values**2)) @ vectors.T
    diffused = (diffused - np.diag(np.diag(diffused))) / (1 - np.diag(diffused))[:, None]
    np.testing.assert_allclose(diffuse_network(affinity.copy()), np.maximum((diffused + diffused.T) / 2, 0), atol=1e-12)


@pytest.mark.parametrize("n_clusters", [4, None])
def test_finds_planted_clusters(n_clusters):
    method = SIMLR(n_clusters=n_clusters).fit(COUNTS)
    assert method.n_clusters_ == 4
    assert method.latent(COUNTS).shape == (200, 4)
    np.testing.assert_allclose(method.similarity_.sum(axis=1), 1)
    assert adjusted_rand_score(CLUSTER, method.clusters(COUNTS)) > 0.95
    assert adjusted_rand_score(GOLDEN["k30_kk200__cluster"], method.clusters(COUNTS)) > 0.95


def test_the_2d_embedding_shows_the_clusters():
    X = COUNTS[::2]
    shown = [SIMLR(n_clusters=4, n_neighbors=15).fit(X).embed(X) for _ in range(2)]
    assert shown[0].shape == (100, 2)
    assert silhouette_score(shown[0], CLUSTER[::2]) > 0.5
    np.testing.assert_array_equal(*shown)


def test_identical_cells_do_no_harm():
    X = np.vstack([COUNTS[:80], np.repeat(COUNTS[:1], 40, axis=0)])
    method = SIMLR(n_clusters=4).fit(X)
    assert np.isfinite(method.latent(X)).all()
    assert np.isfinite(method.kernel_weights_).all()


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="needs more than 60 cells, not 60: lower n_neighbors"):
        SIMLR().fit(COUNTS[:60])
    with pytest.raises(ValueError, match="n_clusters=200 blocks in 200 cells: choose 1 to 199"):
        SIMLR(n_clusters=200).fit(COUNTS)
    with pytest.raises(ValueError, match=r"2 to 20 clusters on 20 cells is not possible.*at least 23 cells"):
        estimate_n_clusters(LOG_COUNTS[:20])
    with pytest.raises(ValueError, match="SIMLR has no map to cells it was not fitted to: call fit first"):
        SIMLR(n_clusters=4).fit(COUNTS).latent(COUNTS[:100])
