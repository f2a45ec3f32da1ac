"""Metrics against independent computations."""

import numpy as np
import pytest
from sklearn.metrics import median_absolute_error

from experiments.metrics.imputation import median_l1
from experiments.metrics.registry import METRICS


def test_median_l1_is_scikit_learns():
    rng = np.random.default_rng(0)
    original, imputed = rng.poisson(3, 501), rng.gamma(2, size=501).astype(np.float32)
    assert median_l1(original=original, imputed=imputed) == pytest.approx(median_absolute_error(original, imputed))


def test_median_l1_by_hand():
    assert median_l1(original=np.array([1, 2, 10, 4]), imputed=np.array([1.0, 0.0, 3.0, 5.0])) == 1.5


def test_arguments_cannot_be_swapped_by_position():
    with pytest.raises(TypeError):
        median_l1([1], [2])


def test_every_metric_says_its_direction():
    assert {metric.better for metric in METRICS.values()} <= {"lower", "higher", ""}
    assert all(metric.label for metric in METRICS.values())
