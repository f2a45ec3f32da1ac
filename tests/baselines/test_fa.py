"""Factor analysis: its posterior draws against the Gaussian that they are draws of; what it and PCA impute."""

import numpy as np
import pytest

from baselines.fa import FA
from baselines.pca import PCA


@pytest.fixture(scope="module")
def counts():
    """Large counts of two factors and unequal noise: no draw falls below zero."""
    rng = np.random.default_rng(0)
    y = (
        6
        + rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5)) / 3
        + rng.normal(size=(300, 5)) * [0.1, 0.2, 0.3, 0.4, 0.5]
    )
    return np.round(np.expm1(y)).astype(int)


def test_draws_have_the_mean_and_covariance_of_the_posterior(counts):
    """By conditioning the joint normal of (z, y), without the precision matrix that the code uses."""
    fa = FA(n_latent=2).fit(counts)
    W, noise, mean = fa.model_.components_, np.diag(fa.model_.noise_variance_), fa.model_.mean_
    gain = W @ np.linalg.inv(W.T @ W + noise)
    covariance = W.T @ (np.eye(2) - gain @ W.T) @ W + noise
    draws = np.log1p(fa.sample(counts[:3], n_samples=40_000))
    for cell in range(3):
        expected = mean + gain.dot(np.log1p(counts[cell]) - mean) @ W
        np.testing.assert_allclose(draws[:, cell].mean(axis=0), expected, atol=0.015)
        np.testing.assert_allclose(np.cov(draws[:, cell].T), covariance, atol=0.01)


def test_draws_of_two_cells_are_independent_and_follow_the_seed(counts):
    fa = FA(n_latent=2).fit(counts)
    draws = fa.sample(counts[:2], n_samples=5000)
    assert abs(np.corrcoef(draws[:, 0, 0], draws[:, 1, 0])[0, 1]) < 0.05
    np.testing.assert_array_equal(draws, fa.sample(counts[:2], n_samples=5000))
    assert (draws != fa.sample(counts[:2], n_samples=5000, random_state=1)).all()


def test_draws_of_zeros_are_not_negative():
    X = np.random.default_rng(0).poisson(0.3, size=(100, 6))
    X[:, 0] += 1  # no cell is empty
    assert FA(n_latent=2).fit(X).sample(X, n_samples=3).min() == 0


@pytest.mark.parametrize("method", [FA(2), PCA(2)])
def test_imputed_counts_are_the_reconstruction(method):
    """E[W z | y] of the joint normal of (z, y) for FA, the projection on the eigenvectors for PCA; then exp - 1."""
    X = np.random.default_rng(0).poisson(4.0, size=(200, 6))
    imputed, y = method.fit(X).impute(X), np.log1p(X)
    mean = y.mean(axis=0)
    if isinstance(method, FA):
        W = method.model_.components_
        gain = W @ np.linalg.inv(W.T @ W + np.diag(method.model_.noise_variance_))
        reconstruction = mean + (y - mean) @ gain.T @ W
    else:
        vectors = np.linalg.eigh(np.cov(y.T))[1][:, -2:]
        reconstruction = mean + (y - mean) @ vectors @ vectors.T
    np.testing.assert_allclose(imputed, np.maximum(np.exp(reconstruction) - 1, 0), atol=1e-6)
