"""Scores of imputed counts."""

import numpy as np


def median_l1(*, original, imputed):
    """Median absolute difference over the scored entries, in counts (paper, section 4.7)."""
    return float(np.median(np.abs(np.asarray(imputed, dtype=np.float64) - np.asarray(original, dtype=np.float64))))
