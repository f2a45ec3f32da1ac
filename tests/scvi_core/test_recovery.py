"""What is found again in data drawn from the model itself, with a nonlinear decoder that is not ours."""

import numpy as np
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from scvi_core import SCVI

N, GENES, KINDS = 1500, 99, 4


pytestmark = pytest.mark.slow  # one model, trained to the end


@pytest.fixture(scope="module")
def truth():
    """Equations 1-7 with clustered z: four kinds of cells in two batches that multiply a third of the genes."""
    rng = np.random.default_rng(1)
    kind, batch = rng.integers(0, KINDS, N), rng.integers(0, 2, N)
    angle = 2 * np.pi * kind / KINDS
    z = 3 * np.c_[np.cos(angle), np.sin(angle)] + rng.normal(0, 0.3, (N, 2))
    logits = np.tanh(z @ rng.normal(0, 0.5, (2, 12))) @ rng.normal(0, 0.6, (12, GENES)) + rng.normal(0, 0.7, GENES)
    effect = np.zeros(GENES)
    effect[::3] = rng.normal(0, 1.2, GENES // 3)

    def frequencies(logits):
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    rho = frequencies(logits + batch[:, None] * effect)
    theta = rng.lognormal(1.6, 0.6, GENES)
    library = rng.lognormal(7.5, 0.5, N)
    pi = rng.uniform(0.02, 0.3, GENES)
    y = rng.poisson(library[:, None] * rng.gamma(theta, rho / theta))
    X = np.where(rng.random((N, GENES)) < pi, 0, y)
    return {"X": X, "y": y, "kind": kind, "batch": batch, "rho": rho, "theta": theta, "library": library, "pi": pi}


@pytest.fixture(scope="module")
def model(truth):
    return fit(truth)


def fit(truth, **parameters):
    """The encoder of l gives an offset: with the paper's form the same takes several times as many epochs."""
    options = {"n_latent": 4, "n_hidden": 64, "n_epochs": 200, "lr": 1e-2, "kl_warmup_epochs": 50} | parameters
    return SCVI(library_encoder="offset", **options).fit(truth["X"], truth["batch"])


def test_library_size(model, truth):
    """Closer than the number of counts, which dropout and the noise of single genes distort."""
    found = model.library_size(truth["X"], truth["batch"])
    r = np.corrcoef(np.log(found), np.log(truth["library"]))[0, 1]
    assert r > 0.95
    assert r > np.corrcoef(np.log(truth["X"].sum(axis=1)), np.log(truth["library"]))[0, 1]


def test_frequencies(model, truth):
    found = model.normalized(truth["X"], truth["batch"])
    per_cell = [np.corrcoef(np.log(a), np.log(b))[0, 1] for a, b in zip(found, truth["rho"], strict=True)]
    assert np.median(per_cell) > 0.97


def test_imputation_restores_what_was_dropped(model, truth):
    X, y = truth["X"], truth["y"]
    dropped = (X == 0) & (y > 0)
    error = np.median(np.abs(model.impute(X, truth["batch"]) - y)[dropped])
    oracle = np.median(np.abs(truth["library"][:, None] * truth["rho"] - y)[dropped])
    gene_mean = np.median(np.abs(np.broadcast_to(X.mean(axis=0), X.shape) - y)[dropped])
    assert oracle < error < 1.15 * oracle
    assert error < 0.7 * gene_mean


def test_dispersion(model, truth):
    often = truth["X"].mean(axis=0) > 3  # where there is something to see
    ratio = model.inverse_dispersion()[often] / truth["theta"][often]
    assert stats.spearmanr(model.inverse_dispersion()[often], truth["theta"][often]).statistic > 0.8
    assert 0.6 < np.median(ratio) < 1.6
    assert ((ratio > 0.4) & (ratio < 2.5)).mean() > 0.9


def test_dropout_probability(model, truth):
    """Identifiable where the negative binomial has next to no zeros of its own."""
    clear = (truth["y"] == 0).mean(axis=0) < 0.05
    assert clear.sum() >= 5
    found = model.dropout_probability(truth["X"], truth["batch"]).mean(axis=0)[clear]
    np.testing.assert_allclose(found, truth["pi"][clear], atol=0.06)


def test_latent_space(model, truth):
    z = model.latent(truth["X"], truth["batch"])
    clusters = KMeans(KINDS, n_init=10, random_state=0).fit_predict(z)
    assert adjusted_rand_score(truth["kind"], clusters) > 0.9
    neighbours = NearestNeighbors(n_neighbors=30).fit(z).kneighbors(return_distance=False)
    same = (truth["batch"][neighbours] == truth["batch"][:, None]).mean()
    assert same < 0.58  # 0.5 is perfect mixing
    raw = np.log1p(truth["X"])
    neighbours = NearestNeighbors(n_neighbors=30).fit(raw).kneighbors(return_distance=False)
    assert (truth["batch"][neighbours] == truth["batch"][:, None]).mean() > 0.7  # the effect was there


def test_predictive_intervals_are_calibrated(model, truth):
    """Held-out cells of the model: their randomised ranks among posterior predictive draws are uniform."""
    X, batch = truth["X"], truth["batch"]
    draws = model.sample(X, 99, batch)
    rng = np.random.default_rng(0)
    below, ties = (draws < X).sum(axis=0), (draws == X).sum(axis=0)
    rank = (below + rng.random(X.shape) * (ties + 1)) / 100
    for level in (0.5, 0.9):
        inside = np.abs(rank - 0.5) < level / 2
        assert inside.mean() == pytest.approx(level, abs=0.03)


def test_zinb_beats_nb_on_zero_inflated_data(model, truth):
    nb = fit(truth, likelihood="nb")
    assert model.loglik(truth["X"], truth["batch"]).mean() > nb.loglik(truth["X"], truth["batch"]).mean() + 1
