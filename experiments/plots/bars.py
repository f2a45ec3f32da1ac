"""Bars of one score, one per method (Fig 8, 9 and 11)."""

import numpy as np

from ..loop.registry import METRICS
from .bar_panels import bar_panels


def score_bars(table, score, like="", note=""):
    """Fig 9b: one horizontal bar per method, as in `bar_panels`; a count is a whole number where all of them are.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``experiments.report.table.summarise`` for one value of each axis.
    score : str
        A key of ``METRICS``.
    like : str
        The figure of the paper that this one redraws, e.g. "Fig 9b".
    note : str
        Added to the caption.

    Returns
    -------
    SuiteFigure
    """
    shown = table.loc[table["score"] == score, ["mean", "ci_low", "ci_high", "published"]].to_numpy(dtype=float)
    whole = METRICS[score].whole and (shown[np.isfinite(shown)] % 1 == 0).all()
    what = "" if like else METRICS[score].label
    return bar_panels(table, {score: [score]}, like=like, note=note, digits=0 if whole else 2, what=what)
