"""Poisson NMF: what a maximum of the Poisson likelihood must fulfil, and its closed form with one factor."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import poisson

from baselines.nmf_poisson import PoissonNMF

COUNTS = np.load(Path(__file__).parents[1] / "golden" / "scanpy_rows.npz")["counts"]


def test_one_factor_is_the_table_of_its_margins():
    """The most likely independent rates of a table: row sum × column sum / total."""
    imputed = PoissonNMF(n_latent=1, tol=0, max_iter=50).fit(COUNTS).impute(COUNTS)
    np.testing.assert_allclose(imputed, np.outer(COUNTS.sum(axis=1), COUNTS.sum(axis=0)) / COUNTS.sum(), rtol=1e-6)


def test_the_fit_is_a_maximum():
    """Karush, Kuhn and Tucker: no gradient where a factor is positive, none upwards where it is zero."""
    X = COUNTS[:60, :30]
    method = PoissonNMF(n_latent=2, tol=0, max_iter=300).fit(X)
    H, rate = method.model_.components_, method.impute(X)
    W = method.latent(X) * rate.sum(axis=1, keepdims=True) / H.sum(axis=1)
    np.testing.assert_allclose(W @ H, rate, rtol=1e-9)
    W, H = W * H.sum(axis=1), H / H.sum(axis=1, keepdims=True)
    excess = X / rate - 1
    for factor, gradient, scale in ((W, excess @ H.T, H.sum(axis=1)), (H, W.T @ excess, W.sum(axis=0)[:, None])):
        positive = factor > 1e-3 * factor.max()
        assert np.abs(gradient / scale)[positive].max() < 0.03
        assert (gradient / scale).max() < 0.03
        assert positive.any()


def test_likelihood_is_that_of_scipy():
    method = PoissonNMF(n_latent=4).fit(COUNTS)
    expected = poisson(method.impute(COUNTS)).logpmf(COUNTS).sum(axis=1)
    np.testing.assert_allclose(method.loglik(COUNTS), expected, rtol=1e-9)


def test_shares_find_the_kinds_whatever_the_depth():
    """Three kinds of cells, each of genes of its own: the largest share tells them, at thrice the depth as well."""
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=120)
    mean = np.kron(np.eye(3), np.full(10, 4.0))[kind] * rng.gamma(5, 0.2, size=(120, 1)) + 0.1
    X = rng.poisson(mean)
    X[:, 0] += 1
    method = PoissonNMF(n_latent=3).fit(X)
    shares = method.latent(X)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    agree = np.array([[np.mean((shares.argmax(axis=1) == k) & (kind == j)) for j in range(3)] for k in range(3)])
    assert agree.max(axis=1).sum() > 0.97
    np.testing.assert_allclose(method.latent(3 * X), shares, atol=5e-3)


def test_a_gene_that_training_has_not_seen_has_a_rate():
    """Half a count over the training cells, so that a new cell with it is unlikely and not impossible."""
    X = COUNTS[:100].copy()
    X[:, 5] = 0
    method = PoissonNMF(n_latent=3).fit(X)
    given = np.zeros((2, X.shape[1]), dtype=int)
    given[:, 0] = 4
    given[1, 5] = 1
    without, with_it = method.loglik(given)
    np.testing.assert_allclose(with_it - without, np.log(0.5 / 100), rtol=1e-4)
    alone = np.zeros((1, X.shape[1]), dtype=int)
    alone[0, 5] = 1
    np.testing.assert_allclose(method.latent(alone), 1 / 3)


@pytest.mark.parametrize(("max_iter", "converged"), [(5, False), (500, True)])
def test_says_whether_it_converged(max_iter, converged):
    said = PoissonNMF(n_latent=3, max_iter=max_iter).fit(COUNTS).convergence_
    assert said.converged is converged
    assert ("choose a larger max_iter" in str(said)) is not converged
