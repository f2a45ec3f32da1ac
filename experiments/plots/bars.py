"""Bars of one score, one per method (Fig 8, 9 and 11)."""

import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke

from ..metrics.registry import METRICS
from .style import COLUMN, MARGIN, NUMBER, SOFT, SuiteFigure, colour, in_style, inches, wrap
from .words import span, title_of


def score_bars(table, score, like=""):
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

    Returns
    -------
    SuiteFigure
    """
    label = METRICS[score].title
    table = _ranked(table[table["score"] == score], METRICS[score].better)
    with in_style():
        rows = [_Bar(row, CUT * _longest(table)) for row in table.itertuples()]
        names = [wrap(row.label, NUMBER, LABEL) for row in rows]
        what = wrap(label, 7.5, COLUMN - 2 * MARGIN)
        left = 0.12 + MARGIN + max(inches(line, NUMBER) for name in names for line in name)
        below, step = 0.3 + 0.14 * len(what), max(0.23, 0.12 * max(map(len, names)))
        inner, height = COLUMN - left - RIGHT, len(rows) * step
        title, caption = title_of(rows[0].row, like), _bars_caption(table, rows)
        figure = SuiteFigure(COLUMN, height + below, title=title, caption=caption, beside_title=0.8)
        ax = figure.panel(left, below, inner, height)
        low, unit = _scale(rows, inner)
        ax.set(xlim=(low, low + inner / unit), ylim=(len(rows) - 0.5, -0.5))
        for i, row in enumerate(rows):
            row.draw(ax, i, unit)
        ax.set_yticks(range(len(rows)), ["\n".join(name) for name in names])
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


CUT = 2.5
RIGHT = 0.14  # inches: half of the label of a tick at the very end, and the margin
LABEL = 1.3  # inches: longer labels take a second line
PAD, HALF_DIAMOND = 0.05, 0.05  # inches
PUBLISHED = {
    "marker": "D", "markersize": 4, "markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 0.9,
    "linestyle": "none", "clip_on": False, "zorder": 5, "path_effects": [withStroke(linewidth=2.2, foreground="white")],
}  # fmt: skip


class _Bar:
    """One bar with its interval, its number and its published value: what is drawn where."""

    def __init__(self, row, longest, *, digits=2, thick=0.62, fill=None):
        self.row, self.label, self.published = row, row.label, row.published
        self.thick, self.fill = thick, fill or colour(row.label, row.role)
        self.cut = row.role == "control" and row.mean > longest > 0
        self.length = longest if self.cut else row.mean
        self.low = np.nanmin([0.0, self.length, row.ci_low, row.published])
        self.end = self.length if self.cut else np.nanmax([0.0, self.length, row.ci_high])
        self.number = f"{row.mean:z.{digits}f}" if row.n_seeds else _outcome(row.status)
        self.words = f"{row.label} {self.number}"
        if np.isfinite(row.ci_low):
            self.words += f" ({row.ci_low:z.{digits}f} to {row.ci_high:z.{digits}f})"
        if np.isfinite(row.published):
            self.words += f", published {row.published:.{digits}f}"

    def number_at(self, unit):
        """Where the number starts: after the bar, or after the published value where that would be in its way."""
        room = (self.published - self.end) * unit - HALF_DIAMOND  # inches from the end of the bar to the diamond
        if -2 * HALF_DIAMOND - PAD < room < 2 * PAD + inches(self.number, NUMBER):
            return self.published + (HALF_DIAMOND + PAD) / unit
        return self.end + PAD / unit

    def draw(self, ax, i, unit):
        row = self.row
        if row.n_seeds:
            ax.barh(i, self.length, height=self.thick, color=self.fill)
        if np.isfinite(row.ci_low) and not self.cut:
            around = [[row.mean - row.ci_low], [row.ci_high - row.mean]]
            ax.errorbar(row.mean, i, xerr=around, color="black", elinewidth=0.8, capsize=1.8, capthick=0.8, zorder=4)
        if self.cut:
            ends = i + 0.65 * self.thick * np.array([1, -1])
            for shift in (0.10, 0.15):
                ax.plot(self.length - np.array([shift + 0.04, shift]) / unit, ends, color="white")
        if np.isfinite(row.published):
            ax.plot(row.published, i, **PUBLISHED)
        style = {} if row.n_seeds else {"color": SOFT, "style": "italic"}
        ax.text(self.number_at(unit), i, self.number, va="center", fontsize=NUMBER, **style)


def _scale(rows, inner):
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


def _ranked(table, better):
    """Methods by score, those without one last; then the controls."""
    ordered = table.sort_values("mean", ascending=better == "lower", na_position="last", kind="stable")
    control = ordered["role"] == "control"
    return pd.concat([ordered[~control], ordered[control]])


def _longest(table):
    methods = table[table["role"] != "control"]
    return np.nanmax([0.0, *methods["mean"], *methods["ci_high"], *methods["published"]])


def _outcome(status):
    """The outcomes named in a status such as "failed: why; skipped: why"."""
    return " and ".join(word for word in ("failed", "timeout", "skipped") if f"{word}:" in status) or "no result"


def _bars_caption(table, rows):
    first, seeds = table.iloc[0], table.loc[table["n_seeds"] > 0, "n_seeds"]
    noun = "seed" if seeds.max() == 1 else "seeds"
    caption = f"{first['dataset']}, protocol {first['protocol']}, n\xa0= {span(seeds)} {noun}. "
    caption += "Bar: mean over seeds; line: its 95% bootstrap interval."
    return caption + " Bars with a mark across are longer than drawn." * any(row.cut for row in rows)
