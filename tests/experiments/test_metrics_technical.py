"""Scores of technical variability against scipy and against simulation."""

import numpy as np
import pytest
from scipy import stats

from experiments.metrics.technical import (
    binomial_zero,
    hypergeometric_zero,
    mean_gap,
    nb_share,
    signed_log10_p,
    underflows,
)


@pytest.mark.parametrize("slope", [0.0, 0.3, -0.3, 2.0, -5.0])
def test_the_signed_p_value_is_that_of_a_linear_regression(slope):
    x, noise = np.random.default_rng(0).normal(size=(2, 200))
    found = stats.linregress(x, slope * x + noise)
    expected = -np.sign(found.rvalue) * np.log10(found.pvalue)
    assert signed_log10_p(x=x, y=slope * x + noise) == pytest.approx(expected, rel=1e-8)


def test_far_below_the_smallest_double_it_is_that_of_an_exact_sum():
    """For 2m degrees of freedom p = 1 - |r| sum of C(2k, k) ((1 - r^2) / 4)^k over k below m: in rational numbers."""
    from fractions import Fraction
    from math import comb, log10

    r, m = Fraction(9, 10), 501
    p = 1 - r * sum(comb(2 * k, k) * ((1 - r**2) / 4) ** k for k in range(m))
    expected = log10(p.denominator) - log10(p.numerator)
    x = np.resize([1.0, -1.0], 2 * m + 2)
    other = np.repeat([1.0, -1.0], m + 1)  # of zero correlation with x, each half being balanced
    y = float(r) * x + np.sqrt(1 - float(r) ** 2) * other
    score = signed_log10_p(x=x, y=y)
    assert expected > 340
    assert score == pytest.approx(expected, rel=1e-9)
    assert signed_log10_p(x=x, y=-y) == pytest.approx(-expected, rel=1e-9)
    assert underflows(score=score)
    assert not underflows(score=300.0)


def test_another_n_and_no_variation():
    x, noise = np.random.default_rng(1).normal(size=(2, 50))
    r = np.corrcoef(x, x + noise)[0, 1]
    t = r * np.sqrt(98 / (1 - r**2))
    assert signed_log10_p(x=x, y=x + noise, n=100) == pytest.approx(-np.log10(2 * stats.t.sf(t, 98)))
    assert np.isnan(signed_log10_p(x=np.ones(5), y=np.arange(5)))
    assert np.isnan(signed_log10_p(x=np.full(50, 0.1), y=noise))  # whose mean is not 0.1 in floating point


def test_the_share_of_the_negative_binomial_among_zeros_by_simulation():
    rng = np.random.default_rng(0)
    no_count, dropped = rng.random(200_000) < 0.3, rng.random(200_000) < 0.6
    zero = no_count | dropped
    assert nb_share(nb=0.3, bernoulli=0.6) == pytest.approx(no_count[zero].mean(), abs=0.01)


def test_zero_curves_are_those_of_scipy():
    share = np.array([0.0, 0.001, 0.05, 0.5, 0.95])
    expected = stats.hypergeom.pmf(0, 1000, (1000 * share).astype(int), 300)
    np.testing.assert_allclose(hypergeometric_zero(frequency=share, n_drawn=300, n_in_cell=1000), expected, atol=1e-12)
    np.testing.assert_allclose(binomial_zero(frequency=share, n_drawn=300), stats.binom.pmf(0, 300, share), rtol=1e-9)
    far = hypergeometric_zero(frequency=share[:3], n_drawn=300, n_in_cell=10**7)
    np.testing.assert_allclose(far, binomial_zero(frequency=share[:3], n_drawn=300), rtol=1e-3)


def test_the_gap_is_a_mean_of_absolute_differences():
    assert mean_gap(observed=np.array([0.1, 0.5]), expected=np.array([0.2, 0.1])) == pytest.approx(0.25)
