"""The irreproducible discovery rate against the R package idr (tests/golden/idr.npz) and scipy's densities."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from experiments.metrics.idr import _expectation_maximisation, _latent, _log_densities, _margin, fit_idr

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "idr.npz")


@pytest.mark.parametrize("call", ["paper", "package_example", "tight"])
def test_equals_the_r_package(call):
    a, b = GOLDEN["scores"].T
    *start, tolerance, max_rounds = GOLDEN[f"{call}__start"]
    mu, sigma, rho, p = start
    fit = fit_idr(
        scores_a=a, scores_b=b, mu=mu, sigma=sigma, rho=rho, p=p, tolerance=tolerance, max_rounds=int(max_rounds)
    )
    np.testing.assert_allclose([fit.p, fit.rho, fit.mu, fit.sigma], GOLDEN[f"{call}__parameters"], atol=1e-10)
    assert len(fit.loglik) == len(GOLDEN[f"{call}__loglik"])
    np.testing.assert_allclose(fit.loglik, GOLDEN[f"{call}__loglik"], atol=1e-8)
    np.testing.assert_allclose(fit.local_idr, GOLDEN[f"{call}__local_idr"], atol=1e-10)
    np.testing.assert_allclose(fit.idr, GOLDEN[f"{call}__idr"], atol=1e-10)


def test_the_defaults_are_the_call_of_the_paper():
    a, b = GOLDEN["scores"].T
    np.testing.assert_allclose(fit_idr(scores_a=a, scores_b=b)[:4], GOLDEN["paper__parameters"], atol=1e-10)


def test_only_ranks_count():
    a, b = GOLDEN["scores"].T
    fit, again = fit_idr(scores_a=a, scores_b=b), fit_idr(scores_a=np.exp(a), scores_b=b**3)
    np.testing.assert_array_equal(fit.local_idr, again.local_idr)


def test_tied_genes_count_each_other():
    scores = np.random.default_rng(2).integers(0, 6, 40)
    np.testing.assert_allclose(_margin(scores), [(scores <= score).sum() / 41 for score in scores])


def test_densities_and_quantiles_equal_scipy():
    mu, sigma, rho, p = 1.7, 0.6, 0.4, 0.3
    z = np.random.default_rng(0).normal(size=(2, 50))
    covariance = sigma**2 * np.array([[1, rho], [rho, 1]])
    expected = multivariate_normal([mu, mu], covariance).logpdf(z.T), norm.logpdf(z).sum(axis=0)
    np.testing.assert_allclose(_log_densities(z, mu, sigma, rho), expected, rtol=1e-12)
    t = np.linspace(-2.5, 3, 40)
    u = p * norm.cdf(t, mu, sigma) + (1 - p) * norm.cdf(t)
    np.testing.assert_allclose(_latent(u, mu, sigma, rho, p), t, atol=1e-4)


def test_the_mixture_is_recovered_from_its_latent_values():
    """With the latent values given, expectation maximisation is that of an ordinary mixture and finds its truth."""
    rng = np.random.default_rng(1)
    n, mu, sigma, rho, p = 20_000, 2.5, 0.8, 0.7, 0.3
    reproducible = rng.random(n) < p
    covariance = sigma**2 * np.array([[1, rho], [rho, 1]])
    z = np.where(reproducible[:, None], rng.multivariate_normal([mu, mu], covariance, n), rng.normal(size=(n, 2))).T
    fitted, weight = _expectation_maximisation(z, (1.0, 0.5, 0.5, 0.1), 1e-10)
    np.testing.assert_allclose(fitted, [mu, sigma, rho, p], atol=0.03)
    assert weight[reproducible].mean() > 0.9 > 0.1 > weight[~reproducible].mean()


def test_reproducible_genes_come_first():
    a, b = GOLDEN["scores"].T
    fit = fit_idr(scores_a=a, scores_b=b)
    truth = GOLDEN["is_reproducible"]
    assert fit.local_idr[truth].mean() < fit.local_idr[~truth].mean() - 0.3
    order = np.argsort(fit.local_idr)
    assert (np.diff(fit.idr[order]) >= 0).all()
    np.testing.assert_allclose(fit.idr.max(), fit.local_idr.mean())  # the rate among all genes


def test_says_what_is_wrong():
    a, b = GOLDEN["scores"].T
    with pytest.raises(ValueError, match="same genes"):
        fit_idr(scores_a=a, scores_b=b[:-1])
    with pytest.raises(ValueError, match="scores_b has 1 values that are not finite"):
        fit_idr(scores_a=a, scores_b=np.r_[np.inf, b[1:]])
    with pytest.raises(ValueError, match="does not rank"):
        fit_idr(scores_a=a, scores_b=np.ones_like(b))
    with pytest.raises(ValueError, match="collapsed"):
        fit_idr(scores_a=a, scores_b=a)
