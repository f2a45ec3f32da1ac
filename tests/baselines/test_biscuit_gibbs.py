"""BISCUIT's sampler: its densities against scipy and quadrature, its conditionals by a joint-distribution test."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import gammaln
from scipy.stats import invgamma, invwishart, multivariate_normal, multivariate_t, norm

from baselines.biscuit import gibbs
from baselines.biscuit.gibbs import (
    Moments,
    Prior,
    State,
    Summary,
    _draw_labels,
    draw_moments,
    expected_moments,
    log_density,
    log_evidence,
    log_marginal,
    merge_start,
    posterior,
    sweep,
)


def _prior(d, concentration=0.7):
    rng = np.random.default_rng(d)
    a = rng.normal(size=(d, d))
    return Prior(
        mean=rng.normal(1, 0.3, d),
        kappa=0.8,
        scale=a @ a.T + np.eye(d),
        df=d + 5.0,
        alpha_mean=1.0,
        alpha_var=0.3,
        beta_shape=6.0,
        beta_rate=5.0,
        concentration=concentration,
    )


def _cells(rng, n, d):
    return rng.normal(1, 1, (n, d)), rng.normal(1, 0.3, n), rng.uniform(0.5, 2, n)


def test_density_equals_scipy():
    rng = np.random.default_rng(0)
    x, alpha, beta = _cells(rng, 4, 3)
    moments = Moments(rng.normal(size=3), rng.normal(size=(3, 3)))
    covariance = np.linalg.inv(moments.root.T @ moments.root)
    expected = [
        multivariate_normal(a * moments.mean, b * covariance).logpdf(row)
        for row, a, b in zip(x, alpha, beta, strict=True)
    ]
    np.testing.assert_allclose(log_density(x, alpha, beta, moments), expected, rtol=1e-9)


def test_marginal_of_a_new_cluster_equals_scipy():
    rng, prior = np.random.default_rng(1), _prior(3)
    x, alpha, beta = _cells(rng, 4, 3)
    df = prior.df - 3 + 1
    expected = [
        multivariate_t(a * prior.mean, (b + a**2 / prior.kappa) * prior.scale / df, df).logpdf(row)
        for row, a, b in zip(x, alpha, beta, strict=True)
    ]
    marginal = log_marginal(x, alpha, beta, prior)
    np.testing.assert_allclose(marginal, expected, rtol=1e-10)
    alone = [log_evidence(Summary.of(x[[j]], alpha[[j]], beta[[j]]), prior) for j in range(4)]
    np.testing.assert_allclose(marginal, alone, rtol=1e-10)


def test_evidence_equals_quadrature():
    prior = _prior(1)
    x, alpha, beta = _cells(np.random.default_rng(2), 3, 1)

    s, m = np.exp(np.linspace(-5, 5, 400)), np.linspace(-12, 12, 1200)[:, None]
    log_density = invwishart(prior.df, prior.scale).logpdf(s) + norm.logpdf(m, prior.mean[0], np.sqrt(s / prior.kappa))
    for row, a, b in zip(x[:, 0], alpha, beta, strict=True):
        log_density = log_density + norm.logpdf(row, a * m, np.sqrt(b * s))
    value = trapezoid(trapezoid(np.exp(log_density), m[:, 0], axis=0), s)
    np.testing.assert_allclose(log_evidence(Summary.of(x, alpha, beta), prior), np.log(value), atol=1e-3)


def test_moments_have_the_expectations_of_their_posterior():
    rng, prior = np.random.default_rng(3), _prior(2)
    x, alpha, beta = _cells(rng, 6, 2)
    mean, kappa, scale, df = posterior(Summary.of(x, alpha, beta), prior)
    draws = [draw_moments(rng, mean, kappa, scale, df) for _ in range(4000)]
    covariance = np.array([np.linalg.inv(draw.root.T @ draw.root) for draw in draws])
    expected = expected_moments(x, alpha, beta, prior)
    expected_covariance = np.linalg.inv(expected.root.T @ expected.root)
    np.testing.assert_allclose(expected_covariance, invwishart(df, scale).mean(), rtol=1e-10)
    np.testing.assert_allclose(covariance.mean(axis=0), expected_covariance, atol=0.05)
    np.testing.assert_allclose(covariance.var(axis=0), invwishart(df, scale).var(), rtol=0.35)
    means = np.array([draw.mean for draw in draws])
    np.testing.assert_allclose(means.mean(axis=0), expected.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(means.T), expected_covariance / kappa, atol=0.02)


def test_first_label_is_drawn_from_its_conditional():
    """Two cells in one cluster: the first stays with weight 1 (the other cell) and leaves with the concentration."""
    rng, prior = np.random.default_rng(6), _prior(2)
    x, alpha, beta = _cells(rng, 2, 2)
    moments = Moments(prior.mean, np.eye(2))
    stay, leave = np.exp(log_density(x, alpha, beta, moments)[0]), np.exp(log_marginal(x, alpha, beta, prior)[0])
    prior = prior._replace(concentration=stay / leave)  # even odds
    left = 0
    for _ in range(2000):
        z, drawn = _draw_labels(rng, x, np.array([0, 0]), alpha, beta, [moments], prior)
        left += drawn[z[0]] is not moments
    assert abs(left / 2000 - 0.5) < 4 * 0.5 / np.sqrt(2000)


@pytest.mark.parametrize("most", [1, 7, 512])
def test_labels_are_those_of_one_cell_after_another(monkeypatch, most):
    """Cells between two moves are drawn at once; with clusters that overlap, small ones and new ones among them."""
    monkeypatch.setattr(gibbs, "MOST_AHEAD", most)
    prior = _prior(2, concentration=20.0)
    x, alpha, beta = _cells(np.random.default_rng(8), 300, 2)
    z = np.random.default_rng(9).integers(4, size=300)
    z[:2] = 4, 5  # alone
    moments = [Moments(0.3 * np.full(2, k), np.eye(2)) for k in range(6)]
    found, kept = _draw_labels(np.random.default_rng(10), x, z, alpha, beta, moments, prior)

    rng, slow, sizes = np.random.default_rng(10), z.copy(), list(np.bincount(z))
    score = np.column_stack([log_density(x, alpha, beta, m) for m in moments])
    score = list((score + rng.gumbel(size=score.shape)).T)
    new = np.log(20.0) + log_marginal(x, alpha, beta, prior) + rng.gumbel(size=300)
    for j in range(300):
        sizes[slow[j]] -= 1
        weights = [column[j] + np.log(size) if size else -np.inf for column, size in zip(score, sizes, strict=True)]
        k = int(np.argmax(weights))
        if new[j] > weights[k]:
            k = len(sizes)
            own = draw_moments(rng, *posterior(Summary.of(x[[j]], alpha[[j]], beta[[j]]), prior))
            score.append(log_density(x, alpha, beta, own) + rng.gumbel(size=300))
            sizes.append(0)
        slow[j] = k
        sizes[k] += 1
    assert len(sizes) > 6
    assert (slow != z).sum() > 50
    np.testing.assert_array_equal(found, np.unique(slow, return_inverse=True)[1])
    assert len(kept) == len(set(slow))


def test_evidence_of_several_clusters_at_once():
    prior, rng = _prior(3), np.random.default_rng(11)
    several = [Summary.of(*_cells(rng, n, 3)) for n in (1, 4, 9)]
    each = [log_evidence(summary, prior) for summary in several]
    np.testing.assert_allclose(log_evidence(Summary.stack(several), prior), each, rtol=1e-12)


@pytest.mark.slow
def test_sampler_leaves_the_joint_distribution_invariant():
    """Geweke (2004): sweeps alternated with new data given the state must give back the prior of everything."""
    rng, n, d, prior = np.random.default_rng(4), 4, 2, _prior(2)
    forward = np.array([_statistics(*_simulate(rng, n, d, prior)) for _ in range(1200)])
    x, state, moments = _simulate(rng, n, d, prior)
    chain = []
    for _ in range(4000):
        state, moments = sweep(rng, x, state, prior)
        x = _draw_data(rng, state, moments, d)
        chain.append(_statistics(x, state, moments))
    batches = np.array(chain).reshape(50, -1, forward.shape[1]).mean(axis=1)  # long batches: nearly independent means
    error = np.sqrt(forward.var(axis=0) / len(forward) + batches.var(axis=0, ddof=1) / len(batches))
    assert (np.abs(batches.mean(axis=0) - forward.mean(axis=0)) < 4 * error).all()
    assert (error < 0.07).all()  # sharp enough to see a wrong conditional


def _simulate(rng, n, d, prior):
    z = np.zeros(n, dtype=int)
    for j in range(1, n):
        weights = np.append(np.bincount(z[:j]), prior.concentration)
        z[j] = rng.choice(len(weights), p=weights / weights.sum())
    alpha = rng.normal(prior.alpha_mean, np.sqrt(prior.alpha_var), n)
    beta = invgamma(prior.beta_shape, scale=prior.beta_rate).rvs(n, random_state=rng)
    moments = []
    for _ in range(z.max() + 1):
        covariance = invwishart(prior.df, prior.scale).rvs(random_state=rng)
        mean = rng.multivariate_normal(prior.mean, covariance / prior.kappa)
        moments.append(Moments(mean, np.linalg.cholesky(np.linalg.inv(covariance)).T))
    state = State(z, alpha, beta)
    return _draw_data(rng, state, moments, d), state, moments


def _draw_data(rng, state, moments, d):
    noise = rng.standard_normal((len(state.z), d))
    rows = zip(state.z, state.alpha, state.beta, noise, strict=True)
    return np.array([a * moments[k].mean + np.sqrt(b) * np.linalg.solve(moments[k].root, e) for k, a, b, e in rows])


def _statistics(x, state, moments):
    z, alpha, beta = state
    first = moments[z[0]]
    return [
        z.max() + 1,
        (z == z[0]).mean(),
        alpha.mean(),
        alpha.var(),
        np.log(beta).mean(),
        np.log(beta).var(),
        alpha[0] * np.tanh(first.mean[0]),
        np.tanh(first.mean[1]),
        np.linalg.slogdet(first.root)[1],
        np.tanh(x[0, 0]),
        np.tanh(np.log(beta[0]) * np.linalg.slogdet(first.root)[1]),
        np.tanh(x[0, 0] * x[1, 0]),
        np.log1p((x**2).mean()),
    ]


@pytest.mark.parametrize("start", ["split", "random"])
def test_start_merges_what_belongs_together(start):
    rng = np.random.default_rng(5)
    truth = np.repeat([0, 1, 2], 60)
    alpha = rng.normal(1, 0.1, 180)
    x = alpha[:, None] * rng.normal(2, 1, (3, 6))[truth] + rng.normal(0, 0.3, (180, 6))
    z = truth * 2 + rng.integers(0, 2, 180) if start == "split" else rng.integers(0, 3, 180)
    prior = _prior(6)._replace(mean=x.mean(axis=0), scale=np.diag(6 * x.var(axis=0)), df=13.0)
    merged, score = merge_start(x, z, alpha, np.ones(180), prior)
    parts = [
        Summary.of(x[merged == k], alpha[merged == k], np.ones((merged == k).sum())) for k in range(merged.max() + 1)
    ]
    expected = sum(log_evidence(part, prior) + np.log(prior.concentration) + gammaln(part.n) for part in parts)
    np.testing.assert_allclose(score, expected, rtol=1e-10)
    if start == "split":
        assert len(np.unique(merged)) == 3
        assert len(np.unique(np.stack([merged, truth]), axis=1).T) == 3
    else:  # three random thirds are one cluster
        assert (merged == 0).all()
