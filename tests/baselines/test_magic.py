"""MAGIC against the programs of 2018 and of today (tests/golden/magic2018.npz, magic3.npz) and its definition."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from baselines import magic
from baselines.base import Skip
from baselines.controls import GeneMean
from baselines.magic import MAGIC, diffuse, markov_matrix, rescale
from baselines.magic3 import MAGIC3, size_factors

FOLDER = Path(__file__).parents[1] / "golden"
GOLDEN, GOLDEN3 = np.load(FOLDER / "magic2018.npz"), np.load(FOLDER / "magic3.npz")
COUNTS = GOLDEN["counts"].astype(np.int64)
INPUTS = {"counts": COUNTS.astype(np.float64), "log1p": np.log1p(COUNTS)}


@pytest.mark.parametrize("name", ["counts", "log1p"])
def test_equals_the_program_of_2018_given_its_markov_matrix(name):
    observed = INPUTS[name]
    imputed = diffuse(GOLDEN[f"{name}__transitions"], observed, 6)
    np.testing.assert_allclose(imputed, GOLDEN[f"{name}__imputed"], rtol=1e-11)
    np.testing.assert_allclose(rescale(imputed, observed, 99), GOLDEN[f"{name}__rescaled"], rtol=1e-11)


@pytest.mark.parametrize("name", ["counts", "log1p"])
def test_markov_matrix_equals_the_program_of_2018(name):
    """But for the diagonal: rounding made the program give some cells twice their own weight."""
    centred = INPUTS[name] - INPUTS[name].mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    ours = markov_matrix(left[:, :20] * singular[:20], k=30, ka=10, epsilon=1.0).toarray()
    theirs = GOLDEN[f"{name}__transitions"].copy()
    np.testing.assert_allclose(ours.sum(axis=1), 1)

    def between_cells(transitions):
        transitions = transitions - np.diag(np.diag(transitions))
        return transitions / transitions.sum(axis=1, keepdims=True)

    np.testing.assert_allclose(between_cells(ours), between_cells(theirs), atol=1e-10)
    doubled = np.diag(theirs) > 1.01 * np.diag(ours)
    np.testing.assert_allclose(ours[~doubled], theirs[~doubled], atol=1e-10)
    odds = (np.diag(theirs) / (1 - np.diag(theirs))) / (np.diag(ours) / (1 - np.diag(ours)))
    np.testing.assert_allclose(odds[doubled], 2, rtol=1e-6)


def test_markov_matrix_is_its_definition():
    """Written out pair by pair, with identical points among them."""
    rng = np.random.default_rng(0)
    points = np.vstack([rng.normal(size=(25, 3)), np.zeros((4, 3))])
    k, ka, epsilon, n = 6, 3, 1.3, 29
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    scaled = np.zeros((n, n))
    edge = np.zeros((n, n), dtype=bool)
    for i in range(n):
        others = sorted((j for j in range(n) if j != i), key=lambda j: distance[i, j])[: k - 1]
        unit = distance[i, others[ka - 1]]
        for j in others:
            edge[i, j] = True
            scaled[i, j] = distance[i, j] / unit if unit > 0 else 0
    affinity = np.where(edge | edge.T, np.exp(-(scaled + scaled.T) / epsilon**2), 0) + np.eye(n)
    expected = affinity / affinity.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(markov_matrix(points, k=k, ka=ka, epsilon=epsilon).toarray(), expected, atol=1e-12)


def test_blocks_of_genes_do_not_matter(monkeypatch):
    method = MAGIC().fit(COUNTS)
    whole = rescale(diffuse(method.transitions_.toarray(), INPUTS["counts"], 6), INPUTS["counts"], 99)
    monkeypatch.setattr(magic, "GENE_BLOCK", 7)
    np.testing.assert_allclose(method.impute(COUNTS), whole, rtol=1e-12)


def test_rescaling_keeps_the_percentile_and_silent_genes():
    observed = np.random.default_rng(0).poisson(2.0, (300, 4)).astype(np.float64)
    observed[:, 1] = 0
    observed[:, 2] = 0
    observed[5, 2] = 3  # one cell in 300: the 99th percentile is 0, the largest value counts
    imputed = 0.3 * observed
    stretched = rescale(imputed, observed, 99)
    np.testing.assert_allclose(stretched, observed)
    np.testing.assert_array_equal(MAGIC(t=0, rescale_percent=0).fit(COUNTS).impute(COUNTS), COUNTS)


def test_recovers_counts_that_were_hidden():
    """Cells of three kinds: the neighbours know what the gene mean cannot."""
    rng = np.random.default_rng(0)
    mean = rng.gamma(1, 4, size=(3, 60))[rng.integers(3, size=300)]
    X = rng.poisson(mean)
    rows, columns = np.nonzero(X)
    hidden = rng.choice(rows.size, rows.size // 10, replace=False)
    at = rows[hidden], columns[hidden]
    corrupted = X.copy()
    corrupted[at] = 0
    error = {
        type(method).__name__: np.median(np.abs(method.fit(corrupted).impute(corrupted)[at] - X[at]))
        for method in (MAGIC(rescale_percent=0), GeneMean())  # rescaling aims at the upper counts, not at the mean
    }
    assert error["MAGIC"] < 0.7 * error["GeneMean"]


def test_other_cells_are_refused():
    method = MAGIC().fit(COUNTS)
    np.testing.assert_array_equal(method.impute(sp.csc_matrix(COUNTS.astype(float))), method.impute(COUNTS))
    with pytest.raises(ValueError, match="MAGIC has no map to cells it was not fitted to: call fit first"):
        method.impute(COUNTS[::-1])
    with pytest.raises(ValueError, match="at least 3 cells and 3 genes for its graph, not 2 × 40"):
        MAGIC().fit(COUNTS[:2])


@pytest.mark.parametrize(
    ("case", "parameters"),
    [
        ("default_t3", {}),
        ("t_auto", {"t": "auto"}),
        ("knn10_knnmax30_pca10_t3", {"knn": 10, "knn_max": 30, "n_pca": 10}),
        ("decay15", {"decay": 15}),
    ],
)
def test_magic_3_equals_its_package(case, parameters):
    pytest.importorskip("magic", reason='the extra "magic" is not installed')
    imputed = MAGIC3(**parameters).fit(COUNTS).impute(COUNTS)
    smoothed = np.sqrt(imputed / size_factors(sp.csr_matrix(COUNTS))[:, None])
    np.testing.assert_allclose(smoothed, GOLDEN3[case], atol=1e-6)


def test_magic_3_without_its_package_is_skipped(monkeypatch):
    monkeypatch.setitem(sys.modules, "magic", None)
    with pytest.raises(Skip, match=r'MAGIC 3 needs the extra "magic": pip install "\.\[magic\]"') as error:
        MAGIC3().fit(COUNTS)
    assert error.value.skip
