"""ZINB-WaVE against the original program, scipy, automatic derivatives and quadrature."""

from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit
from scipy.stats import nbinom, norm
from sklearn.linear_model import LogisticRegression

from baselines.shared import newton
from baselines.shared.newton import Predictor, Regressions
from baselines.zinbwave import ZINBWaVE
from baselines.zinbwave import fit as zinbwave_fit
from baselines.zinbwave.fit import (
    RIDGE_PI,
    Parameters,
    balance,
    cell_model,
    cell_precision,
    complete,
    count_constant,
    derivatives,
    fit_cells,
    fit_genes,
    fit_zeta,
    gene_model,
    linear_predictors,
    log_prob,
    loglik_of_cells,
    optimise,
    penalty,
    with_zeta_slope,
    zero_derivatives,
    zero_log_prob,
)
from scvi_core.data.counts import check_counts

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "zinbwave_disp10.npz")
X = GOLDEN["counts"]
COUNTS = check_counts(X)


def tensor(values):
    return torch.as_tensor(np.asarray(values, dtype=float))


def golden(case, **changes):
    values = {name: tensor(GOLDEN[f"{case}__{name}"]) for name in Parameters._fields if name not in changes}
    values |= {name: tensor(value) for name, value in changes.items()}
    for name in ("gamma_mu", "gamma_pi", "beta_mu", "beta_pi"):
        values[name] = values[name].reshape(-1)
    for name in ("alpha_mu", "alpha_pi"):
        values[name] = values[name].T.contiguous()
    return Parameters(**values)._replace(zeta=float(values["zeta"]))


def mixture(y, eta, logit, zeta):
    with mpmath.workdps(40):
        y, mu, theta, logit = int(y), mpmath.exp(float(eta)), mpmath.exp(zeta), mpmath.mpf(float(logit))
        ways = mpmath.gammaprod([y + theta], [theta, y + 1])
        nb = ways * (theta / (theta + mu)) ** theta * (mu / (theta + mu)) ** y
        pi = 1 / (1 + mpmath.exp(-logit))
        return mpmath.log((1 - pi) * nb + (pi if y == 0 else 0))


def as_fitted(parameters):
    """A method that holds the given parameters as if it had fitted them."""
    method = ZINBWaVE(parameters.W.shape[1])
    for name, value in parameters._asdict().items():
        setattr(method, f"{name}_", value if name == "zeta" else value.numpy())
    method.weight_W_ = len(parameters.beta_mu) / len(parameters.W)
    method.n_features_in_ = len(parameters.beta_mu)
    return method


@pytest.fixture(scope="module")
def simulated():
    """120 cells × 15 genes drawn from the model with one factor, and the parameters they are drawn with."""
    rng = np.random.default_rng(3)
    n, J = 120, 15
    drawn = Parameters(
        W=tensor(rng.normal(size=(n, 1))),
        gamma_mu=tensor(rng.normal(scale=0.3, size=n)),
        gamma_pi=tensor(rng.normal(scale=0.5, size=n)),
        beta_mu=tensor(rng.normal(1, 0.7, size=J)),
        beta_pi=tensor(rng.normal(-1, 0.7, size=J)),
        alpha_mu=tensor(rng.normal(scale=0.7, size=(J, 1))),
        alpha_pi=tensor(rng.normal(scale=0.5, size=(J, 1))),
        zeta=np.log(2.0),
    )
    log_mean, logit = (eta.numpy() for eta in linear_predictors(drawn))
    counts = rng.negative_binomial(2, 2 / (2 + np.exp(log_mean))) * (rng.random((n, J)) >= expit(logit))
    counts[:, 0] += 1
    return counts, drawn


