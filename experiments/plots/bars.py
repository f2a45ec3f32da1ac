"""Bars of one score, one per method (Fig 8, 9 and 11)."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..metrics.registry import METRICS
from .bar import CUT, LABEL, PUBLISHED, RIGHT, Bar, bars_caption, longest, ranked, scale
from .style import COLUMN, MARGIN, NUMBER, SuiteFigure, in_style, inches, wrap
from .words import title_of


def score_bars(table, score, like="", note=""):
    """Fig 9b: one horizontal bar per method with its interval, the published value as a hollow diamond on its row.

    Best first, then the controls (grey), which give the score a scale. A control more than ``CUT`` times longer than
    all else is drawn shorter, with a mark across the bar, a note in the caption and its true value beside it.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``experiments.table.summarise`` for one value of each axis.
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
    label = METRICS[score].title
    table = ranked(table[table["score"] == score], METRICS[score].better)
    with in_style():
        shown = table[["mean", "ci_low", "ci_high", "published"]].to_numpy(dtype=float)
        digits = 0 if METRICS[score].whole and (shown[np.isfinite(shown)] % 1 == 0).all() else 2
        rows = [Bar(row, CUT * longest(table), digits=digits) for row in table.itertuples()]
        names = [wrap(row.label, NUMBER, LABEL) for row in rows]
        what = wrap(label, 7.5, COLUMN - 2 * MARGIN)
        left = 0.12 + MARGIN + max(inches(line, NUMBER) for name in names for line in name)
        below, step = 0.3 + 0.14 * len(what), max(0.23, 0.12 * max(map(len, names)))
        inner, height = COLUMN - left - RIGHT, len(rows) * step
        title = title_of(rows[0].row, like, "" if like else METRICS[score].label)
        caption = bars_caption(table, rows) + note
        figure = SuiteFigure(COLUMN, height + below, title=title, caption=caption, beside_title=0.8)
        ax = figure.panel(left, below, inner, height)
        low, unit = scale(rows, inner)
        ax.set(xlim=(low, low + inner / unit), ylim=(len(rows) - 0.5, -0.5))
        for i, row in enumerate(rows):
            row.draw(ax, i, unit)
        ax.set_yticks(range(len(rows)), ["\n".join(name) for name in names])
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=METRICS[score].whole))
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.axvline(0, color="#444444", linewidth=0.6)
        middle = min(left + inner / 2, COLUMN - MARGIN - max(inches(line, 7.5) for line in what) / 2)
        figure.write(middle, figure.foot + MARGIN, "\n".join(what), ha="center", va="bottom")
        if table["published"].notna().any():
            corner = (1 - MARGIN / COLUMN, 1 - MARGIN / figure.height)
            figure.legend(
                ax.plot([], [], **PUBLISHED), ["published"], loc="upper right", bbox_to_anchor=corner, frameon=False,
                borderaxespad=0, borderpad=0, handletextpad=0, fontsize=NUMBER,
            )  # fmt: skip
    figure.data = table
    figure.alt = f"Bars of {label}. " + "; ".join(row.words for row in rows) + "."
    return figure
