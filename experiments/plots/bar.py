"""One bar with its interval, its number and its published value, and the axis that a column of bars shares."""

import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke

from .style import NUMBER, SOFT, colour, inches
from .words import outcome, seeds_of, spread_of

CUT = 1.3  # times the longest method: a longer control is cut
RIGHT = 0.14  # inches: half of the label of a tick at the very end, and the margin
LABEL = 1.3  # inches: longer labels take a second line
PAD, HALF_DIAMOND = 0.05, 0.05  # inches
PUBLISHED = {
    "marker": "D", "markersize": 4, "markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 0.9,
    "linestyle": "none", "clip_on": False, "zorder": 5, "path_effects": [withStroke(linewidth=2.2, foreground="white")],
}  # fmt: skip


class Bar:
    """A row of ``experiments.table.summarise`` as a bar: what is drawn where.

    Parameters
    ----------
    row : namedtuple
    limit : float
        Where a control that is longer is cut, in units of the score.
    digits : int
        Decimals of the number.
    thick : float
        Height of the bar, a row of the panel being one.
    fill : colour, optional
        By default that of the method.
    """

    def __init__(self, row, limit, *, digits=2, thick=0.62, fill=None):
        self.row, self.label, self.published = row, row.label, row.published
        self.thick, self.fill = thick, fill or colour(row.label, row.role)
        self.cut = row.role == "control" and row.mean > limit > 0
        self.length = limit if self.cut else row.mean
        self.low = np.nanmin([0.0, self.length, row.ci_low, row.published])
        self.end = self.length if self.cut else np.nanmax([0.0, self.length, row.ci_high])
        self.number = f"{row.mean:z.{digits}f}".replace("-", "−") if row.n_seeds else outcome(row.status)
        self.words = f"{row.label} {self.number}"
        if np.isfinite(row.ci_low):
            self.words += f" ({row.ci_low:z.{digits}f} to {row.ci_high:z.{digits}f})"
        if np.isfinite(row.published):
            self.words += f", published {row.published:.{digits}f}"

    def number_at(self, unit):
        """Where the number starts: after the bar, or after the published value where that would be in its way."""
        room = (self.published - self.end) * unit - HALF_DIAMOND  # inches from the end of the bar to the diamond
        beyond = self.published + HALF_DIAMOND / unit if room < 2 * PAD + inches(self.number, NUMBER) else self.end
        return max(self.end, beyond) + PAD / unit

    def draw(self, ax, i, unit):
        row = self.row
        if row.n_seeds:
            ax.barh(i, self.length, height=self.thick, color=self.fill)
        if np.isfinite(row.ci_low) and not self.cut:
            around = [[row.mean - row.ci_low], [row.ci_high - row.mean]]
            ax.errorbar(row.mean, i, xerr=around, color="black", elinewidth=0.8, capsize=1.8, capthick=0.8, zorder=6)
        if self.cut:
            ends = i + 0.65 * self.thick * np.array([1, -1])
            for shift in (0.10, 0.15):
                ax.plot(self.length - np.array([shift + 0.04, shift]) / unit, ends, color="white")
        if np.isfinite(row.published):
            ax.plot(row.published, i, **PUBLISHED)
        style = {} if row.n_seeds else {"color": SOFT, "style": "italic"}
        ax.text(self.number_at(unit), i, self.number, va="center", fontsize=NUMBER, **style)


def scale(rows, inner):
    """Left end of the axis, and inches per unit such that every number fits."""
    low = min(row.low for row in rows)
    before = 0.1 if low < 0 else 0.0  # inches from the left end to the longest bar that goes left
    reach = max(np.nanmax([row.end, row.published]) for row in rows) * 1.03 - low
    unit = (inner - before) / (reach or 1.0)
    for _ in range(len(rows) + 1):  # with a smaller unit a number can come to stand beyond a diamond, hence again
        for row in rows:
            end = row.number_at(unit) - low - PAD / unit  # of what the number stands beside, in units
            if end > 0:
                unit = min(unit, (inner - before - PAD - inches(row.number, NUMBER)) / end)
    return low - before / unit, unit


def ranked(table, better):
    """Methods by score, those without one last; then the controls."""
    ordered = table.sort_values("mean", ascending=better == "lower", na_position="last", kind="stable")
    control = ordered["role"] == "control"
    return pd.concat([ordered[~control], ordered[control]])


def longest(table):
    """How far the bars of the methods, their intervals and published values reach."""
    methods = table[table["role"] != "control"]
    return np.nanmax([0.0, *methods["mean"], *methods["ci_high"], *methods["published"]])


def bars_caption(table, bars):
    """Caption of the rows of ``table``, drawn as ``bars``."""
    caption = f"{seeds_of(table)} {spread_of(table, 'Bar')}"
    return caption + " Bars with a mark across are longer than drawn." * any(bar.cut for bar in bars)
