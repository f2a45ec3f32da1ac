"""Scores of imputed counts."""

import numpy as np
import pandas as pd


def median_l1(*, original, imputed):
    """Median absolute difference over the scored entries, in counts (paper, section 4.7)."""
    return float(np.median(np.abs(np.asarray(imputed, dtype=np.float64) - np.asarray(original, dtype=np.float64))))


def cell_medians(*, original, imputed, rows):
    """Of each cell that has scored entries, their median absolute difference, in counts: (n_cells,).

    ``rows`` (n_scored,) says which cell an entry is of. The authors' later program scores imputation by these.
    """
    error = np.abs(np.asarray(imputed, dtype=np.float64) - np.asarray(original, dtype=np.float64))
    return pd.Series(error).groupby(np.asarray(rows)).median().to_numpy()
