"""The likelihood against scipy.stats, and against 40-digit arithmetic where scipy itself loses digits."""

import itertools

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats

from scvi_core.likelihood import (
    NonZero,
    log1p_gap,
    nb_coefficient,
    nb_log_prob,
    stirling_remainder,
    stirling_remainder_slope,
    zinb_log_prob,
)

COUNTS = [0, 1, 2, 7, 100, 12345, 10**6]
MEANS = [1e-6, 1e-2, 1.0, 7.3, 100.0, 1e4, 1e6]
THETAS = [1e-4, 1e-2, 0.7, 3.0, 50.0, 1e4, 1e6]
LOGITS = [-30.0, -4.0, 0.0, 4.0, 30.0]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def grid(dtype):
    """(points, 1) tensors x, log mu, log theta, as they are after rounding to the type."""
    x, mu, theta = np.array(list(itertools.product(COUNTS, MEANS, THETAS))).T
    return tuple(torch.tensor(v).to(dtype)[:, None] for v in (x, np.log(mu), np.log(theta)))


def exact_nb(x, log_mu, log_theta):
    with mpmath.workdps(40):
        x, mu, theta = (
            mpmath.mpf(int(x)),
            mpmath.exp(mpmath.mpf(float(log_mu))),
            mpmath.exp(mpmath.mpf(float(log_theta))),
        )
        gammas = mpmath.loggamma(x + theta) - mpmath.loggamma(theta) - mpmath.loggamma(x + 1)
        return gammas + theta * mpmath.log(theta / (theta + mu)) + x * mpmath.log(mu / (theta + mu))


def exact_zinb(x, nb, logit):
    with mpmath.workdps(40):
        pi = 1 / (1 + mpmath.exp(-mpmath.mpf(logit)))
        return mpmath.log(1 - pi) + nb if x > 0 else mpmath.log(pi + (1 - pi) * mpmath.exp(nb))


def worst(ours, exact):
    """Largest relative error."""
    return max(float(abs((mpmath.mpf(float(a)) - b) / b)) for a, b in zip(ours.flatten(), exact, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_grid(dtype):
    x, log_mu, log_theta = grid(dtype)
    exact = [exact_nb(*point) for point in zip(x, log_mu, log_theta, strict=True)]
    assert worst(nb_log_prob(x, log_mu, log_theta), exact) < TOLERANCE[dtype]
    for logit in LOGITS:
        ours = zinb_log_prob(x, log_mu, log_theta, torch.full_like(x, logit))
        mixed = [exact_zinb(a, nb, logit) for a, nb in zip(x, exact, strict=True)]
        assert worst(ours, mixed) < TOLERANCE[dtype], logit


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scipy(dtype):
    rng = np.random.default_rng(0)
    mu, theta = rng.lognormal(1, 2, 500), rng.lognormal(0, 1.5, 500)
    x = stats.nbinom.rvs(theta, theta / (theta + mu), random_state=rng)
    logit = rng.normal(0, 3, 500)
    x_, log_mu, log_theta, logit_ = (torch.tensor(v).to(dtype)[:, None] for v in (x, np.log(mu), np.log(theta), logit))
    mu, theta, logit = (v.double().numpy()[:, 0] for v in (log_mu.double().exp(), log_theta.double().exp(), logit_))
    expected = stats.nbinom.logpmf(x, theta, theta / (theta + mu))
    np.testing.assert_allclose(nb_log_prob(x_, log_mu, log_theta).numpy()[:, 0], expected, rtol=TOLERANCE[dtype])
    pi = 1 / (1 + np.exp(-logit))
    mixture = np.log(np.where(x == 0, pi, 0) + (1 - pi) * np.exp(expected))
    ours = zinb_log_prob(x_, log_mu, log_theta, logit_).numpy()[:, 0]
    np.testing.assert_allclose(ours, mixture, rtol=TOLERANCE[dtype])


def test_sums_to_one():
    x = torch.arange(4000.0, dtype=torch.float64)[:, None]
    like = torch.ones_like(x)
    log_p = zinb_log_prob(x, like * np.log(12.0), torch.tensor([np.log(0.6)]), like * -0.4)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("per_cell", [False, True])
def test_gradcheck(per_cell):
    g = torch.Generator().manual_seed(0)
    x = torch.tensor([[0.0, 1, 2, 40], [3, 0, 0, 1000], [0, 0, 1, 7]], dtype=torch.float64)
    log_mu = torch.randn(3, 4, generator=g, dtype=torch.float64) * 2 + 1
    log_theta = torch.randn((3, 4) if per_cell else (4,), generator=g, dtype=torch.float64) * 2
    logit = torch.randn(3, 4, generator=g, dtype=torch.float64) * 3
    inputs = [v.requires_grad_() for v in (log_mu, log_theta, logit)]
    assert torch.autograd.gradcheck(lambda *a: zinb_log_prob(x, *a), inputs)
    assert torch.autograd.gradcheck(lambda *a: nb_log_prob(x, *a), inputs[:2])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-9)])
