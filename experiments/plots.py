"""One look for the whole suite: the style, the colour of each method, the kinds of plot the experiments draw."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from .metrics import METRICS

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "figure.dpi": 100,
    "pdf.fonttype": 42,
    "savefig.bbox": "tight",
}


def density_panels(panels, *, limit, x, y, score):
    """Fig 2: density of imputed against original counts, one square per method, with the two lines and the score d."""
    raise NotImplementedError


def score_bars(table, score):
    """Fig 9b: one horizontal bar per method with its interval, the published value as a marker beside it."""
    raise NotImplementedError
