"""``SCVI(likelihood="poisson")``: its probabilities are SciPy's, and it does all that the others do."""

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy import stats
from scipy.special import logsumexp

from scvi_core import SCVI
from scvi_core.engines.plain import LikelihoodOfCells
from scvi_core.likelihood import LIKELIHOODS, Decoded, poisson_log_prob
from scvi_core.marginal import Joint, adapted_marginal, importance_weighted
from scvi_core.networks import Architecture, Network, initialise

POISSON = LIKELIHOODS["poisson"]


def decoded(log_rho):
    return Decoded(log_rho, None, {})


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_log_probability_in_many_digits(dtype, tolerance):
    x, mu = (a.ravel() for a in np.meshgrid([0, 1, 2, 7, 100, 12345, 10**6], [1e-6, 1e-2, 1.0, 7.3, 1e4, 1e6]))
    log_mu = torch.tensor(np.log(mu)).to(dtype)[:, None]
    ours = poisson_log_prob(torch.tensor(x).to(dtype)[:, None], log_mu)[:, 0].tolist()
    for a, count, log in zip(ours, x.tolist(), log_mu[:, 0].tolist(), strict=True):
        with mpmath.workdps(40):
            exact = count * mpmath.mpf(log) - mpmath.exp(mpmath.mpf(log)) - mpmath.loggamma(count + 1)
        assert abs(a - exact) <= tolerance * abs(exact)


def test_closed_forms_of_scipy():
    rng = np.random.default_rng(0)
    mu = rng.lognormal(1, 2, (50, 6))
    x = rng.poisson(mu)
    log_scale = torch.tensor(rng.normal(0, 1, (50, 1)))
    at = decoded(torch.tensor(np.log(mu)) - log_scale)
    counts = torch.tensor(x, dtype=torch.float64)
    expected = stats.poisson.logpmf(x, mu)
    np.testing.assert_allclose(POISSON.log_prob(counts, at, log_scale), expected, rtol=1e-12)
    np.testing.assert_allclose(POISSON.log_prob(counts, at, log_scale, POISSON.prepare(counts)), expected, rtol=1e-12)
    np.testing.assert_allclose(POISSON.zero_probability(at, log_scale), stats.poisson.pmf(0, mu), rtol=1e-12)


def test_gradient():
    x = torch.tensor([[0.0, 1, 2, 40], [3, 0, 0, 1000]], dtype=torch.float64)
    log_mu = torch.randn(2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).add(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda log_mu: poisson_log_prob(x, log_mu), [log_mu])


def test_draws_have_mean_and_variance_of_a_poisson_distribution():
    mu = torch.tensor([[0.05, 0.7, 4.0, 90.0]])
    at, scale = decoded((mu / 7).log().expand(40_000, 4)), torch.full((40_000, 1), 7.0)
    draws = POISSON.draw(at, scale, np.random.default_rng(0))
    assert draws.dtype == np.int64
    mu = mu[0].numpy()
    assert (np.abs(draws.mean(axis=0) - mu) < 4 * np.sqrt(mu / 40_000)).all()
    of_variance = np.sqrt((mu + 2 * mu**2) / 40_000)  # standard error: fourth moment mu + 3 mu², less mu²
    assert (np.abs(draws.var(axis=0) - mu) < 4 * of_variance).all()


def test_it_is_the_negative_binomial_of_infinite_theta():
    rng = np.random.default_rng(1)
    x, log_mu = torch.tensor(rng.poisson(5, (20, 4))).double(), torch.tensor(rng.normal(1, 1, (20, 4)))
    no_scale, log_theta = torch.zeros(20, 1).double(), torch.full((4,), 25.0).double()
    near = LIKELIHOODS["nb"].log_prob(x, Decoded(log_mu, log_theta, {}), no_scale)
    np.testing.assert_allclose(POISSON.log_prob(x, decoded(log_mu), no_scale), near, rtol=1e-7)


