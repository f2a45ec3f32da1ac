"""Bars of several scores side by side, the methods in the same rows (Fig 8)."""

import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..loop.registry import METRICS
from .style import COLUMN, NUMBER, PAGE, PUBLISHED, SOFT, SuiteFigure, colour, in_style
from .text import fold, folded
from .words import outcome, seeds_of, spread_of, title_of

CUT = 1.3  # times the longest method: a longer control is cut
FAR = 5  # times the next: so long a bar would leave nothing to be seen of the others


@in_style()
def bar_panels(table, panels, *, like="", note="", series=None, digits=2, what=""):
    """Fig 8: a panel per score, a row per method, the number at the right, the published value as a hollow diamond.

    The rows are in the order of the first panel, best first, then the controls (grey), which give the score a scale. A
    control more than ``CUT`` times longer than all else, and a method more than ``FAR`` times longer, is drawn shorter,
    with a mark across the bar, a note in the caption and its true value beside it.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``experiments.report.table.summarise`` for one value of each axis.
    panels : dict of str to list of str
        The scores of each panel by the score that names its axis, all keys of ``METRICS``. Where a panel has several,
        each method has that many bars; the last one of the first panel ranks the methods.
    like : str
        The figure of the paper that this one redraws.
    note : str
        Added to the caption.
    series : dict of str to colour, optional
        Names and colours of the bars of a method, in the order of the scores of a panel; method colours without.
    digits : int
        Decimals of the numbers.
    what : str
        Added to the title.

    Returns
    -------
    SuiteFigure
    """
    shown = table[table["score"].isin([score for scores in panels.values() for score in scores])]
    first, *_ = panels
    ranks = _ranked(shown[shown["score"] == panels[first][-1]], METRICS[first].better)
    labels = list(dict.fromkeys([*ranks["label"], *shown["label"]]))
    drawn = {name: _cut(shown[shown["score"].isin(scores)]) for name, scores in panels.items()}
    cut = any((rows["length"] < rows["mean"]).any() for rows in drawn.values())
    caption = f"{seeds_of(shown)} {spread_of(shown, 'Bar')}{' Bars with a mark across are longer than drawn.' * cut}"
    title = title_of(next(shown.itertuples()), like, what)
    figure = SuiteFigure(min(COLUMN + 1.9 * (len(panels) - 1), PAGE), title=title, caption=caption + note)
    axes = figure.panels([""] * len(panels), sharey=True)
    names = folded(labels, 20)
    for ax, (name, scores) in zip(axes, panels.items(), strict=True):
        ax.set_yticks(range(len(labels)), names)
        _bars(ax, drawn[name], labels, scores, list((series or {}).values()), digits)
        metric, alone = METRICS[name], len(panels) == 1
        direction = f"\n{metric.better} is better" if metric.better else ""
        ax.set_xlabel(fold(metric.label, 44 if alone else 27) + direction)
        ax.xaxis.set_major_locator(MaxNLocator(5 if alone else 4, integer=metric.whole))
    handles = [Patch(color=fill, label=name) for name, fill in (series or {}).items()]
    if shown["published"].notna().any():
        handles += ax.plot([], [], label="published", **PUBLISHED)
    figure.key(handles)
    lines = max(name.count("\n") + 1 for name in names)
    height = len(labels) * max(0.23, 0.13 * lines, 0.09 + 0.14 * max(map(len, panels.values())))
    words = (f"{row.score} {_words(row, digits)}" for rows in drawn.values() for row in rows.itertuples())
    alt = f"Bars of {', '.join(METRICS[name].label for name in panels)} by method. {'; '.join(words)}."
    return figure.finish(alt, shown, height)


def _ranked(table, better):
    """Methods by score, those without one last; then the controls."""
    ordered = table.sort_values("mean", ascending=better == "lower", na_position="last", kind="stable")
    return ordered.sort_values("role", key=lambda role: role == "control", kind="stable")


def _cut(rows):
    """The rows of one panel with the ``length`` of their bars: none ends far beyond the others."""
    is_far = rows["mean"] > FAR * max(0.0, rows["mean"].nlargest(2).min()) if len(rows) > 1 else rows["mean"] > np.inf
    methods = rows[(rows["role"] != "control") & ~is_far]
    limit = CUT * np.nanmax([0.0, *methods[["mean", "ci_high", "published"]].to_numpy(dtype=float).ravel()])
    is_cut = (is_far | (rows["role"] == "control")) & (rows["mean"] > limit) & (limit > 0)
    return rows.assign(length=rows["mean"].mask(is_cut, limit))


def _bars(ax, rows, labels, scores, fills, digits):
    """The bars of one panel; without ``fills`` each has the colour of its method."""
    thick = 0.8 / len(scores) if fills else 0.66
    step = [scores.index(score) - (len(scores) - 1) / 2 for score in rows["score"]]
    rows = rows.assign(place=[labels.index(label) for label in rows["label"]] + thick * np.array(step))
    has_bar = rows[rows["length"].notna()].sort_values("place")
    tints = [fills[scores.index(row.score)] if fills else colour(row.label, row.role) for row in has_bar.itertuples()]
    ax.barh(has_bar["place"], has_bar["length"], height=thick, color=tints)
    spread = rows[(rows["length"] == rows["mean"]) & rows["ci_low"].notna()]
    around = np.abs(spread[["ci_low", "ci_high"]].to_numpy().T - spread["mean"].to_numpy())
    line = {"ecolor": "black", "elinewidth": 0.8, "capsize": 1.8, "capthick": 0.8, "zorder": 6}
    ax.errorbar(spread["mean"], spread["place"], xerr=around, fmt="none", **line)
    ax.plot(rows["published"], rows["place"], clip_on=False, **PUBLISHED)
    for row in rows.itertuples():
        style = {} if row.n_seeds else {"color": SOFT, "style": "italic"}
        beside = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": NUMBER}
        ax.text(1.03, row.place, _number(row, digits), **beside, **style)
        if row.length < row.mean:
            ax.text(row.length, row.place, "//  ", color="white", weight="bold", ha="right", va="center")
    ax.axvline(0, color="#444444", linewidth=0.6)
    if not rows[["length", "published"]].any(axis=None):
        ax.set_xlim(0, 1)
    ax.set(ylim=(len(labels) - 0.5, -0.5))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _number(row, digits):
    return f"{row.mean:z.{digits}f}".replace("-", "−") if row.n_seeds else outcome(row.status)


def _words(row, digits):
    """What a bar shows."""
    text = f"{row.label} {_number(row, digits)}"
    if np.isfinite(row.ci_low):
        text += f" ({row.ci_low:z.{digits}f} to {row.ci_high:z.{digits}f})"
    return text + (f", published {row.published:.{digits}f}" if pd.notna(row.published) else "")
