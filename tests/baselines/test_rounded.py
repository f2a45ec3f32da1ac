"""Probabilities of counts under Gaussian models: against scipy's rectangles of a multivariate normal, and mpmath."""

import mpmath
import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from baselines.fa import FA
from baselines.pca import PCA
from baselines.shared.rounded import UNBOUNDED, _derivatives, interval, noise_floor, rounded_marginal
from baselines.zifa import ZIFA
from scvi_core.data.counts import check_counts


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    X = rng.poisson(np.exp(rng.normal(0, 0.6, size=(400, 2)) @ rng.normal(size=(2, 3)) + [0.5, 0, -1]))
    return X[X.sum(axis=1) > 0]


@pytest.mark.parametrize("method", [FA(2), PCA(1)])
def test_rectangles_of_the_normal_distribution(method, counts):
    loglik, error = method.fit(counts).marginal_loglik(counts[:40], n_samples=3000)
    Y = np.log1p(counts)
    if isinstance(method, FA):
        covariance = method.model_.components_.T @ method.model_.components_ + np.diag(method.model_.noise_variance_)
    else:  # probabilistic PCA from the eigenvectors of the data
        values, vectors = np.linalg.eigh(np.cov(Y.T))
        noise = values[:-1].mean()
        covariance = noise * np.eye(3) + (values[-1] - noise) * np.outer(vectors[:, -1], vectors[:, -1])
    normal = multivariate_normal(Y.mean(axis=0), covariance)
    low = np.where(counts == 0, -np.inf, np.log1p(counts - 0.5))
    for cell in range(40):
        expected = np.log(normal.cdf(np.log1p(counts[cell] + 0.5), lower_limit=low[cell]))
        assert abs(loglik[cell] - expected) < 4.5 * error[cell] + 1e-4
    assert 0 < error.max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("decay", [None, 0.5])
def test_all_counts_together_have_probability_one(decay):
    every = np.arange(400)[:, None]
    loglik, _ = rounded_marginal(_csr(every), [[0.7]], [1.1], [0.5], 2000, 0, decay)
    assert np.exp(loglik).sum() == pytest.approx(1, abs=2e-3)


def test_without_draws_worth_speaking_of_the_decay_is_no_dropout(counts):
    arguments = ([[0.7], [0.1], [-0.4]], [1.1, 0.2, 0.9], [0.5, 0.6, 0.8], 500, 0)
    plain, _ = rounded_marginal(_csr(counts[:20]), *arguments)
    dropped, _ = rounded_marginal(_csr(counts[:20]), *arguments, decay=1e6)
    np.testing.assert_allclose(dropped, plain, atol=0.02)


@pytest.mark.parametrize(
    ("low", "high"),
    [(-1, 1), (-3, -2.5), (24, 25), (25.9, 26.5), (-40, -26), (60, 61), (1e3, 1e3 + 0.1), (-3e4, -2e4), (2, 2.0001)],
)
def test_intervals_in_every_tail(low, high):
    eta = 0.25
    with mpmath.workdps(60):
        a, b = (mpmath.mpf(x) - eta for x in (low, high))
        near, far = (-b, -a) if b < 0 else (a, b)
        p = (mpmath.erfc(near / mpmath.sqrt(2)) - mpmath.erfc(far / mpmath.sqrt(2))) / 2
        pdf = [mpmath.npdf(x) for x in (a, b)]
        first = (pdf[0] - pdf[1]) / p
        curvature = (b * pdf[1] - a * pdf[0]) / p + first**2
        expected = [float(x) for x in (mpmath.log(p), first, curvature)]
    entries, at = torch.tensor([[[low, high, 0.1]]], dtype=torch.float64), torch.tensor([[eta]], dtype=torch.float64)
    (first,), (curvature,) = _derivatives(interval, entries, at)
    found = [x.item() for x in (interval(entries, at), first, curvature)]
    np.testing.assert_allclose(found, expected, rtol=2e-4 if high - low < 0.001 else 1e-6, atol=1e-12)


def test_a_zero_has_no_lower_bound():
    entries, eta = torch.tensor([[[UNBOUNDED, 1.0, 0.1]]], dtype=torch.float64), torch.tensor([[0.25]]).double()
    assert interval(entries, eta).item() == pytest.approx(float(mpmath.log(mpmath.ncdf(0.75))), abs=1e-12)


@pytest.mark.parametrize("noise_sd", [0.3, 0.02, 1e-4])
@pytest.mark.parametrize(("count", "mean", "loading"), [(0, 1.4, 1.0), (1, 0.1, 0.5), (0, -0.2, 0.5), (100, 2.0, 1.0)])
def test_noise_far_below_the_rounding(count, mean, loading, noise_sd):
    """One factor against quadrature: z is then about uniform over an interval, or a half-line."""
    loglik, error = rounded_marginal(_csr(np.array([[count]])), [[loading]], [mean], [noise_sd], 2000, 0)
    ends = [(np.log1p(count + half) - mean) / loading for half in ((-0.5, 0.5) if count else (0.5,))]

    def joint(z):
        above, below = ((end - z) * loading / noise_sd for end in (ends[-1], ends[0]))
        return norm.pdf(z) * (norm.cdf(above) - (norm.cdf(below) if count else 0.0))

    expected = np.log(quad(joint, -12, 12, points=ends, limit=1000, epsabs=1e-14)[0])
    assert error[0] < 0.05
    assert abs(loglik[0] - expected) < 4 * error[0]


def test_a_first_count_costs_what_a_second_would(counts):
    """The noise of a gene that is silent in training is that of a gene with one count."""
    n = len(counts)
    silent = np.column_stack([counts, np.zeros(n, dtype=int)])
    new = np.column_stack([counts[:5], np.ones(5, dtype=int)])
    once = silent.copy()
    once[n - 1, 3] = 1
    costs = []
    for X in (silent, once):
        method = FA(2).fit(X)
        costs.append(method.marginal_loglik(silent[:5])[0] - method.marginal_loglik(new)[0])
    np.testing.assert_allclose(costs[0], costs[1], rtol=0.1)
    assert noise_floor(n) == pytest.approx(np.log1p(once[:, 3]).var(), rel=2 / n)


def test_a_silent_gene_leaves_a_count_possible(counts):
    silent = np.column_stack([counts, np.zeros(len(counts), dtype=int)])
    new = np.column_stack([counts[:5], np.ones(5, dtype=int)])
    method = ZIFA(2).fit(silent)
    cost = method.marginal_loglik(silent[:5])[0] - method.marginal_loglik(new)[0]
    assert ((cost > 2) & (cost < 20)).all()


def test_as_many_components_as_cells_leave_some_noise(counts):
    method = PCA(3).fit(counts[:3])
    assert np.isfinite(method.loglik(counts)).all()
    assert (method.marginal_loglik(counts, n_samples=20)[0] < 0).all()


def test_a_gene_that_hardly_varies_has_no_likelihood_above_one():
    """The density of its zeros is far above one; their probability is not."""
    rng = np.random.default_rng(0)
    X = np.column_stack([1 + rng.poisson(3, size=(300, 4)), rng.random((300, 20)) < 0.01]).astype(int)
    method = FA(2).fit(X)
    assert method.loglik(X).mean() > 0
    loglik, _ = method.marginal_loglik(X, n_samples=50)
    assert loglik.max() < 0


def _csr(counts):
    return check_counts(counts, allow_empty_cells=True)