def test_marginal_likelihood_equals_quadrature():
    network = Network(Architecture(5, 1, n_latent=1, n_hidden=6, library="observed", likelihood="poisson")).double()
    initialise(network, "torch", torch.Generator().manual_seed(0))
    network.eval()
    cell = torch.tensor([[3.0, 0.0, 7.0, 1.0, 0.0]], dtype=torch.float64)
    z = torch.linspace(-6, 6, 241, dtype=torch.float64)[:, None]
    with torch.no_grad():
        rho = network.log_rho(z, torch.zeros(241, dtype=torch.int64)).exp().numpy()
    joint = stats.poisson.logpmf(cell.numpy(), 11 * rho).sum(axis=1) + stats.norm.logpdf(z[:, 0].numpy())
    expected = logsumexp(joint) + np.log(0.05)
    cells = network, cell.expand(100, 5), torch.zeros(100, dtype=torch.int64)
    with torch.no_grad():
        joint = Joint(*cells, LikelihoodOfCells(*cells))
        by_q, _ = importance_weighted(joint, 300, torch.Generator().manual_seed(0))
        adapted, _ = adapted_marginal(joint, 100, np.random.default_rng(0))
    assert by_q.mean().item() == pytest.approx(expected, abs=0.02)
    assert adapted.mean() == pytest.approx(expected, abs=0.02)


@pytest.fixture(scope="module")
def simulated():
    """Poisson counts of two types of cells, and the model fitted to them."""
    rng = np.random.default_rng(0)
    profile = rng.lognormal(0, 1, (2, 12))
    rates = (profile / profile.sum(axis=1, keepdims=True))[np.arange(400) % 2] * rng.lognormal(4, 0.3, (400, 1))
    X = rng.poisson(rates).astype(np.int32)
    X[:, 0] += X.sum(axis=1) == 0
    X, batch = sp.csr_matrix(X), np.arange(400) // 2 % 2
    options = {"n_hidden": 32, "n_latent": 3, "lr": 5e-3, "library": "observed", "kl_warmup_epochs": 0}
    return X, batch, rates, SCVI(likelihood="poisson", n_epochs=40, **options).fit(X, batch)


def test_training_improves_the_bound_and_finds_the_rates(simulated):
    X, batch, rates, model = simulated
    assert model.engine_ == "plain"
    assert not hasattr(model.network_, "log_theta")
    assert model.history_["loss"].iloc[-1] < model.history_["loss"].iloc[0] - 5
    error = np.abs(model.impute(X, batch) - rates).mean()
    assert error < 0.75 * np.abs(X.toarray() - rates).mean()  # nearer to the truth than the counts are


def test_every_question(simulated, tmp_path):
    X, batch, _, model = simulated
    group = np.arange(400) % 2 == 0
    imputed, draws = model.impute(X, batch, n_samples=100), model.sample(X, 60, batch)
    assert np.corrcoef(draws.mean(axis=0).ravel(), imputed.ravel())[0, 1] > 0.99
    assert model.latent(X, batch).shape == (400, 3)
    zero = model.nb_zero_probability(X, batch, n_samples=50)
    np.testing.assert_allclose((draws == 0).mean(axis=0).mean(axis=0), zero.mean(axis=0), atol=0.02)
    bound, weighted = model.loglik(X, batch).mean(), model.loglik(X, batch, n_samples=20).mean()
    marginal, error = model.marginal_loglik(X[:20], batch[:20], n_samples=50)
    assert bound < weighted
    assert np.isfinite(marginal).all()
    assert (error < 0.5).all()
    table = model.compare(X, group, ~group, batch, n_pairs=30, n_samples=10)
    truth = np.log(X[group].mean(axis=0) / X[~group].mean(axis=0))
    assert np.corrcoef(np.ravel(truth), table["log_fold_change"])[0, 1] > 0.9
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(SCVI.load(tmp_path / "model").impute(X, batch, n_samples=100), imputed)


def test_what_it_does_not_have_is_said(simulated):
    X, batch, _, model = simulated
    with pytest.raises(ValueError, match="Poisson has no dropout probability"):
        model.dropout_probability(X, batch)
    with pytest.raises(ValueError, match="has no dispersion: fit"):
        model.inverse_dispersion()
    with pytest.raises(ValueError, match="likelihood='poisson' has no dispersion, leave it at 'gene'"):
        SCVI(likelihood="poisson", dispersion="gene-cell").fit(X, batch)