class TestLikelihood:
    @pytest.mark.parametrize("zeta", [-6.0, 0.0, 1.3, 10.0])
    def test_equals_the_mixture_in_40_digits(self, zeta):
        grid = np.meshgrid([0, 1, 2, 7, 100, 10_000], [-12, -3, 0, 2.5, 9], [-30, -4, 0, 3, 30], indexing="ij")
        y, eta, logit = (values.ravel() for values in grid)
        found = log_prob(tensor(y), tensor(eta), tensor(logit), zeta).numpy()
        found += [count_constant(check_counts([[count]], allow_empty_cells=True), zeta)[0] for count in y]
        expected = [float(mixture(*entry, zeta)) for entry in zip(y, eta, logit, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("K", [2, 5])
    @pytest.mark.parametrize("case", ["init", "fit_commondisp", "fit_commondisp_converged"])
    def test_objective_of_the_original(self, K, case):
        parameters = golden(f"K{K}_{case}")
        assert loglik_of_cells(COUNTS, parameters).sum() == pytest.approx(GOLDEN[f"K{K}_{case}__loglik"], abs=1e-8)
        assert penalty(parameters, 60 / 150) == pytest.approx(GOLDEN[f"K{K}_{case}__penalty"], abs=1e-8)

    def test_slope_in_the_log_size(self):
        rng = np.random.default_rng(2)
        y, eta = torch.from_numpy(rng.poisson(0.8, (4, 30)).astype(float)), torch.from_numpy(rng.normal(0, 3, (4, 30)))
        logit, zeta = torch.from_numpy(rng.normal(-1, 3, (4, 30))), torch.tensor(0.7, dtype=torch.float64)
        value, slope = with_zeta_slope(y, eta, logit, 0.7)
        torch.testing.assert_close(value, log_prob(y, eta, logit, 0.7))
        expected = torch.autograd.functional.jacobian(lambda zeta: log_prob(y, eta, logit, zeta), zeta)
        torch.testing.assert_close(slope, expected)

    def test_log_of_one_plus_an_exponential(self):
        x = np.array([-745.0, -100, -40, -1, -1e-9, 0, 1e-9, 3, 36, 40, 800])
        expected = [float(mpmath.log1p(mpmath.exp(mpmath.mpf(each)))) for each in x]
        np.testing.assert_allclose(newton.log1p_exp(torch.from_numpy(x)).numpy(), expected, rtol=4e-16, atol=1e-323)

    def test_derivatives(self):
        rng = np.random.default_rng(0)
        y = tensor(rng.poisson(1, size=(4, 9)))
        eta, logit = tensor(rng.normal(size=(4, 9), scale=3)), tensor(rng.normal(size=(4, 9), scale=3))
        firsts, seconds = derivatives(y, eta, logit, 0.7)

        def total(eta, logit):
            return log_prob(y, eta, logit, 0.7).sum()

        for found, expected in zip(firsts, torch.autograd.functional.jacobian(total, (eta, logit)), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
        hessian = torch.autograd.functional.hessian(total, (eta, logit))
        for found, (i, j) in zip(seconds, [(0, 0), (0, 1), (1, 1)], strict=True):
            expected = -hessian[i][j].reshape(36, 36).diagonal().reshape(4, 9)
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


class TestNewton:
    def regressions(self):
        parameters = golden("K2_init", zeta=0.4)
        rng = np.random.default_rng(0)
        root = rng.normal(size=(4, 4))
        return cell_model(parameters, tensor(root @ root.T), tensor(rng.normal(size=4)))

    def test_value_gradient_and_curvature(self, monkeypatch):
        monkeypatch.setattr(newton, "TILE_ENTRIES", 50)  # several tiles, the last one narrower
        model, Y = self.regressions(), tensor(X[:3])
        theta = tensor(np.random.default_rng(1).normal(size=(3, 4)))

        def penalised(theta):
            difference = theta - model.prior_mean
            loglik = log_prob(Y, *(eta(theta) for eta in model.predictors), 0.4).sum(1)
            return loglik - 0.5 * ((difference @ model.prior_precision) * difference).sum(1)

        gradient, curvature = model.slope(Y, theta)
        torch.testing.assert_close(model.value(Y, theta), penalised(theta))
        jacobian = torch.autograd.functional.jacobian(penalised, theta)
        hessian = torch.autograd.functional.hessian(lambda theta: penalised(theta).sum(), theta)
        for p in range(3):
            torch.testing.assert_close(gradient[p], jacobian[p, p])
            torch.testing.assert_close(curvature[p], -hessian[p, :, p])

    @pytest.mark.parametrize("spread", [0.0, 3.0])
    def test_maximum_is_scipys(self, spread):
        """Also from starts where the objective is not concave."""
        model, Y = self.regressions(), tensor(X[:12])
        start = tensor(np.random.default_rng(2).normal(size=(12, 4), scale=spread))
        solution = model.maximise(Y, start, tol=1e-12)
        value = model.value(Y, solution)
        gradient, curvature = model.slope(Y, solution)
        assert (value >= model.value(Y, start)).all()
        assert gradient.abs().max() < 1e-3
        assert (torch.linalg.eigvalsh(curvature) > 0).all()
        for p in range(12):

            def negative(theta, p=p):
                one, at = Y[p : p + 1], tensor(theta)[None]
                return -model.value(one, at).item(), -model.slope(one, at)[0][0].numpy()

            bfgs = minimize(negative, solution[p].numpy() + 0.05, jac=True, method="BFGS")
            assert value[p].item() == pytest.approx(-bfgs.fun, abs=1e-6)

    def test_ridge_logistic_regression_is_scikit_learns(self):
        rng = np.random.default_rng(0)
        design = rng.normal(size=(80, 3))
        zero = (rng.random((2, 80)) < expit(design @ rng.normal(size=3))).astype(int)
        offset = torch.zeros(80, dtype=torch.float64)
        predictor = Predictor(tensor(design), [0, 1, 2], offset)
        model = Regressions(zero_log_prob, zero_derivatives, [predictor], torch.eye(3).double() * 0.5)
        found = model.fit(check_counts(1 - zero), torch.zeros(2, 3, dtype=torch.float64))
        for p in range(2):
            sklearn = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-10, max_iter=1000).fit(design, zero[p])
            np.testing.assert_allclose(found[p], sklearn.coef_[0], atol=1e-4)


class TestFit:
    def test_completion_of_a_full_matrix_is_the_soft_thresholded_svd(self):
        rng = np.random.default_rng(0)
        D = rng.normal(size=(30, 4)) @ rng.normal(size=(4, 20)) + 0.1 * rng.normal(size=(30, 20))
        A, B = complete(csr_matrix(D), rank=3, ridge=1.5, tol=1e-14, max_iter=2000)
        u, d, vt = np.linalg.svd(D, full_matrices=False)
        np.testing.assert_allclose(A @ B.T, (u[:, :3] * (d[:3] - 1.5)) @ vt[:3], atol=1e-5)

    def test_completion_keeps_its_rank(self):
        rng = np.random.default_rng(0)
        D = np.outer(rng.normal(size=30), rng.normal(size=20)) * 10 + 0.1 * rng.normal(size=(30, 20))
        A, B = complete(csr_matrix(D), rank=3, ridge=5.0)  # two factors are far below the penalty
        assert np.linalg.matrix_rank(A @ B.T, tol=1e-3) == 3

    def test_balance_keeps_the_product_at_the_least_penalty(self):
        rng = np.random.default_rng(0)
        start = golden("K5_init")
        mix = tensor(rng.normal(size=(5, 5)))
        mixed = start._replace(
            W=start.W @ mix,
            alpha_mu=start.alpha_mu @ torch.linalg.inv(mix).T,
            alpha_pi=start.alpha_pi @ torch.linalg.inv(mix).T,
        )
        balanced = balance(mixed, 0.4)
        for name in ("alpha_mu", "alpha_pi"):
            torch.testing.assert_close(balanced.W @ getattr(balanced, name).T, start.W @ getattr(start, name).T)
        assert penalty(balanced, 0.4) < penalty(start, 0.4) < penalty(mixed, 0.4)
        gram_W = 0.4 * balanced.W.T @ balanced.W
        torch.testing.assert_close(gram_W, torch.diag(gram_W.diagonal()))  # stationary: both Gram matrices agree
        alpha = torch.cat([balanced.alpha_mu, balanced.alpha_pi])
        torch.testing.assert_close(alpha.T @ alpha, gram_W)

    @pytest.mark.parametrize("K", [2, 5])
    def test_sweeps_follow_the_original(self, K):
        parameters, objective = optimise(COUNTS, golden(f"K{K}_init"))
        np.testing.assert_allclose(objective, GOLDEN[f"K{K}_trace"], atol=0.02)
        expected = GOLDEN[f"K{K}_fit_commondisp__loglik"] - GOLDEN[f"K{K}_fit_commondisp__penalty"]
        assert loglik_of_cells(COUNTS, parameters).sum() - penalty(parameters, 0.4) == pytest.approx(expected, abs=0.1)
        assert parameters.zeta == pytest.approx(float(GOLDEN[f"K{K}_fit_commondisp__zeta"]), abs=1e-3)
        factors = GOLDEN[f"K{K}_fit_commondisp__W"]
        correlation = np.corrcoef(parameters.W.numpy().T, factors.T)[:K, K:].diagonal()
        assert np.abs(correlation).min() > 0.9999

    def test_own_start_ends_where_the_original_does(self):
        method = ZINBWaVE(2).fit(X)
        expected = GOLDEN["K2_fit_commondisp__loglik"] - GOLDEN["K2_fit_commondisp__penalty"]
        assert method.objective_[-1] == pytest.approx(expected, abs=1.0)  # the original's own spread over starts is 0.4
        assert np.diff(method.objective_).min() > 0

    def test_the_regressions_carry_the_whole_penalty(self):
        now = golden("K2_init", zeta=0.3)
        loglik = loglik_of_cells(COUNTS, now).sum() - count_constant(COUNTS, now.zeta).sum()
        cells = cell_model(now, cell_precision(2, 0.4))
        genes = gene_model(now)
        value_cells = cells.value(tensor(X), torch.column_stack([now.gamma_mu, now.gamma_pi, now.W])).sum()
        theta = torch.column_stack([now.beta_mu, now.beta_pi, now.alpha_mu, now.alpha_pi])
        value_genes = genes.value(tensor(X.T), theta).sum()
        penalties = (loglik - value_cells) + (loglik - value_genes)
        assert penalties.item() == pytest.approx(penalty(now, 0.4), abs=1e-7)

    def test_each_step_raises_the_objective(self):
        def objective(parameters):
            return loglik_of_cells(COUNTS, parameters).sum() - penalty(parameters, 0.4)

        parameters = golden("K2_init")
        for step in (
            lambda now: fit_zeta(COUNTS, now),
            lambda now: fit_genes(COUNTS.T.tocsr(), now),
            lambda now: fit_cells(COUNTS, now, 0.4),
        ):
            after = step(parameters)
            assert objective(after) > objective(parameters) + 1
            parameters = after

    def test_dispersion_is_the_best_on_a_grid(self):
        parameters = golden("K2_fit_commondisp")
        zeta = fit_zeta(COUNTS, parameters._replace(zeta=-1.0)).zeta
        grid = np.linspace(-10, 10, 401)
        values = [loglik_of_cells(COUNTS, parameters._replace(zeta=value)).sum() for value in grid]
        assert zeta == pytest.approx(grid[np.argmax(values)], abs=0.05)
        assert loglik_of_cells(COUNTS, parameters._replace(zeta=zeta)).sum() >= max(values)

    def test_dispersion_of_poisson_counts_stays_within_bounds(self):
        counts = np.random.default_rng(0).poisson(3, size=(100, 20))
        method = ZINBWaVE(1, max_iter=3).fit(counts)
        assert 3 < method.zeta_ <= zinbwave_fit.ZETA_BOUND
        assert np.isfinite(method.loglik(counts)).all()


def check_ends(method, counts, reached, epsilon_W):
    """From its own start a cell ends in a maximum: that which it has ``reached`` from another start, or another one.

    There may be several with many factors, and none is the right one: few cells may differ, by any amount.
    """
    cells = csr_matrix(counts)
    own = method._refit(cells)
    again = fit_cells(cells, own, epsilon_W)
    own_value, again_value, other_value = (objective_of_cells(cells, at, epsilon_W) for at in (own, again, reached))
    np.testing.assert_allclose(again_value, own_value, atol=1e-5)
    alike = np.abs(own_value - other_value) < 1e-3
    assert alike.mean() >= 0.85  # of 50 cells one to three differ with five factors, none with two
    loglik = [loglik_of_cells(cells, at)[alike] for at in (own, reached)]
    np.testing.assert_allclose(*loglik, atol=1e-2)
    assert np.mean(loglik[0]) == pytest.approx(np.mean(loglik[1]), abs=1e-4)


def objective_of_cells(counts, parameters, epsilon_W):
    """Log-likelihood of each cell less the penalty on its own parameters."""
    penalties = epsilon_W * (parameters.W**2).sum(dim=1) + RIDGE_PI * parameters.gamma_pi**2
    return loglik_of_cells(counts, parameters) - penalties.numpy() / 2


class TestOtherCells:
    @pytest.mark.parametrize("K", [2, 5])
    def test_heldout_score_of_the_original(self, K):
        start = golden(
            f"K{K}_heldout_train",
            **{name: GOLDEN[f"K{K}_heldout_test__{name}"] for name in ("W", "gamma_mu", "gamma_pi")},
        )
        test = COUNTS[100:]
        assert loglik_of_cells(test, start).sum() == pytest.approx(GOLDEN[f"K{K}_heldout_test__loglik"], abs=1e-8)
        refitted = fit_cells(test, start, 60 / 100)
        reached = loglik_of_cells(test, refitted).sum() - penalty(refitted, 60 / 100)
        expected = GOLDEN[f"K{K}_heldout_test__loglik"] - GOLDEN[f"K{K}_heldout_test__penalty"]
        assert expected - 1e-6 <= reached < expected + 0.1
        check_ends(as_fitted(golden(f"K{K}_heldout_train")), X[100:], refitted, 60 / 100)

    def test_cells_do_not_depend_on_each_other(self):
        method = as_fitted(golden("K2_heldout_train"))
        for name in ("latent", "impute", "loglik"):
            together = getattr(method, name)(X[100:])
            apart = np.concatenate([getattr(method, name)(X[100:120]), getattr(method, name)(X[120:])])
            np.testing.assert_allclose(together, apart, rtol=1e-6, atol=1e-6)

    def test_training_cells_find_their_fit_again(self):
        method = ZINBWaVE(2, tol=1e-6, max_iter=100).fit(X)
        np.testing.assert_allclose(method.latent(X), method.W_, atol=0.01)
        log_mean = method.gamma_mu_[:, None] + method.beta_mu_ + method.W_ @ method.alpha_mu_.T
        np.testing.assert_allclose(np.log(method.impute(X)), log_mean, atol=0.01)

    def test_draws_have_the_mean_of_the_model(self):
        method = as_fitted(golden("K2_heldout_train"))
        cells = X[100:105]
        draws = method.sample(cells, n_samples=4000, random_state=1)
        assert draws.dtype == np.int64
        refitted = method._refit(csr_matrix(cells))
        mean, pi = method.impute(cells), expit(linear_predictors(refitted)[1].numpy())
        theta = np.exp(method.zeta_)
        np.testing.assert_allclose(draws.mean(0), (1 - pi) * mean, rtol=0.15, atol=0.1)
        zero = pi + (1 - pi) * (theta / (theta + mean)) ** theta
        np.testing.assert_allclose((draws == 0).mean(0), zero, atol=0.04)


class TestMarginalLikelihood:
    def test_equals_quadrature(self, simulated):
        counts, drawn = simulated
        method = as_fitted(drawn)
        cells = counts[[0, 5]]
        loglik, error = method.marginal_loglik(cells, n_samples=2000)
        assert (error < 0.02).all()

        gammas = np.stack([drawn.gamma_mu, drawn.gamma_pi])
        center, spread = gammas.mean(1), np.linalg.cholesky(np.cov(gammas))
        sd_W = np.sqrt(120 / 15)
        t, w = np.linspace(-4.5, 4.5, 31), np.linspace(-3, 3, 101)  # in units of the prior's standard deviations
        W, a, b = (grid.ravel() for grid in np.meshgrid(w, t, t, indexing="ij"))
        log_volume = 2 * np.log(t[1] - t[0]) + np.log(w[1] - w[0])
        gamma_mu, gamma_pi = center[:, None] + spread @ np.stack([a, b])
        log_mean = gamma_mu[:, None] + drawn.beta_mu.numpy() + (W * sd_W)[:, None] * drawn.alpha_mu.numpy()[:, 0]
        logit = gamma_pi[:, None] + drawn.beta_pi.numpy() + (W * sd_W)[:, None] * drawn.alpha_pi.numpy()[:, 0]
        size, pi = np.exp(drawn.zeta), expit(logit)
        log_prior = norm.logpdf(W) + norm.logpdf(a) + norm.logpdf(b) + log_volume
        for cell, found, uncertainty in zip(cells, loglik, error, strict=True):
            pmf = (1 - pi) * nbinom.pmf(cell, size, size / (size + np.exp(log_mean))) + pi * (cell == 0)
            expected = np.logaddexp.reduce(log_prior + np.log(pmf).sum(1))
            assert abs(found - expected) < 4 * uncertainty + 1e-3

    def test_the_error_is_that_of_repetitions(self, simulated):
        counts, drawn = simulated
        method = as_fitted(drawn)
        runs = [method.marginal_loglik(counts[:40], n_samples=50, random_state=seed) for seed in range(25)]
        spread = np.std([loglik for loglik, _ in runs], axis=0, ddof=1)
        assert np.median(spread / np.mean([error for _, error in runs], axis=0)) == pytest.approx(1, abs=0.15)

    def test_lies_below_the_likelihood_of_the_fitted_factors(self):
        method = ZINBWaVE(2).fit(X[:100])
        assert (method.marginal_loglik(X[100:], n_samples=50)[0] < method.loglik(X[100:])).all()


def test_a_gene_without_counts_has_half_a_count():
    silent = np.insert(X, 3, 0, axis=1)
    method, reference = ZINBWaVE(2).fit(silent), ZINBWaVE(2).fit(X)
    np.testing.assert_allclose(method.W_, reference.W_)
    imputed = np.exp(method.gamma_mu_[:, None] + method.beta_mu_)[:, 3]
    assert imputed.sum() == pytest.approx(0.5)
    silent[0, 3] = 2
    assert np.isfinite(method.loglik(silent)).all()


def test_what_it_cannot_do_is_said():
    with pytest.raises(ValueError, match="n_latent is 61 for 150 cells and 60 genes with counts: choose 1 to 60"):
        ZINBWaVE(61).fit(X)
    with pytest.raises(ValueError, match="There are 59 genes and the model was fitted to 60"):
        as_fitted(golden("K2_init")).loglik(X[:, 1:])
