"""Scores of posterior draws against brute force and closed forms."""

import numpy as np
import pytest
from scipy import stats

from experiments.metrics.posterior import coverage, crps


def test_crps_is_the_double_sum_over_pairs():
    rng = np.random.default_rng(0)
    draws, observed = rng.poisson(3.0, size=(7, 4)), rng.poisson(3.0, size=4)
    by_hand = []
    for x, own in zip(observed, draws.T, strict=True):
        pairs = [abs(a - b) for i, a in enumerate(own) for j, b in enumerate(own) if i != j]
        by_hand.append(np.mean([abs(a - x) for a in own]) - np.mean(pairs) / 2)
    assert crps(observed=observed, draws=draws) == pytest.approx(np.mean(by_hand))


def test_crps_of_normal_draws_is_the_closed_form():
    draws = np.random.default_rng(0).normal(size=(20_000, 3))
    x = np.array([-1.0, 0.0, 2.0])
    closed = x * (2 * stats.norm.cdf(x) - 1) + 2 * stats.norm.pdf(x) - 1 / np.sqrt(np.pi)
    assert crps(observed=x, draws=draws) == pytest.approx(closed.mean(), abs=0.01)


def test_coverage_of_draws_from_the_truth_is_the_level():
    rng = np.random.default_rng(0)
    draws, observed = rng.normal(size=(500, 5000)), rng.normal(size=5000)
    assert coverage(observed=observed, draws=draws) == pytest.approx(0.9, abs=0.015)
    assert coverage(observed=observed, draws=draws, level=0.5) == pytest.approx(0.5, abs=0.02)
    assert coverage(observed=observed, draws=0.5 * draws) < 0.65
