"""The tuning experiment, evaluated in this process."""

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from baselines.base import Method
from baselines.controls import IndependentGenes
from experiments import tuning
from experiments.loop.job import Seeds
from experiments.metrics.imputation import cell_medians
from scvi_core import SCVI

PROTOCOL = {
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "corruption": {"uniform": {"fraction": 0.1, "zero_probability": 0.9}},
    "imputation": {"scored": "changed"},
    "scvi": {"library_cells": "fitted"},
}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def adata():
    rng = np.random.default_rng(0)
    X = rng.poisson(np.exp(rng.normal(size=(120, 2)) @ rng.normal(size=(2, 20)) / 2 + 1)) + (np.arange(20) == 0)
    return ad.AnnData(sp.csr_matrix(X.astype(np.int32)))


def test_medians_of_cells_are_those_of_numpy():
    rng = np.random.default_rng(0)
    rows, original, imputed = rng.integers(5, size=40), rng.poisson(4, 40), rng.normal(4, 1, 40)
    expected = [np.median(np.abs(original - imputed)[rows == row]) for row in np.unique(rows)]
    np.testing.assert_allclose(cell_medians(original=original, imputed=imputed, rows=rows), expected)


class Off(Method):
    """Imputes the counts that it sees, and so misses all that is hidden; a large cell is an unlikely one."""

    def fit(self, X, batch=None):
        self.seen_ = X
        return self

    def impute(self, X, batch=None):
        return X.toarray().astype(float)

    def loglik(self, X, batch=None):
        return -np.asarray(X.sum(axis=1)).ravel()

    def marginal_loglik(self, X, batch=None, random_state=0):
        return self.loglik(X), np.full(X.shape[0], 0.1)


def test_hidden_counts_are_missed_by_their_size(adata):
    """Where all is set to zero that is chosen, an error is the count itself."""
    whole = PROTOCOL | {"corruption": {"uniform": {"fraction": 0.1, "zero_probability": 1.0}}}
    scores, _, facts = tuning.evaluate(Off(), adata, whole, SEEDS)
    assert scores["median_of_cell_medians"] == pytest.approx(scores["median_l1"], abs=1)
    assert scores["mean_of_cell_medians"] > 1
    assert facts["n_train"] == 90
    assert scores["loglik_marginal"] == pytest.approx(-adata.X.sum() / 120, rel=0.1)
    assert "elbo" not in scores  # it is nobody's bound


@pytest.mark.slow
def test_scvi_has_all_scores_and_its_bound_lies_below_the_marginal(adata):
    model = SCVI(n_hidden=8, n_latent=2, n_epochs=30, lr=1e-2)
    scores, _, facts = tuning.evaluate(model, adata, PROTOCOL, SEEDS)
    assert set(scores) == set(tuning.SCORES)
    assert scores["elbo"] < scores["loglik_marginal"]
    other = tuning.evaluate(Off(), adata, PROTOCOL, SEEDS)[2]
    assert {name: facts[name] for name in other if name.endswith("_sha256")} == {
        name: other[name] for name in ("test_sha256", "corrupted_sha256")
    }
    assert set(tuning.evaluate(IndependentGenes(), adata, PROTOCOL, SEEDS)[0]) == {"loglik_marginal"}  # all it can
