"""The posterior experiment, evaluated in this process, and the authors' draws."""

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from baselines.base import Method
from baselines.controls import IndependentGenes
from baselines.fa import FA
from baselines.zifa import ZIFA
from experiments import posterior
from experiments.loop.job import Seeds
from experiments.tasks.authors_draws import authors_draws
from scvi_core import SCVI

PROTOCOL = {
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "posterior": {"entries": "all", "draws": "posterior", "bins": 20, "normalised": "columns"},
}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def adata():
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(2, 2, size=(2, 15))[np.arange(160) % 2]) + (np.arange(15) == 0)
    adata = ad.AnnData(sp.csr_matrix(X.astype(np.int32)))
    adata.var_names = [f"gene{i}" for i in range(14)] + ["Thy1"]
    return adata


class Echo(Method):
    """Draws the truth, plus a shift."""

    def __init__(self, shift=0):
        self.shift = shift

    def fit(self, X, batch=None):
        return self

    def sample(self, X, n_samples, batch=None):
        return np.repeat(X.toarray()[None] + self.shift, n_samples, axis=0)


def change(**values):
    return PROTOCOL | {"posterior": PROTOCOL["posterior"] | values}


def test_draws_of_the_truth_score_best_and_lie_on_the_diagonal(adata):
    scores, arrays, facts = posterior.evaluate(Echo(), adata, PROTOCOL, SEEDS)
    assert scores == {"crps": 0, "coverage": 1}
    counts = adata.X.toarray()[:, 14]
    occupied = arrays["heat"].sum(axis=1) > 0
    np.testing.assert_allclose(np.diag(arrays["heat"]), occupied)
    assert facts["gene"] == "Thy1"
    assert arrays["edges"][-1] == pytest.approx(counts.max(), abs=1)
    assert all((arrays[f"draws_{value}"] == value).all() for value in range(10))
    assert posterior.evaluate(Echo(2), adata, PROTOCOL, SEEDS)[0] == {"crps": 2, "coverage": 0}


def test_entries_are_the_same_for_all_methods_and_may_be_nonzero_only(adata):
    hashes = {posterior.evaluate(m, adata, PROTOCOL, SEEDS)[2]["entries_sha256"] for m in (Echo(), FA(n_latent=2))}
    assert len(hashes) == 1
    _, arrays, facts = posterior.evaluate(Echo(), adata, change(entries="nonzero"), SEEDS)
    assert arrays["draws_0"].size == 0
    assert facts["n_entries"] < posterior.evaluate(Echo(), adata, PROTOCOL, SEEDS)[2]["n_entries"]


def test_heat_is_normalised_over_the_side_that_the_protocol_names(adata):
    for normalised, axis in (("columns", 1), ("rows", 0)):
        _, arrays, _ = posterior.evaluate(Echo(1), adata, change(normalised=normalised, bins=15), SEEDS)
        assert arrays["heat"].shape == (15, 15)
        sums = arrays["heat"].sum(axis=axis)
        np.testing.assert_allclose(sums[sums > 0], 1)
    assert arrays["heat"].min() > 0  # one in every bin


def test_rows_of_the_heat_map_are_observed_counts():
    observed, draws = np.array([0, 0, 9]), np.array([[0, 9, 9]])
    heat, _ = posterior._heat(observed, draws, 2, "columns")
    np.testing.assert_array_equal(heat, [[0.5, 0.5], [0, 1]])


def test_a_model_beats_draws_that_know_nothing_of_the_cell(adata):
    fa, control = (posterior.evaluate(m, adata, PROTOCOL, SEEDS)[0] for m in (FA(n_latent=2), IndependentGenes()))
    assert fa["crps"] < control["crps"]
    assert control["coverage"] > 0.85


def test_the_authors_noise_is_shared_by_all_cells(adata):
    X = adata.X
    fa = FA(n_latent=2).fit(X)
    draws = authors_draws(fa, X, 3000, None, np.random.default_rng(0))
    noise = np.log1p(draws[:, :2]) - (fa.latent(X[:2]) @ fa.model_.components_ + fa.model_.mean_)
    np.testing.assert_allclose(noise[:, 0], noise[:, 1], atol=1e-8)
    np.testing.assert_allclose(noise[:, 0].var(axis=0), fa.model_.noise_variance_, rtol=0.12)
    zifa = ZIFA(n_latent=2, max_iter=3).fit(X)
    draws = authors_draws(zifa, X, 400, None, np.random.default_rng(0))
    mean = zifa.latent(X[:1]) @ zifa.loadings_.T + zifa.mean_
    gene = int(mean.argmax())  # rarely dropped
    kept = draws[:, 0, gene][draws[:, 0, gene] != 0]
    assert np.log1p(kept).var() == pytest.approx(zifa.noise_sd_[gene], rel=0.25)
    assert (draws == 0).any()


def test_the_authors_scvi_has_one_dispersion_and_no_dropout(adata):
    scvi = SCVI(n_hidden=8, n_latent=2, n_epochs=1, library="observed", engine="plain").fit(adata.X)
    theta = scvi.network_.log_theta.data
    theta[:] = 10.0
    theta[0] = -3.0  # the first gene: nearly always zero, then very large
    before = theta.clone()
    draws = authors_draws(scvi, adata.X, 20, None, np.random.default_rng(0))
    assert (draws == 0).mean() > 0.7
    assert (scvi.network_.log_theta.data == before).all()
    assert (scvi.sample(adata.X, 20, dropout=False)[..., 1:] == 0).mean() < 0.5
