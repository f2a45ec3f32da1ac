"""The zero inflation experiment, evaluated in this process, and its statistics."""

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import nbinom

from baselines.base import Method
from datasets import zero_inflated
from experiments import zero_inflation
from experiments.loop.job import Seeds
from experiments.metrics.predictive import gene_statistics, ks_distance
from experiments.metrics.ranks import better_of
from scvi_core import SCVI

PROTOCOL = {"split": {"train": 0.75, "test": 0.25, "random_state": None}, "scvi": {"library_cells": "fitted"}}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def adata():
    return zero_inflated.load(lam=[0, 10], n_cells=120, n_genes=20)


class Echo(Method):
    """Draws the truth, some of it set to zero."""

    def __init__(self, kept=1.0):
        self.kept = kept

    def fit(self, X, batch=None):
        self.fitted_ = X
        return self

    def sample(self, X, n_samples, batch=None):
        kept = np.random.default_rng(0).random((n_samples, *X.shape)) < self.kept
        return X.toarray()[None] * kept


def test_statistics_of_genes_are_those_of_numpy():
    counts = np.array([[0, 2, 0], [4, 0, 0], [2, 4, 0], [2, 2, 0]])
    found = gene_statistics(counts)
    np.testing.assert_allclose(found["cv"][:2], [np.sqrt(2) / 2, np.sqrt(2) / 2])
    np.testing.assert_allclose(found["zeros"], [0.25, 0.25, 1])
    np.testing.assert_allclose(found["zeros_to_expression"][:2], [0.125, 0.125])
    assert np.isnan([found["cv"][2], found["zeros_to_expression"][2]]).all()  # no count: nothing to divide by


def test_the_distance_is_the_largest_between_the_steps():
    assert ks_distance(observed=np.array([0.0, 1, np.nan]), drawn=np.array([0.0, 1])) == 0
    assert ks_distance(observed=np.arange(4.0), drawn=np.arange(4.0) + 1) == 0.25
    assert ks_distance(observed=np.arange(4.0), drawn=np.arange(4.0) + 9) == 1


def test_ranks_decide_as_the_authors_did():
    low, high = np.arange(20.0), np.arange(20.0) + 15
    assert better_of(low, high, better="lower") == 0
    assert better_of(low, high, better="higher") == 1
    assert better_of(low, low + 0.5, better="lower") is None
    assert better_of(low, [], better="lower") is None


def test_draws_of_the_truth_are_at_no_distance(adata):
    scores, arrays, facts = zero_inflation.evaluate(Echo(), adata, PROTOCOL, SEEDS, lam="0")
    assert scores["ks_cv"] == scores["ks_zeros"] == scores["ks_zeros_to_expression"] == 0
    assert facts["n_genes"] == 20
    assert facts["set_to_zero"] == pytest.approx(0.08, abs=0.015)
    np.testing.assert_array_equal(arrays["observed_zeros"], arrays["drawn_zeros"])
    off = zero_inflation.evaluate(Echo(0.5), adata, PROTOCOL, SEEDS, lam="0")[0]
    assert off["ks_zeros"] > 0.9
    assert off["share_of_zeros"] == scores["share_of_zeros"] > 0.06


def test_the_parts_of_the_data_are_the_axis_and_others_are_refused(adata):
    def settled(data, *asked):
        return zero_inflation.settle({"experiment": {"axes": {"lam": list(asked)}}}, data)

    bare = ad.AnnData(sp.csr_matrix(np.ones((4, 3), dtype=np.int32)))
    assert settled(adata, "each") == {"lam": ["0", "10"]}
    assert settled(adata, 10) == {"lam": ["10"]}
    assert settled(bare, "each") == {"lam": ["all"]}
    with pytest.raises(ValueError, match=r"the data have no part '0\.5'; they have 0, 10"):
        settled(adata, 0.5)


def test_the_most_variable_genes_are_taken(monkeypatch):
    X = np.random.default_rng(0).poisson(3, size=(60, 6))
    X[:, 1] *= 9
    X[:, 4] *= 5
    X[0, [1, 4]] = 0  # a cell without a count of these
    monkeypatch.setattr(zero_inflation, "N_GENES", 2)
    spy = Echo()
    facts = zero_inflation.evaluate(spy, ad.AnnData(sp.csr_matrix(X)), PROTOCOL, SEEDS, lam="all")[2]
    assert spy.fitted_.shape[1] == facts["n_genes"] == 2
    assert set(spy.fitted_.toarray()[:, 0]) <= set(X[:, 1])
    assert facts["n_train"] + facts["n_test"] == 59


@pytest.mark.slow
def test_scvi_has_all_scores_and_a_model_without_dropout_has_no_share_of_it(adata):
    tiny = {"n_hidden": 8, "n_latent": 2, "n_epochs": 2}
    own = {}
    for likelihood in ("zinb", "nb"):
        model = SCVI(likelihood=likelihood, **tiny)
        own[likelihood] = zero_inflation.evaluate(model, adata, PROTOCOL, SEEDS, lam="10")[0]
        assert np.isfinite(list(own[likelihood].values())).all()
    assert set(own["zinb"]) == set(zero_inflation.SCORES)
    assert set(own["nb"]) == set(zero_inflation.SCORES) - {"mean_dropout"}
    assert 0 < own["zinb"]["mean_dropout"] < 1


def both(counts):
    """Scores of ZINB and of NB, trained until their dispersions have settled."""
    data = ad.AnnData(sp.csr_matrix(counts.astype(np.int32)))
    options = {"n_hidden": 16, "n_latent": 2, "n_epochs": 200, "lr": 3e-2, "adam_eps": 1e-4, "kl_warmup_epochs": 20}
    models = (SCVI(likelihood=likelihood, **options) for likelihood in ("zinb", "nb"))
    return [zero_inflation.evaluate(model, data, PROTOCOL, SEEDS, lam="all")[0] for model in models]


@pytest.mark.slow
def test_each_law_is_found_where_it_is_the_true_one():
    """Counts of one negative binomial a gene, whose likelihood is known, and the same with 30% of them set to zero."""
    rng = np.random.default_rng(0)
    mean, theta = rng.uniform(10, 30, 10), 4.0
    X = nbinom.rvs(theta, theta / (theta + mean), size=(600, 10), random_state=rng)
    entropy = -nbinom.logpmf(X, theta, theta / (theta + mean)).sum(axis=1).mean()
    zinb, nb = both(X)
    assert nb["loglik_marginal"] == pytest.approx(-entropy, abs=0.8)  # 150 held-out cells: the mean varies by 0.2
    assert zinb["loglik_marginal"] < nb["loglik_marginal"] + 0.1
    assert zinb["mean_dropout"] < 0.02
    zinb, nb = both(X * (rng.random(X.shape) > 0.3))
    assert zinb["loglik_marginal"] > nb["loglik_marginal"] + 1
    assert zinb["ks_zeros"] < nb["ks_zeros"]
    assert 0.15 < zinb["mean_dropout"] < 0.35
