"""The scores of the suite: plain functions with keyword-only arguments, and what each score is."""

from typing import NamedTuple

import numpy as np


class Metric(NamedTuple):
    """What a score means; its direction is declared here and nowhere else."""

    label: str  # with the unit, as it stands on an axis
    better: str  # "lower" or "higher"


METRICS = {
    "median_l1": Metric("median |imputed − original| (counts)", "lower"),
}


def median_l1(*, original, imputed):
    """Median absolute difference over the scored entries, in counts (paper, section 4.7)."""
    return float(np.median(np.abs(np.asarray(imputed, dtype=np.float64) - np.asarray(original, dtype=np.float64))))
