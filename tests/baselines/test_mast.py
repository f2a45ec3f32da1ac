"""MAST against the R package (tests/golden/mast.npz) and against cell-by-cell brute force."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import chi2, rankdata

from baselines.mast import MAST, _fit_variance_prior, _log_expression, _summarise

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "mast.npz")
CASES = [f"{start}_{rest}" for start in ("counts", "normalise") for rest in ("prior_shrink", "prior", "shrink")]


@pytest.fixture(scope="module")
def golden():
    return GOLDEN["counts"].astype(int), GOLDEN["group"]


@pytest.mark.parametrize("case", CASES)
def test_equals_the_r_package(golden, case):
    counts, group = golden
    options = {name: name in case for name in ("normalise", "prior", "shrink")}
    table = MAST(**options).compare(counts, group, ~group)
    expected = {name: GOLDEN[f"{case}__{name}"] for name in table.columns if name != "score"}

    np.testing.assert_allclose(table["lr_discrete"], expected["lr_discrete"], atol=1e-8)
    # R leaves the likelihood ratio undefined where all positive values are equal and lie in one group. Without
    # shrinkage it is the ratio of two rounding errors where those of a group are equal: there is nothing to divide.
    equal, alike = equal_positives(counts, group, options["normalise"])
    known = np.isfinite(expected["lr_continuous"]) & (options["shrink"] | ~equal)
    assert (known | equal).all()
    assert known.any()
    np.testing.assert_array_equal(table["lr_continuous"][alike & ~known], 0)
    np.testing.assert_allclose(table["lr_continuous"][known], expected["lr_continuous"][known], atol=1e-8)
    np.testing.assert_array_equal(table["df"], expected["df"])
    np.testing.assert_allclose(table["log_fold_change"], expected["log_fold_change"], atol=1e-10)

    # Twelve digits, because R orders two genes of exactly the same likelihood by their rounding error.
    ours, theirs = (
        rankdata([float(f"{p:.12g}") for p in values[known]]) for values in (table["pvalue"], expected["pvalue"])
    )
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(table["score"], -np.log(table["pvalue"]), rtol=1e-10, atol=1e-10)


def equal_positives(counts, group, normalise):
    """Genes whose positive values are equal within each group, and those of which all are equal, (n_genes,) each."""
    E = _log_expression(sp.csr_matrix(counts), normalise).toarray()

    def equal(E):
        return np.where(E > 0, E, 0).max(axis=0) - np.where(E > 0, E, np.inf).min(axis=0) < 1e-9

    within = [equal(E[own]) for own in (group, ~group)]
    return within[0] & within[1], equal(E)


def test_genes_whose_positive_values_are_equal_tell_no_difference():
    """A gene of ones: R divides two rounding errors, and finds anything between 0 and infinity."""
    counts, group = np.zeros((12, 3), dtype=int), np.arange(12) < 6
    counts[[0, 1, 2, 6, 7], 0] = 1
    counts[:, 1] = [1, 2, 3, 4, 5, 6, 2, 3, 4, 5, 6, 7]
    counts[[0, 1, 2, 6, 7], 2] = [1, 1, 1, 2, 2]
    table = MAST(shrink=False).compare(counts, group, ~group)
    assert table["lr_continuous"][0] == 0
    assert table["lr_continuous"][2] > 100  # equal within each group and different between them
    assert table["pvalue"].between(0, 1).all()


@pytest.mark.parametrize("case", ["counts_prior_shrink", "normalise_prior_shrink"])
def test_variance_prior_equals_the_r_package(golden, case):
    counts, _ = golden
    E = _log_expression(sp.csr_matrix(counts), "normalise" in case)
    variance, df = _fit_variance_prior(*_summarise(E, np.zeros(len(counts), dtype=int), 1))
    np.testing.assert_allclose(variance, GOLDEN[f"{case}__prior_variance"], rtol=1e-9)
    np.testing.assert_allclose(df, GOLDEN[f"{case}__prior_df"], rtol=1e-9)


@pytest.mark.parametrize("prior", [True, False])
def test_batches_enter_the_design(prior):
    """Every cell a row of the regression, the likelihoods maximised by a general optimiser."""
    rng = np.random.default_rng(0)
    n, genes = 90, 4
    group, batch = np.arange(n) % 2 == 0, np.array(["x", "y", "z"])[rng.integers(0, 3, n)]
    counts = rng.poisson(
        rng.uniform(0.1, 0.6, genes) * np.where(group, 1.5, 1.0)[:, None] * (1 + (batch == "y"))[:, None]
    )
    for label in "xyz":  # where all cells of a batch are alike the maximum lies at infinity, and nobody reaches it
        share = (counts > 0)[batch == label].mean(axis=0)
        assert ((share > 0) & (share < 1)).all()
    table = MAST(prior=prior, shrink=False).compare(counts, group, ~group, batch=batch)

    design = np.column_stack([np.ones(n), batch == "y", batch == "z", group]).astype(float)
    for g in range(genes):
        expressed, E = counts[:, g] > 0, np.log2(1 + counts[:, g])
        lr_c, lr_d, value = _brute_force(design, expressed, E, prior)
        row = table.iloc[g]
        np.testing.assert_allclose([row["lr_continuous"], row["lr_discrete"]], [lr_c, lr_d], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(row["log_fold_change"], value, rtol=1e-5)
        np.testing.assert_allclose(row["pvalue"], chi2.sf(lr_c + lr_d, 2), rtol=1e-6)


def _brute_force(design, expressed, E, prior):
    def deviance(coef, X):
        eta = X @ coef
        return 2 * (np.logaddexp(0, eta) - expressed * eta).sum()

    def penalised(coef, X):
        slope = np.insert(coef[1:], 0, 0.0) / 2.5**2
        at_mean = X.mean(axis=0) @ coef / 100
        gradient = 2 * (expit(X @ coef) - expressed) @ X + prior * 2 * (at_mean * X.mean(axis=0) + slope)
        return deviance(coef, X) + prior * (100 * at_mean**2 + slope @ coef), gradient

    fits = []
    for X in (design, design[:, :-1]):
        logistic = minimize(
            penalised, np.zeros(X.shape[1]), args=(X,), jac=True, method="BFGS", options={"gtol": 1e-9}
        ).x
        linear, (rss,), *_ = np.linalg.lstsq(X[expressed], E[expressed])
        fits.append((logistic, deviance(logistic, X), linear, rss))
    (coef_d, dev, coef_c, rss), (_, dev0, _, rss0) = fits
    mean = [(row @ coef_c) / (1 + np.exp(-row @ coef_d)) for row in (np.array([1, 0, 0, 0]), np.array([1, 0, 0, 1]))]
    return expressed.sum() * np.log(rss0 / rss), dev0 - dev, mean[1] - mean[0]


def test_genes_that_cannot_be_tested():
    counts = np.zeros((12, 4), dtype=int)
    counts[:6, 1] = [3, 1, 4, 1, 5, 9]  # in group a alone: no continuous test
    counts[0, 2] = 1  # one positive cell: discrete test alone
    counts[:, 3] = 2  # equal everywhere
    group = np.arange(12) < 6
    table = MAST().compare(counts, group, ~group)
    assert table["df"].tolist() == [0, 1, 1, 2]
    assert table["pvalue"][0] == 1
    assert table["score"][0] == 0
    np.testing.assert_allclose(table["pvalue"][3], 1)
    assert np.isfinite(table["pvalue"]).all()
    assert table["log_fold_change"].isna().tolist() == [True, True, True, False]
    empty = MAST().compare(np.zeros((12, 3)), group, ~group)
    assert (empty["pvalue"] == 1).all()


def test_direction_and_unused_cells(golden):
    counts, group = golden
    rest = np.arange(len(counts)) < 20
    a, b = group & ~rest, ~group & ~rest
    table, back = MAST().compare(counts, a, b), MAST().compare(counts, b, a)
    np.testing.assert_allclose(table["log_fold_change"], -back["log_fold_change"], atol=1e-10)
    np.testing.assert_allclose(table["pvalue"], back["pvalue"], rtol=1e-8)
    without = MAST().compare(counts[~rest], a[~rest], b[~rest])
    np.testing.assert_array_equal(table.to_numpy(), without.to_numpy())
    up = np.log(counts[a].mean(axis=0) + 0.1) > np.log(counts[b].mean(axis=0) + 0.1) + 1
    assert (table["log_fold_change"][up].dropna() > 0).all()


def test_pvalues_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(1)
    counts = rng.negative_binomial(2, 0.4, (200, 2000))
    group = np.arange(200) < 100
    p = MAST(prior=False, shrink=False).compare(counts, group, ~group)["pvalue"]
    levels = [0.05, 0.25, 0.5, 0.75]
    np.testing.assert_allclose(np.quantile(p, levels), levels, atol=0.035)
    shrunken = MAST().compare(counts, group, ~group)["pvalue"]
    assert 0.01 < (shrunken < 0.05).mean() < 0.03  # conservative, as the class says


def test_says_what_is_wrong(golden):
    counts, group = golden
    with pytest.raises(ValueError, match="group_b is empty"):
        MAST().compare(counts, group, np.zeros_like(group))
    with pytest.raises(ValueError, match="in both groups"):
        MAST().compare(counts, group, np.ones_like(group))
    with pytest.raises(ValueError, match="boolean mask"):
        MAST().compare(counts, group.astype(int), ~group)
    with pytest.raises(ValueError, match="batch=None"):
        MAST().compare(counts, group, ~group, batch=group)
