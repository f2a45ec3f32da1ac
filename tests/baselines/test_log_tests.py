"""Welch's t test and Wilcoxon's rank-sum test against scanpy (tests/golden/scanpy_rows.npz) and by hand."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from baselines.ttest import TTest
from baselines.wilcoxon import Wilcoxon

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "scanpy_rows.npz")
COUNTS, KIND = GOLDEN["counts"], GOLDEN["kind"]
BOTH = [TTest(), Wilcoxon()]


@pytest.mark.parametrize(("method", "case"), [(TTest(), "ttest"), (Wilcoxon(continuity=False), "wilcoxon")])
def test_equals_scanpy(method, case):
    found = method.fit(COUNTS).compare(COUNTS, KIND == 0, KIND == 1)
    np.testing.assert_allclose(found["pvalue"], GOLDEN[f"{case}__pvalue"], rtol=1e-6)
    np.testing.assert_allclose(found["statistic"], GOLDEN[f"{case}__statistic"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["score"], -np.log(GOLDEN[f"{case}__pvalue"]), rtol=1e-6)


@pytest.mark.parametrize("method", BOTH)
def test_the_fold_change_is_that_of_the_means(method):
    library = COUNTS.sum(axis=1, keepdims=True)
    Y = np.log2(1 + COUNTS / library * np.median(library[KIND < 2]))
    found = method.fit(COUNTS).compare(COUNTS, KIND == 0, KIND == 1)
    np.testing.assert_allclose(found["log_fold_change"], Y[KIND == 0].mean(axis=0) - Y[KIND == 1].mean(axis=0))


def test_the_correction_for_continuity_is_that_of_the_definition():
    """Half a rank nearer to the mean of U, against the variance with ties, for one gene by hand."""
    X = COUNTS[KIND < 2][:, [0, 7]]
    X[:, 0] += 1000  # so that the other gene's order is nearly that of its counts
    a = KIND[KIND < 2] == 0
    y = np.log1p(X[:, 1] / X.sum(axis=1) * np.median(X.sum(axis=1)))
    ranks, (_, ties), n = stats.rankdata(y), np.unique(y, return_counts=True), len(y)
    u = ranks[a].sum() - a.sum() * (a.sum() + 1) / 2
    variance = a.sum() * (~a).sum() / 12 * (n + 1 - (ties**3 - ties).sum() / n / (n - 1))
    z = (abs(u - a.sum() * (~a).sum() / 2) - 0.5) / np.sqrt(variance)
    found = Wilcoxon().fit(X).compare(X, a, ~a)
    np.testing.assert_allclose(found["pvalue"][1], 2 * stats.norm.sf(z), rtol=1e-9)


@pytest.mark.parametrize("method", BOTH)
def test_p_values_of_no_difference_are_uniform(method):
    rng = np.random.default_rng(0)
    X = rng.negative_binomial(2, 0.2, size=(200, 1500))
    p = method.fit(X).compare(X, np.arange(200) < 100, np.arange(200) >= 100)["pvalue"]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert abs((p < 0.05).mean() - 0.05) < 0.017  # three standard errors


@pytest.mark.parametrize("method", BOTH)
def test_swapped_groups_swap_the_sign(method):
    a, b = KIND == 0, KIND == 1
    found, swapped = (method.fit(COUNTS).compare(COUNTS, *groups) for groups in ((a, b), (b, a)))
    np.testing.assert_allclose(found["pvalue"], swapped["pvalue"])
    for name in ("log_fold_change", "statistic"):
        np.testing.assert_allclose(found[name], -swapped[name], atol=1e-12)
        assert (np.sign(found[name]) != 0).all()


@pytest.mark.parametrize("method", BOTH)
def test_a_gene_without_differences_has_the_p_value_one(method):
    X = COUNTS.copy()
    X[:, 4] = 0
    found = method.fit(X).compare(X, KIND == 0, KIND == 1)
    assert found.loc[4, ["score", "log_fold_change", "pvalue", "statistic"]].tolist() == [0, 0, 1, 0]
    assert np.isfinite(found).all(axis=None)


def test_a_single_cell_has_no_variance():
    one = np.arange(len(COUNTS)) == 0
    assert (TTest().fit(COUNTS).compare(COUNTS, one, ~one)["pvalue"] == 1).all()


@pytest.mark.parametrize("method", BOTH)
def test_a_target_that_is_no_number_of_counts_is_refused(method):
    with pytest.raises(ValueError, match="target=-1: choose a positive number of counts, or null for the median"):
        type(method)(target=-1).fit(COUNTS)
