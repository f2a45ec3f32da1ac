"""Metrics against independent computations."""

import numpy as np
import pytest
from sklearn.metrics import median_absolute_error

from experiments.loop.registry import METRICS
from experiments.metrics.imputation import median_l1


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


@pytest.mark.parametrize(
    ("better", "scores"),
    [
        ("lower", "median_l1 batch_asw training_objective heldout_objective crps null_called null_max_bayes_factor "
                  "fit_minutes cpu_minutes output_minutes memory_mb"),
        ("higher", "loglik loglik_tuned loglik_marginal asw ari nmi asw_all ari_4 nmi_2 protein_spearman protein_fold "
                   "batch_entropy coordinate_r2 auroc idr_weight"),
        ("", "cluster_excess graph_components coverage n_clusters n_detected"),
    ],
)  # fmt: skip
def test_directions_are_those_of_the_paper(better, scores):
    assert {score: METRICS[score].better for score in scores.split()} == dict.fromkeys(scores.split(), better)
