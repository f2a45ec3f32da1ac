"""Intervals and evidence of a few seeds, judged by simulation from laws of known mean, by SciPy and by counting."""

import itertools

import numpy as np
import pytest
from scipy import stats

from experiments.report.intervals import LEVEL, holm, interval, p_above

N_SAMPLES = 20_000  # the share covered has a standard error of 0.0015
LAWS = {  # draws with mean zero
    "normal": lambda rng, size: rng.standard_normal(size),
    "gamma, skewness 1": lambda rng, size: rng.gamma(4, size=size) - 4,
    "gamma, skewness 1.4, to the left": lambda rng, size: 2 - rng.gamma(2, size=size),
    "lognormal, skewness 1.75": lambda rng, size: np.exp(0.5 * rng.standard_normal(size)) - np.exp(0.125),
}


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("law", LAWS)
def test_coverage(law, n):
    low, high = interval(LAWS[law](np.random.default_rng(0), (N_SAMPLES, n)))
    assert 0.93 < np.mean((low <= 0) & (high >= 0)) < 0.975
    assert np.mean(low > 0) < LEVEL  # what a verdict rests on: the chance to be wrong on one side
    assert np.mean(high < 0) < LEVEL


def test_of_values_without_skew_it_is_student_s():
    values = np.array([2.0, 3.0, 3.5, 4.0, 5.0])
    expected = stats.t.interval(0.95, 4, loc=3.5, scale=stats.sem(values))
    np.testing.assert_allclose(interval(values), expected)
    assert p_above(values, 3.0) == pytest.approx(stats.ttest_1samp(values, 3.0).pvalue)


def test_of_skewed_values_the_end_of_the_tail_is_drawn_out():
    values = np.array([1.0, 1.1, 1.3, 1.2, 3.0])
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert interval(values)[0] == pytest.approx(low)
    assert interval(values)[1] > high + 0.5
    np.testing.assert_allclose(interval(-values), np.negative(interval(values))[::-1])


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_evidence_and_interval_agree(n):
    for values in np.random.default_rng(n).gamma(1.5, size=(50, n)):
        low, high = interval(values)
        assert p_above(values, low) == pytest.approx(LEVEL, rel=1e-6)
        assert p_above(-values, -high) == pytest.approx(LEVEL, rel=1e-6)


@pytest.mark.parametrize("values", [[11, 11, 11, 11, 11], [1, 1, 2, 1, -1], [3, 3, -1], [0, 0, 1, 2]])
def test_values_that_repeat_have_the_exact_test_over_signs(values):
    sums = [np.dot(signs, values) for signs in itertools.product([1, -1], repeat=len(values))]
    assert p_above(values) == np.mean(np.array(sums) >= sum(values))


def test_four_seeds_that_agree_decide_nothing_and_five_do():
    assert p_above([11.0] * 4, 5) == 1 / 16
    assert p_above([11.0] * 5, 5) == 1 / 32


def test_one_value_is_never_evidence():
    assert np.isnan(interval([1.0])).all()
    assert p_above([1.0], 0) == 1
    assert interval([3.0, 3.0]) == (3.0, 3.0)


def test_holm():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])  # the example of R's p.adjust
    assert holm([]) == []


def test_the_mean_lies_in_its_interval_whatever_is_rounded():
    some = np.random.default_rng(0).random(100)
    for values in [*([x] * 3 for x in some), *([x, x, np.nextafter(x, 2)] for x in some[:20])]:
        low, high = interval(values)
        assert low <= np.mean(values) <= high
