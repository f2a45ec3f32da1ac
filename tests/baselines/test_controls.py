"""Controls that are models: the mean of a gene; the likelihood and the draws of independent genes."""

import numpy as np
import pytest
from scipy.special import gammaln

from baselines.controls import GeneMean, IndependentGenes


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.5, 8.0, size=(4000, 4)))
    X[:, 2] = 1 + (np.arange(4000) % 2)  # varies less than a Poisson variable
    X[:, 3] = 0  # no counts
    return X


def test_the_gene_mean_counts_zeros():
    X = np.array([[0, 3, 1], [4, 0, 1]])
    np.testing.assert_array_equal(GeneMean().fit(X).impute(X[:1]), [[2.0, 1.5, 1.0]])


def test_the_likelihood_is_that_of_the_moments(counts):
    fitted = IndependentGenes().fit(counts)
    mean, variance = counts.mean(axis=0), counts.var(axis=0)
    theta = mean[:2] ** 2 / (variance[:2] - mean[:2])
    x = counts[:50, :2]
    expected = gammaln(x + theta) - gammaln(theta) - gammaln(x + 1)
    expected += theta * np.log(theta / (theta + mean[:2])) + x * np.log(mean[:2] / (theta + mean[:2]))
    x, m = counts[:50, 2:], np.array([1.5, 0.5 / 4000])
    poisson = x * np.log(m) - m - gammaln(x + 1)
    np.testing.assert_allclose(fitted.loglik(counts[:50]), expected.sum(1) + poisson.sum(1), atol=1e-4)
    np.testing.assert_array_equal(fitted.marginal_loglik(counts[:50])[0], fitted.loglik(counts[:50]))


def test_draws_have_the_moments_of_the_data(counts):
    draws = IndependentGenes().fit(counts).sample(counts[:2000], n_samples=5)
    assert draws.shape == (5, 2000, 4)
    np.testing.assert_allclose(draws[..., :2].mean(axis=(0, 1)), counts[:, :2].mean(axis=0), rtol=0.05)
    np.testing.assert_allclose(draws[..., :2].var(axis=(0, 1)), counts[:, :2].var(axis=0), rtol=0.15)
