"""GLM-PCA against the Python port of the original (tests/golden/glmpca.npz), SciPy and its definition."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import multivariate_normal, nbinom, poisson

from baselines.glmpca import GLMPCA
from baselines.glmpca.fit import Parameters, fit_cells

FOLDER = Path(__file__).parents[1] / "golden"
GOLDEN = np.load(FOLDER / "glmpca.npz")
COUNTS = np.load(FOLDER / "scanpy_rows.npz")["counts"].astype(int)
FACTORS = COUNTS.mean(axis=1, keepdims=True)
CASES = [("poi2", "poisson", 2), ("poi5", "poisson", 5), ("nb3", "nb", 3)]


def deviance(mu, theta):
    if theta is None:
        return 2 * (xlogy(COUNTS, COUNTS / mu) - (COUNTS - mu)).sum()
    return 2 * (xlogy(COUNTS, COUNTS / mu) - (COUNTS + theta) * np.log((COUNTS + theta) / (mu + theta))).sum()


def log_prob(counts, mu, theta):
    return poisson(mu).logpmf(counts) if theta is None else nbinom(theta, theta / (theta + mu)).logpmf(counts)


def penalised(mu, low_rank, theta):
    """For the split into factors and loadings with the smallest penalty: the sum of the singular values."""
    value = log_prob(COUNTS, mu, theta).sum() - np.linalg.svd(low_rank, compute_uv=False).sum()
    return value if theta is None else value - 0.5 * np.log(theta) ** 2


@pytest.mark.parametrize(("case", "family", "n_latent"), CASES)
def test_is_at_least_as_likely_as_the_port(case, family, n_latent):
    """Both stop near the same maximum: ours has the better penalised likelihood, and a deviance equal to 1e-4."""
    theta = float(GOLDEN[f"{case}__theta"]) if family == "nb" else None
    theirs = GOLDEN[f"{case}__factors"] @ GOLDEN[f"{case}__loadings"].T
    their_mu = FACTORS * np.exp(theirs + GOLDEN[f"{case}__intercept"].ravel())
    np.testing.assert_allclose(deviance(their_mu, theta), GOLDEN[f"{case}__deviance"])

    method = GLMPCA(n_latent, family, tol=1e-7, max_iter=200).fit(COUNTS)
    mu, ours = method.impute(COUNTS), method.latent(COUNTS) @ method.loadings_.T
    assert penalised(mu, ours, method.theta_) > penalised(their_mu, theirs, theta)
    assert deviance(mu, method.theta_) < (1 + 1e-4) * deviance(their_mu, theta)
    assert np.corrcoef(np.log(mu).ravel(), np.log(their_mu).ravel())[0, 1] > 0.9999
    if family == "nb":
        np.testing.assert_allclose(method.theta_, theta, rtol=1e-3)


@pytest.fixture(scope="module", params=["poisson", "nb"])
def fitted(request):
    return GLMPCA(3, request.param).fit(COUNTS)


def test_no_sweep_loses_and_the_last_is_the_penalised_likelihood(fitted):
    assert np.diff(fitted.objective_).min() > -1e-6
    assert fitted.convergence_.converged
    mu, low_rank = fitted.impute(COUNTS), fitted.latent(COUNTS) @ fitted.loadings_.T
    np.testing.assert_allclose(fitted.objective_[-1], penalised(mu, low_rank, fitted.theta_), rtol=1e-5)


def test_the_genes_are_at_a_maximum(fitted):
    """The derivative of the penalised likelihood in every intercept is zero: Σ (y - mu) / (1 + mu / theta)."""
    mu = fitted.impute(COUNTS)
    weight = 1 if fitted.theta_ is None else 1 / (1 + mu / fitted.theta_)
    slope, curvature = ((COUNTS - mu) * weight).sum(axis=0), (mu * weight).sum(axis=0)
    assert np.abs(slope / np.sqrt(curvature)).max() < 0.1  # standard errors


def test_form_of_the_original(fitted):
    """Orthonormal loadings; factors with mean zero, not correlated, in the order of their variance."""
    factors, L = fitted.latent(COUNTS), fitted.loadings_
    np.testing.assert_allclose(L.T @ L, np.eye(3), atol=1e-10)
    covariance = np.cov(factors.T)
    assert np.abs(factors.mean(axis=0)).max() < 0.05 * factors.std(axis=0).min()
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.05 * covariance.min(
        initial=1e9, where=np.eye(3) > 0
    )
    assert (np.diff(np.diag(covariance)) < 0).all()


def test_loglik_is_that_of_scipy(fitted):
    expected = log_prob(COUNTS, fitted.impute(COUNTS), fitted.theta_).sum(axis=1)
    np.testing.assert_allclose(fitted.loglik(COUNTS), expected, rtol=1e-9)


@pytest.mark.parametrize("family", ["poisson", "nb"])
def test_marginal_is_the_integral(family):
    """On a grid over two factors; their prior has the covariance of the fitted ones."""
    X = COUNTS[:, :30]
    method = GLMPCA(2, family).fit(X)
    factors = method.latent(X)
    prior = multivariate_normal(np.zeros(2), np.cov(factors.T, bias=True))
    estimate, error = method.marginal_loglik(X[:2], n_samples=1000)
    for i in range(2):
        reach = 6 * factors.std(axis=0)
        sides = np.linspace(factors[i] - reach, factors[i] + reach, 101).T
        grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)  # (101, 101, 2)
        mu = X[i].mean() * np.exp(method.intercept_ + grid @ method.loadings_.T)
        joint = log_prob(X[i], mu, method.theta_).sum(axis=2) + prior.logpdf(grid)
        density = np.exp(joint - joint.max())
        assert max(density[0].max(), density[-1].max(), density[:, 0].max(), density[:, -1].max()) < 1e-4  # all inside
        expected = joint.max() + np.log(np.trapezoid(np.trapezoid(density, sides[1]), sides[0]))
        assert abs(estimate[i] - expected) < 4 * error[i] + 1e-3
        assert error[i] < 0.05


@pytest.mark.parametrize("family", ["poisson", "nb"])
def test_a_cell_far_from_the_others_is_found(family):
    """Of counts a thousand times their rate: the factors fitted to them anew have no slope left."""
    X = COUNTS.copy()
    X[0, 40:50] += 5000
    method = GLMPCA(3, family).fit(COUNTS)
    factors, mu = method.latent(X), method.impute(X)
    V = method.loadings_ @ method.rotation_.T
    penalised = factors @ np.linalg.inv(method.rotation_)
    weight = 1 if family == "poisson" else 1 / (1 + mu / method.theta_)
    slope = ((X - mu) * weight) @ V - penalised
    information = (mu * weight) @ V**2 + 1
    assert np.abs(slope / np.sqrt(information)).max() < 0.5  # standard errors
    assert mu.max() < 10 * X.max()


def test_a_count_far_above_its_rate_is_met():
    """A thousand where e^-8 is expected, by SciPy: from a start at zero the steps do not come back in time."""
    genes = Parameters(torch.tensor([-8.0, 0.0]).double(), None, torch.tensor([[1.0], [0.0]]).double(), np.log(5))
    found = fit_cells(sp.csr_matrix([[1000, 3]]), torch.zeros(1).double(), genes, penalty=0.01)

    def loss(u):
        return 0.005 * u**2 - nbinom(5, 5 / (5 + np.exp(u - 8))).logpmf(1000)

    expected = minimize_scalar(loss, bounds=(0, 40), method="bounded", options={"xatol": 1e-8}).x
    np.testing.assert_allclose(float(found), expected, rtol=1e-4)


@pytest.mark.parametrize("family", ["poisson", "nb"])
def test_large_counts_do_not_overflow(family):
    """Counts over four magnitudes, as on CORTEX, and more factors than the data ask for: whole steps would overflow."""
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(0, 2.5, size=40) + rng.normal(0, 1.5, size=(3, 40)))[rng.integers(3, size=80)]
    X = rng.poisson(rng.gamma(0.5, 2 * mean))
    X[:, 0] += 1
    method = GLMPCA(6, family, max_iter=10).fit(X)
    assert X.max() > 1000
    assert np.isfinite(method.objective_).all()
    assert np.diff(method.objective_).min() > 0
    assert np.isfinite(method.impute(X)).all()


def test_a_gene_without_counts_is_possible_elsewhere():
    X = COUNTS.copy()
    X[:, 5] = 0
    method = GLMPCA(2).fit(X)
    expected = X[:4].mean(axis=1) * 0.5 / X.mean(axis=1).sum()
    np.testing.assert_allclose(method.impute(X[:4])[:, 5], expected)
    assert np.isfinite(method.loglik(COUNTS)).all()


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="family='normal': choose poisson or nb"):
        GLMPCA(family="normal").fit(COUNTS)
    with pytest.raises(ValueError, match="penalty=0: choose a positive number"):
        GLMPCA(penalty=0).fit(COUNTS)
