"""The growth exponent against numpy's least squares and a simulation of its interval."""

import numpy as np
import pytest

from experiments.metrics.scalability import growth_exponent


def test_an_exact_power_law():
    sizes = np.array([10, 100, 1000, 5000])
    slope, low, high = growth_exponent(sizes=sizes, costs=3 * sizes**1.5)
    assert slope == pytest.approx(1.5)
    assert (low, high) == pytest.approx((1.5, 1.5), abs=1e-6)


def test_the_interval_is_that_of_least_squares():
    rng = np.random.default_rng(0)
    x = np.log([4e3, 1e4, 1.5e4, 3e4, 1e5])
    y = 0.9 * x + rng.normal(0, 0.2, 5)
    (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)  # scaled by the residual variance, n - 2
    found = growth_exponent(sizes=np.exp(x), costs=np.exp(y))
    half = 3.182446305 * np.sqrt(covariance[0, 0])  # 97.5% quantile of Student's t, 3 degrees of freedom
    assert found == pytest.approx((slope, slope - half, slope + half))
    assert intercept < 5


def test_fewer_than_four_sizes_have_no_exponent():
    """Three points of a line have an interval from −1.1 to 3.7."""
    assert np.isnan(growth_exponent(sizes=[10, 20, 40], costs=[1.0, 4.0, 5.0])).all()
    assert np.isnan(growth_exponent(sizes=[10, 20, 40] * 5, costs=[1.0, 4.0, 5.0] * 5)).all()  # of five seeds
    assert np.isfinite(growth_exponent(sizes=[10, 20, 40, 80], costs=[1.0, 4.0, 5.0, 9.0])).all()
