"""ZIFA against the original program, quadrature over z and x, and factor analysis where nothing drops out."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import multivariate_normal, norm
from sklearn.decomposition import FactorAnalysis

from baselines.shared.rounded import noise_floor
from baselines.zifa import ZIFA, em
from baselines.zifa.em import Parameters, best_decay, complete_loglik, e_step, expression_at_zero, m_step, posterior
from scvi_core.data.counts import check_counts

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "zifa.npz")
X = GOLDEN["counts"]
Y = np.log1p(X.astype(float))


def golden(case):
    return Parameters(*(GOLDEN[f"{case}__{name}"] for name in ("loadings", "mean", "noise_sd", "decay")))


def fitted_parameters(method):
    return Parameters(method.loadings_, method.mean_, method.noise_sd_, method.decay_)


def assert_equal_parameters(found, expected, atol):
    for name, value in expected._asdict().items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("K", [2, 5])
class TestAgainstTheOriginal:
    def test_e_step(self, K):
        z, covariance, _ = posterior(Y, golden(f"K{K}_fit"))
        zz = covariance + z[:, :, None] * z[:, None, :]
        x = np.where(Y == 0, expression_at_zero(z, golden(f"K{K}_fit")), 0)
        for name, value in {"z": z, "zz": zz, "x": x}.items():
            np.testing.assert_allclose(value, GOLDEN[f"K{K}_e_step__{name}"], rtol=0, atol=1e-10, err_msg=name)

    def test_m_step(self, K):
        counts = check_counts(X)
        parameters = golden(f"K{K}_fit")
        found = m_step(counts, e_step(counts, parameters)[0], parameters)
        expected = golden(f"K{K}_m_step")
        # The original's search for the decay stops within 4e-10 of the maximum, which is found here.
        assert_equal_parameters(found._replace(decay=0), expected._replace(decay=0), atol=1e-10)
        assert abs(found.decay - expected.decay) < 1e-8

    def test_expected_complete_loglik(self, K):
        found = complete_loglik(Y, golden(f"K{K}_fit"))
        np.testing.assert_allclose(found, GOLDEN[f"K{K}_fit__complete_loglik"], rtol=0, atol=1e-10)

    def test_start(self, K):
        assert_equal_parameters(em.initialise(check_counts(X), K), golden(f"K{K}_init"), atol=1e-8)

    def test_fit(self, K):
        method = ZIFA(K).fit(X)
        assert_equal_parameters(fitted_parameters(method), golden(f"K{K}_fit"), atol=1e-6)
        np.testing.assert_allclose(method.latent(X), GOLDEN[f"K{K}_fit__z"], atol=1e-6)

    def test_heldout_cells(self, K):
        method = ZIFA(K).fit(X[:100])
        assert_equal_parameters(fitted_parameters(method), golden(f"K{K}_heldout_fit"), atol=1e-6)
        np.testing.assert_allclose(method.latent(X[100:]), GOLDEN[f"K{K}_heldout__z"], atol=1e-6)
        found = method.loglik(X[100:]) + Y[100:].sum(1)  # without the Jacobian
        np.testing.assert_allclose(found.mean(), GOLDEN[f"K{K}_heldout__complete_loglik_per_cell"], atol=1e-6)

    def test_blocks(self, K):
        method = ZIFA(K, n_blocks=3, max_iter=20, random_state=0).fit(X)
        assert_equal_parameters(fitted_parameters(method), golden(f"K{K}_block3"), atol=1e-6)


def test_single_noise_as_the_original():
    method = ZIFA(2, single_noise=True).fit(X)
    assert_equal_parameters(fitted_parameters(method), golden("K2_single_noise"), atol=1e-6)


def test_the_decay_maximises_its_objective():
    counts = check_counts(X)
    zero_x_squared = 900.0
    decay = best_decay(counts, zero_x_squared)

    def objective(rate):
        return -rate * zero_x_squared + np.log(1 - np.exp(-rate * Y[Y > 0] ** 2)).sum()

    grid = decay * np.linspace(0.9, 1.1, 201)
    assert grid[np.argmax([objective(rate) for rate in grid])] == pytest.approx(decay)


class TestAgainstQuadrature:
    """One factor, three genes: z on a grid, x on a grid, dropout summed out; nothing of the closed forms is used."""

    parameters = Parameters(
        np.array([[0.8], [-0.5], [1.2]]), np.array([0.7, 1.1, -0.2]), np.array([0.4, 0.7, 0.9]), 0.6
    )
    counts = np.array([[0, 0, 1], [2, 0, 1], [0, 5, 0], [1, 2, 3]])
    z = np.linspace(-8, 8, 401)
    x = np.linspace(-12, 12, 1601)

    def given_z(self, y, j):
        """p(y_j | z) on the grid of z, and E[log of all that is random in gene j | y_j, z]."""
        (a,), mean, sd = self.parameters.loadings[j], self.parameters.mean[j], self.parameters.noise_sd[j]
        decay = self.parameters.decay
        if y > 0:
            log_p = norm.logpdf(y, a * self.z + mean, sd) + np.log(1 - np.exp(-decay * y**2))
            return np.exp(log_p), log_p
        log_p = norm.logpdf(self.x[None, :], (a * self.z + mean)[:, None], sd) - decay * self.x[None, :] ** 2
        p = trapezoid(np.exp(log_p), self.x, axis=1)
        return p, trapezoid(np.exp(log_p) * log_p, self.x, axis=1) / p

    def test_likelihood_posterior_and_score(self):
        y_all = np.log1p(self.counts)
        method = as_fitted(self.parameters)
        z, covariance, log_density = posterior(y_all, self.parameters)
        for cell, y in enumerate(y_all):
            p, log_joint = zip(*(self.given_z(y[j], j) for j in range(3)), strict=True)
            joint = norm.pdf(self.z) * np.prod(p, axis=0)
            evidence = trapezoid(joint, self.z)
            weight = joint / evidence
            mean = trapezoid(weight * self.z, self.z)
            score = trapezoid(weight * (norm.logpdf(self.z) + np.sum(log_joint, axis=0)), self.z)
            assert z[cell, 0] == pytest.approx(mean, abs=1e-8)
            assert covariance[cell, 0, 0] == pytest.approx(trapezoid(weight * (self.z - mean) ** 2, self.z), abs=1e-8)
            one = self.counts[cell : cell + 1]
            assert log_density[cell] == pytest.approx(np.log(evidence), abs=1e-8)
            assert method.loglik(one)[0] == pytest.approx(score - y.sum(), abs=1e-7)

    @pytest.mark.slow
    def test_probability_of_counts(self):
        loglik, error = as_fitted(self.parameters).marginal_loglik(self.counts, n_samples=4000)
        assert error.max() < 0.01
        decay, probability = self.parameters.decay, np.ones((len(self.counts), len(self.z)))
        for (cell, j), count in np.ndenumerate(self.counts):
            mean = self.z[:, None] * self.parameters.loadings[j] + self.parameters.mean[j]
            low, high = np.log1p(count - 0.5) if count else -12, np.log1p(count + 0.5)
            x = np.linspace(low, high, 801)
            seen = 1 - np.exp(-decay * x**2)
            p = trapezoid(norm.pdf(x, mean, self.parameters.noise_sd[j]) * seen, x, axis=1)
            if count == 0:
                p += trapezoid(
                    norm.pdf(self.x, mean, self.parameters.noise_sd[j]) * np.exp(-decay * self.x**2), self.x, axis=1
                )
            probability[cell] *= p
        expected = np.log(trapezoid(norm.pdf(self.z) * probability, self.z, axis=1))
        np.testing.assert_array_less(np.abs(loglik - expected), 4 * error + 1e-5)

    def test_draws_are_positive_as_often_as_the_posterior_predicts(self):
        cell = self.counts[1:2]
        draws = as_fitted(self.parameters).sample(cell, n_samples=20_000, random_state=1)[:, 0]
        p = [self.given_z(y, j)[0] for j, y in enumerate(np.log1p(cell[0]))]
        weight = norm.pdf(self.z) * np.prod(p, axis=0)
        weight /= weight.sum()
        x = self.x[self.x > 0]
        seen = 1 - np.exp(-self.parameters.decay * x**2)
        for j in range(3):
            mean = self.z[:, None] * self.parameters.loadings[j] + self.parameters.mean[j]
            density = norm.pdf(x, mean, self.parameters.noise_sd[j])
            expected = weight @ trapezoid(density * seen, x, axis=1)
            assert np.mean(draws[:, j] > 0) == pytest.approx(expected, abs=0.015)
            expected_log = weight @ trapezoid(density * seen * x, x, axis=1)
            assert np.log1p(draws[:, j]).mean() == pytest.approx(expected_log, abs=0.02)


def as_fitted(parameters):
    method = ZIFA(parameters.loadings.shape[1])
    method.loadings_, method.mean_, method.noise_sd_, method.decay_ = parameters
    method.n_features_in_ = len(parameters.mean)
    return method


@pytest.fixture
def without_zeros():
    rng = np.random.default_rng(0)
    return 1 + rng.poisson(rng.gamma(2, 2, size=(1, 12)) * np.exp(rng.normal(size=(300, 1)))).astype(int)


def test_without_zeros_it_is_factor_analysis(without_zeros):
    method = ZIFA(2, max_iter=3000, tol=1e-7).fit(without_zeros)
    assert method.decay_ == em.DECAY_BOUNDS[1]
    y = np.log1p(without_zeros)
    covariance = method.loadings_ @ method.loadings_.T + np.diag(method.noise_sd_**2)
    expected = multivariate_normal(method.mean_, covariance).logpdf(y)
    log_density = posterior(y, fitted_parameters(method))[2]
    np.testing.assert_allclose(log_density, expected, atol=1e-8)
    factors = FactorAnalysis(2, tol=1e-8, max_iter=10_000, svd_method="lapack").fit(y)
    assert log_density.mean() == pytest.approx(factors.score(y), abs=1e-3)


def test_no_step_lowers_the_marginal_likelihood():
    method = ZIFA(3, max_iter=60, tol=0).fit(X)
    assert np.diff(method.objective_).min() > -1e-8
    after = posterior(Y, fitted_parameters(method))[2].sum()
    assert after >= method.objective_[-1]
    assert method.n_iter_ == len(method.objective_) == 60


def test_imputed_values_of_the_text_and_of_the_code():
    method = ZIFA(2).fit(X)
    z = method.latent(X)
    factor_mean = z @ method.loadings_.T + method.mean_
    np.testing.assert_allclose(method.impute(X), np.maximum(np.exp(factor_mean) - 1, 0), atol=1e-12)
    as_run = method.set_params(impute_only_zeros=True).impute(X)
    shrunk = np.exp(factor_mean / (1 + 2 * method.decay_ * method.noise_sd_**2)) - 1
    np.testing.assert_allclose(as_run, np.where(X == 0, np.maximum(shrunk, 0), 0), atol=1e-12)


def test_a_gene_without_counts_changes_nothing_for_the_others():
    silent = np.insert(X, 3, 0, axis=1)
    method, reference = ZIFA(2).fit(silent), ZIFA(2).fit(X)
    np.testing.assert_allclose(np.delete(method.impute(silent), 3, axis=1), reference.impute(X))
    assert (method.impute(silent)[:, 3] == 0).all()
    np.testing.assert_allclose(method.loglik(silent), reference.loglik(X))
    silent[0, 3] = 4
    assert np.isfinite(method.loglik(silent)).all()
    assert np.isfinite(method.marginal_loglik(silent, n_samples=5)[0]).all()


def test_a_gene_with_one_value_keeps_some_noise():
    constant = np.column_stack([X, np.full(len(X), 3), X.sum(1) > np.median(X.sum(1))])
    method = ZIFA(2).fit(constant)
    assert method.noise_sd_.min() >= np.sqrt(noise_floor(len(X))) * (1 - 1e-12)
    assert np.isfinite(method.loglik(constant)).all()


def test_the_size_of_the_slices_does_not_matter(monkeypatch):
    whole = ZIFA(2).fit(X)
    monkeypatch.setattr(em, "CHUNK_ENTRIES", 7 * X.shape[1])
    sliced = ZIFA(2).fit(X)
    assert_equal_parameters(fitted_parameters(sliced), fitted_parameters(whole), atol=1e-10)
    for name in ("latent", "impute", "loglik"):
        np.testing.assert_allclose(getattr(sliced, name)(X), getattr(whole, name)(X), atol=1e-8)


def test_what_it_cannot_do_is_said():
    with pytest.raises(ValueError, match="n_latent is 61 and 60 genes have counts: choose 1 to 60"):
        ZIFA(61).fit(X)
    with pytest.raises(ValueError, match="n_blocks is 0 and 60 genes"):
        ZIFA(2, n_blocks=0).fit(X)
    with pytest.raises(ValueError, match="There are 59 genes and the model was fitted to 60"):
        ZIFA(2).fit(X).latent(X[:, 1:])