def test_extreme_gradients(dtype, tolerance):
    """Against the derivatives in 40 digits, relative to the larger of the two terms they are the difference of."""
    x, log_mu, log_theta = grid(dtype)
    by = [log_mu.clone().requires_grad_(), log_theta.clone().requires_grad_()]
    nb_log_prob(x, *by).sum().backward()
    grad_mu, grad_theta = (v.grad.flatten().tolist() for v in by)
    for i, (a, lm, lt) in enumerate(zip(x, log_mu, log_theta, strict=True)):
        with mpmath.workdps(40):
            a, mu, theta = mpmath.mpf(int(a)), mpmath.exp(mpmath.mpf(float(lm))), mpmath.exp(mpmath.mpf(float(lt)))
            by_mu = theta * (a - mu) / (theta + mu)
            scale_mu = theta * (a + mu) / (theta + mu)
            gammas = mpmath.digamma(a + theta) - mpmath.digamma(theta)
            by_theta = theta * (gammas - mpmath.log1p(mu / theta) - (a - mu) / (theta + mu))
            # log(n / (theta + mu)) - (x - mu) / (theta + mu) <= 0, the rest is positive
            negative = theta * (mpmath.log((a + theta) / (theta + mu)) - (a - mu) / (theta + mu))
            scale_theta = max(-negative, by_theta - negative)
        assert abs(grad_mu[i] - by_mu) <= tolerance * scale_mu
        assert abs(grad_theta[i] - by_theta) <= tolerance * scale_theta + 1e-30


def test_dropout_gradient_where_zero_is_certain():
    """pi -> 1: the derivative of log P(0) by the logit is (1 - pi)(1 - NB(0)), not a difference of ones."""
    logit = torch.tensor([[25.0]], requires_grad=True)
    zinb_log_prob(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1), logit).sum().backward()
    assert logit.grad.item() == pytest.approx(np.exp(-25) * 0.5, rel=1e-5)


def test_dispersion_per_gene_is_the_expanded_one():
    g = torch.Generator().manual_seed(1)
    x = torch.poisson(torch.rand(5, 6, generator=g) * 4, generator=g)
    log_mu, log_theta = torch.randn(5, 6, generator=g), torch.randn(6, generator=g)
    expanded = log_theta.expand(5, 6).contiguous()
    np.testing.assert_allclose(nb_log_prob(x, log_mu, log_theta), nb_log_prob(x, log_mu, expanded), rtol=1e-6)


def test_given_coefficient():
    g = torch.Generator().manual_seed(1)
    x = torch.poisson(torch.rand(5, 6, generator=g) * 4, generator=g)
    log_mu, log_theta = torch.randn(5, 6, generator=g), torch.randn(6, generator=g)
    nonzero = NonZero.of(x)
    coefficient = nb_coefficient(nonzero, log_theta)
    assert torch.equal(nb_log_prob(x, log_mu, log_theta, nonzero, coefficient), nb_log_prob(x, log_mu, log_theta))


def test_all_zero_counts_and_one_cell():
    log_theta = torch.tensor([0.0, 2.0], requires_grad=True)
    out = zinb_log_prob(torch.zeros(1, 2), torch.zeros(1, 2), log_theta, torch.zeros(1, 2))
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert torch.isfinite(log_theta.grad).all()


def test_helpers_against_many_digits():
    with mpmath.workdps(40):
        for a in [1e-4, 0.3, 1.0, 9.99, 10.0, 123.0, 1e6]:
            m = mpmath.mpf(a)
            s = mpmath.loggamma(m) - ((m - 0.5) * mpmath.log(m) - m + mpmath.log(2 * mpmath.pi) / 2)
            slope = mpmath.digamma(m) - mpmath.log(m) + 1 / (2 * m)
            t = torch.tensor([a], dtype=torch.float64)
            assert float(stirling_remainder(t)) == pytest.approx(float(s), rel=1e-11, abs=1e-14)
            assert float(stirling_remainder_slope(t)) == pytest.approx(float(slope), rel=1e-11, abs=1e-14)
        for u in [-0.99, -0.3, -1e-9, 1e-12, 0.2, 5.0, 1e8]:
            t = torch.tensor([u], dtype=torch.float64)
            exact = mpmath.mpf(u) - mpmath.log1p(mpmath.mpf(u))
            assert float(log1p_gap(t, t.log1p())) == pytest.approx(float(exact), rel=1e-13)
