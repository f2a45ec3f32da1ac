"""Held-out likelihood: the mean over cells and the error of it."""

import numpy as np
import pytest

from experiments.metrics.likelihood import monte_carlo_error, nats_per_cell


def test_the_error_of_the_mean_is_that_of_repeated_estimates():
    rng = np.random.default_rng(0)
    errors = rng.gamma(2, 0.1, size=30)
    truth = rng.normal(-1200, 50, size=30)
    means = [nats_per_cell(loglik=truth + errors * rng.normal(size=30)) for _ in range(4000)]
    assert np.mean(means) == pytest.approx(truth.mean(), abs=0.01)
    assert np.std(means) == pytest.approx(monte_carlo_error(standard_error=errors), rel=0.05)
