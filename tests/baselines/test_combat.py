"""ComBat against the R package sva (tests/golden/combat.npz)."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import invgamma, norm
from sklearn.metrics import silhouette_score

from baselines.combat import ComBat, _shrink, combat

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "combat.npz")


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("parametric", {}),
        ("parametric_with_condition", {"covariates": GOLDEN["condition"][:, None]}),
        ("mean_only", {"mean_only": True}),
        ("nonparametric", {"parametric": False}),
        ("ref_batch0", {"reference": 0}),
    ],
)
def test_equals_sva(case, options):
    data = GOLDEN["data"]
    before = data.copy()
    corrected = combat(data, batch=GOLDEN["batch"], **options)
    np.testing.assert_allclose(corrected, GOLDEN[case], atol=1e-10)
    np.testing.assert_array_equal(data, before)


def test_shrinkage_solves_its_equations():
    """At the fixed point gamma and delta maximise each other's conditional posterior, by a search over a grid."""
    rng = np.random.default_rng(0)
    values = rng.normal(rng.normal(0.5, 0.7, 50), rng.gamma(5, 0.2, 50), (12, 50))
    gamma_hat, delta_hat = values.mean(axis=0), values.var(axis=0, ddof=1)
    gamma, delta = _shrink(12, gamma_hat, 11 * delta_hat, parametric=True, mean_only=False)
    m, v = delta_hat.mean(), delta_hat.var(ddof=1)
    prior_mean = norm(gamma_hat.mean(), gamma_hat.std(ddof=1))
    prior_variance = invgamma(2 + m**2 / v, scale=m * (1 + m**2 / v))
    for g in range(5):
        grid = gamma[g] + np.linspace(-0.5, 0.5, 2001)
        posterior = prior_mean.logpdf(grid) + norm.logpdf(values[:, g], grid[:, None], delta[g] ** 0.5).sum(axis=1)
        assert abs(grid[posterior.argmax()] - gamma[g]) < 1e-3
        grid = np.linspace(0.01, 20, 40001)
        posterior = prior_variance.logpdf(grid) + norm.logpdf(values[:, g], gamma[g], grid[:, None] ** 0.5).sum(axis=1)
        weight = np.exp(posterior - posterior.max())
        assert abs((grid * weight).sum() / weight.sum() - delta[g]) < 1e-3 * delta[g] + 1e-3  # the posterior mean


def _two_batches(rng, n=300, genes=60):
    cell_type, batch = rng.integers(0, 3, n), rng.integers(0, 2, n)
    log_rate = rng.normal(1, 0.7, (3, genes))[cell_type] + rng.normal(0, 0.8, (2, genes))[batch]
    return rng.poisson(np.exp(log_rate)), np.array(["first", "second"])[batch], cell_type


def test_batches_mix_and_cell_types_stay():
    X, batch, cell_type = _two_batches(np.random.default_rng(1))
    before = ComBat(n_latent=5).fit(X).latent(X)
    after = ComBat(n_latent=5).fit(X, batch).latent(X, batch)
    assert silhouette_score(before, batch) > 0.15
    assert abs(silhouette_score(after, batch)) < 0.03
    assert silhouette_score(after, cell_type) > max(0.4, silhouette_score(before, cell_type))


def test_the_latent_space_is_the_components_of_z_scores():
    X, batch, _ = _two_batches(np.random.default_rng(7), n=60, genes=8)
    size = X.sum(axis=1, keepdims=True)
    Y = combat(np.log(1 + X / (size / np.median(size))), batch=batch)
    Z = (Y - Y.mean(axis=0)) / Y.std(axis=0, ddof=1)
    latent = ComBat(n_latent=3).fit(X, batch).latent(X, batch)
    np.testing.assert_allclose(np.linalg.norm(latent, axis=0), np.linalg.svd(Z)[1][:3])


def test_genes_constant_within_a_batch_are_left_alone():
    X, batch, _ = _two_batches(np.random.default_rng(2))
    X[:, 0] = 0
    X[batch == "first", 1] = 0
    method = ComBat().fit(X, batch)
    uncorrected = np.log1p(X / (X.sum(axis=1, keepdims=True) / np.median(X.sum(axis=1))))
    corrected = method.correct(X, batch)
    np.testing.assert_allclose(corrected[:, :2], uncorrected[:, :2], rtol=1e-12)
    assert np.abs(corrected[:, 2:] - uncorrected[:, 2:]).max() > 0.1
    assert np.isfinite(corrected).all()
    np.testing.assert_allclose(method.correct(X, np.zeros(len(X))), uncorrected, rtol=1e-12)


def test_reference_stays_and_single_samples_are_centred():
    X, batch, _ = _two_batches(np.random.default_rng(3))
    uncorrected = ComBat().fit(X).correct(X, np.zeros(len(X)))
    corrected = ComBat(reference="second").fit(X).correct(X, batch)
    np.testing.assert_array_equal(corrected[batch == "second"], uncorrected[batch == "second"])
    alone = np.array(["alone" if row == 0 else "rest" for row in range(len(X))])
    np.testing.assert_allclose(
        combat(uncorrected, batch=alone), combat(uncorrected, batch=alone, mean_only=True), rtol=1e-12
    )


def test_nonparametric_survives_large_batches():
    rng = np.random.default_rng(4)
    data, batch = (
        rng.normal(rng.normal(0, 1, (2, 30))[:, None], 1, (2, 2000, 30)).reshape(-1, 30),
        np.arange(4000) // 2000,
    )
    corrected = combat(data, batch=batch, parametric=False)
    assert np.isfinite(corrected).all()
    gap = np.abs(corrected[batch == 0].mean(axis=0) - corrected[batch == 1].mean(axis=0))
    assert gap.mean() < 0.5 * np.abs(data[batch == 0].mean(axis=0) - data[batch == 1].mean(axis=0)).mean()


def test_blocks_of_genes_change_nothing(monkeypatch):
    X, batch, _ = _two_batches(np.random.default_rng(6))
    whole = combat(X, batch=batch)
    monkeypatch.setattr("baselines.combat.BLOCK", 7)
    np.testing.assert_allclose(combat(X, batch=batch), whole, rtol=1e-10)


def test_says_what_is_wrong():
    X, batch, _ = _two_batches(np.random.default_rng(5))
    with pytest.raises(ValueError, match="'third' does not occur"):
        ComBat(reference="third").fit(X).correct(X, batch)
    with pytest.raises(ValueError, match="cannot be told apart"):
        combat(X, batch=batch, covariates=(batch == "first")[:, None])
    with pytest.raises(ValueError, match="at least two genes"):
        combat(X[:, :1], batch=batch)
    with pytest.raises(ValueError, match="choose 1 to 60"):
        ComBat(n_latent=70).fit(X).latent(X, batch)
