"""The sampler of marginal likelihoods where the answer is known: Gaussian models."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, multivariate_t, norm

from baselines.fa import FA
from baselines.pca import PCA
from baselines.zifa import ZIFA
from baselines.zifa.em import Parameters, posterior
from scvi_core.marginal import Proposal, adapted, sampled_marginal


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(1, 0.5, size=30) + rng.normal(size=(120, 3)) @ rng.normal(scale=0.4, size=(3, 30)))
    X = rng.poisson(mean)
    X[rng.random(X.shape) < 0.2] = 0
    X[:, 0] += 1
    return X


def linear_gaussian(loadings, y, mean, variance):
    """Log joint of y = loadings z + mean + noise and z ~ N(0, I) given z, with mode and root of its posterior."""
    precision = np.eye(loadings.shape[1]) + (loadings.T[None] / variance[:, None, :]) @ loadings
    covariance = np.linalg.inv(precision)
    mode = np.einsum("nkl,nl->nk", covariance, ((y - mean) / variance) @ loadings)

    def log_joint(z):
        z = z.numpy()
        value = norm.logpdf(y, z @ loadings.T + mean, np.sqrt(variance)).sum(1) + norm.logpdf(z).sum(1)
        return torch.from_numpy(value)

    return log_joint, [Proposal(torch.from_numpy(mode), torch.from_numpy(np.linalg.cholesky(covariance)))]


def assert_within_errors(sampled, exact):
    loglik, error = sampled
    deviation = (loglik - exact) / error
    assert (error > 0).all()
    assert (error < 0.05).all()
    assert np.abs(deviation).max() < 4.5  # of 120 cells
    assert 0.8 < deviation.std() < 1.2
    assert abs(deviation.mean()) < 0.4


@pytest.mark.slow
def test_factor_analysis_exact_and_sampled(counts):
    method = FA(3).fit(counts)
    exact = method.loglik(counts)
    y = np.log1p(counts)
    loadings, noise = method.model_.components_.T, method.model_.noise_variance_
    normal = multivariate_normal(method.model_.mean_, loadings @ loadings.T + np.diag(noise))
    np.testing.assert_allclose(exact, normal.logpdf(y) - y.sum(1), atol=1e-8)

    posterior = linear_gaussian(loadings, y, method.model_.mean_, np.broadcast_to(noise, y.shape))
    loglik, error = sampled_marginal(*posterior, n_samples=2000, rng=np.random.default_rng(1))
    assert_within_errors((loglik - y.sum(1), error), exact)


def test_pca_is_its_probabilistic_model(counts):
    method = PCA(3).fit(counts)
    exact = method.loglik(counts)
    y = np.log1p(counts)
    values, vectors = np.linalg.eigh(np.cov(y.T))
    noise = values[:-3].mean()
    covariance = noise * np.eye(30) + (vectors[:, -3:] * (values[-3:] - noise)) @ vectors[:, -3:].T
    np.testing.assert_allclose(exact, multivariate_normal(y.mean(0), covariance).logpdf(y) - y.sum(1), atol=1e-8)


@pytest.mark.slow
def test_zifa_exact_and_sampled(counts):
    """A zero given z: the integral over x of N(x; m, s^2) exp(-decay x^2) is exp(-decay m^2 / c) / sqrt(c)."""
    method = ZIFA(3, max_iter=10).fit(counts)
    y, decay = np.log1p(counts), method.decay_
    parameters = Parameters(method.loadings_, method.mean_, method.noise_sd_, decay)
    exact = posterior(y, parameters)[2] - y.sum(1)
    zero, c = counts == 0, 1 + 2 * decay * method.noise_sd_**2
    variance = np.where(zero, method.noise_sd_**2 + 0.5 / decay, method.noise_sd_**2)
    _, proposals = linear_gaussian(method.loadings_, y, method.mean_, variance)

    def log_joint(z):
        m = z.numpy() @ method.loadings_.T + method.mean_
        detected = np.log(-np.expm1(-decay * np.where(zero, 1, y) ** 2))
        observed = norm.logpdf(y, m, method.noise_sd_) + detected
        value = np.where(zero, -decay * m**2 / c - 0.5 * np.log(c), observed).sum(1) + norm.logpdf(z).sum(1)
        return torch.from_numpy(value)

    loglik, error = sampled_marginal(log_joint, proposals, 2000, np.random.default_rng(2))
    assert_within_errors((loglik - y.sum(1), error), exact)


@pytest.mark.slow
def test_one_of_two_proposals_is_enough(counts):
    """Weighed by the mixture, draws from a place where the posterior is not do not move the estimate."""
    method = FA(3).fit(counts)
    y, noise = np.log1p(counts), method.model_.noise_variance_
    log_joint, (good,) = linear_gaussian(
        method.model_.components_.T, y, method.model_.mean_, np.broadcast_to(noise, y.shape)
    )
    astray = Proposal(good.centre + 3, good.root)
    loglik, error = sampled_marginal(log_joint, [astray, good], 4000, np.random.default_rng(1))
    assert (np.abs(loglik - y.sum(1) - method.loglik(counts)) < 4.5 * error).all()
    assert error.max() < 0.05


@pytest.mark.slow
def test_a_proposal_finds_the_posterior_of_a_factor_analysis(counts):
    """From seven deviations away and three times too narrow it ends at the mean and covariance in closed form."""
    method = FA(3).fit(counts)
    y, noise = np.log1p(counts), method.model_.noise_variance_
    log_joint, (exact,) = linear_gaussian(
        method.model_.components_.T, y, method.model_.mean_, np.broadcast_to(noise, y.shape)
    )
    rng = np.random.default_rng(1)
    found = adapted(log_joint, Proposal(exact.centre + 3, 0.3 * exact.root), rng)
    away = torch.linalg.solve_triangular(exact.root, (found.centre - exact.centre)[:, :, None], upper=False)
    assert away.square().mean().sqrt() < 0.1  # of a standard deviation; 200 draws leave 0.07
    spread = torch.linalg.solve_triangular(exact.root, found.root, upper=False)
    assert torch.allclose((spread @ spread.mT).mean(0), torch.eye(3).double(), atol=0.05)
    sampled = sampled_marginal(log_joint, [found], 2000, rng)
    assert_within_errors((sampled[0] - y.sum(1), sampled[1]), method.loglik(counts))


def test_a_proposal_finds_correlations():
    normal = multivariate_normal([1, -1], [[1, 0.9], [0.9, 1]])
    start = Proposal(torch.zeros(100, 2).double(), torch.eye(2).double().expand(100, 2, 2))
    found = adapted(lambda z: torch.from_numpy(normal.logpdf(z)), start, np.random.default_rng(0))
    covariance = (found.root @ found.root.mT).mean(0)
    expected = [[1, 0.9 * 40 / 42], [0.9 * 40 / 42, 1]]  # with 40 effective draws two dimensions are shrunk by 40/42
    np.testing.assert_allclose(covariance, expected, atol=0.04)
    np.testing.assert_allclose(found.centre.mean(0), [1, -1], atol=0.04)


def test_density_of_the_proposal():
    """A correlated normal in two dimensions, weighed by draws of the t distribution: its integral is one."""
    n = 50_000
    root = torch.tensor([[0.5, 0.0], [0.3, 0.4]]).double().expand(n, 2, 2)
    proposal = Proposal(torch.full((n, 2), 2.0).double(), root)
    draw = proposal.draw(np.random.default_rng(0))
    log_density = proposal.log_density(draw)
    np.testing.assert_allclose(log_density[:50], multivariate_t([2, 2], root[0] @ root[0].T, df=10).logpdf(draw[:50]))
    target = multivariate_normal([2.2, 1.9], [[0.16, 0.08], [0.08, 0.2]]).logpdf(draw.numpy())
    assert np.mean(np.exp(target - log_density.numpy())) == pytest.approx(1, abs=0.015)


def test_one_draw_has_no_error():
    with pytest.raises(ValueError, match="n_samples is 1: a standard error needs at least 2 draws"):
        sampled_marginal(None, [Proposal(torch.zeros(3, 1), torch.ones(3, 1, 1))], 1, np.random.default_rng(0))
