"""Scores that have no zero, one row per method: points with intervals (Fig 9a)."""

import numpy as np
from matplotlib.lines import Line2D

from ..loop.registry import METRICS
from .style import COLUMN, NUMBER, PAGE, PUBLISHED, SOFT, SuiteFigure, colour, in_style
from .text import folded
from .words import outcome, seeds_of, spread_of, title_of

ROOM = 0.6  # of the range of methods and published values: a control further out is drawn at the edge


@in_style()
def score_points(table, marks, *, unit="nats per cell", like="", apart=()):
    """One row per method, best first, then the controls; several scores in one unit, the published value as a diamond.

    The axis goes over the range of the scores: a log-likelihood has no zero that bars could start from.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``experiments.report.table.summarise`` for one value of each axis.
    marks : dict
        Score -> (marker, what it is). The first orders the rows; all rank in the same direction.
    unit : str
    like : str
        The figure of the paper that this one redraws.
    apart : list of str
        Scores that get a panel of their own at the right: they are not what the others are.

    Returns
    -------
    SuiteFigure
    """
    table = table[table["score"].isin(marks)]
    better = METRICS[next(iter(marks))].better
    labels = _order(table, list(marks), better)
    shown = [score for score in marks if table.loc[table["score"] == score, "mean"].notna().any()]
    scored = [[score for score in shown if (score in apart) == own] for own in (False, True)]
    panels = [table[table["score"].isin(scores)] for scores in scored if scores] or [table]
    title, caption = title_of(next(table.itertuples()), like), f"{seeds_of(table)} {spread_of(table, 'Point')}"
    figure = SuiteFigure(COLUMN if len(panels) == 1 else 0.8 * PAGE, title=title, caption=caption)
    names = folded(labels, 20)
    for k, (ax, rows) in enumerate(zip(figure.panels([""] * len(panels), sharey=True), panels, strict=True)):
        limits = _limits(rows)
        ax.set(xlim=limits, ylim=(len(labels) - 0.5, -0.5))
        for i, label in enumerate(labels):
            own = rows[rows["label"] == label]
            if k == 0 or own["mean"].notna().any():  # what became of a method is said once
                _row(ax, i, own, marks, limits)
        ax.set_yticks(range(len(labels)), names)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="y", color="#e8e8e8", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.locator_params(axis="x", nbins=5)
        ax.set_xlabel(f"{unit}, {better} is better")
    dot = {"color": "#555555", "markersize": 4.2, "linestyle": "none"}
    handles = [Line2D([], [], marker=marks[score][0], label=marks[score][1], **dot) for score in shown]
    if table["published"].notna().any():
        handles.append(Line2D([], [], label="published", **PUBLISHED))
    figure.key(handles)
    words = (_words(table[table["label"] == label], marks) for label in labels)
    height = len(labels) * max(0.2, 0.13 * max(name.count("\n") + 1 for name in names))
    return figure.finish(f"Points, {unit}. {'; '.join(words)}.", table, height)


def _order(table, scores, better):
    """Labels by the first score, those without one last; then the controls."""
    means = table.pivot_table("mean", "label", "score", dropna=False, sort=False).reindex(columns=scores)
    order = means.iloc[:, 0].sort_values(ascending=better == "lower", na_position="last", kind="stable").index
    control = set(table.loc[table["role"] == "control", "label"])
    return sorted(order, key=lambda label: label in control)


def _limits(table):
    """The axis: all methods and published values; a control too if it is not far out."""
    columns = ["mean", "ci_low", "ci_high", "published"]
    methods = table.loc[table["role"] != "control", columns].to_numpy(dtype=float)
    methods = methods if np.isfinite(methods).any() else table[columns].to_numpy(dtype=float)
    low, high = (np.nanmin(methods), np.nanmax(methods)) if np.isfinite(methods).any() else (0.0, 1.0)
    room = ROOM * (high - low)
    near = table[["mean", "ci_low", "ci_high"]].to_numpy(dtype=float)
    near = near[(near >= low - room) & (near <= high + room)]
    low, high = min([low, *near]), max([high, *near])
    air = 0.06 * (high - low) or 1.0
    return low - air, high + air


def _row(ax, i, rows, marks, limits):
    if not rows["mean"].notna().any():
        words = outcome(rows["status"].iloc[0])
        ax.text(0.02, i, words, transform=ax.get_yaxis_transform(), va="center", color=SOFT, style="italic")
        return
    present = [row for row in rows.itertuples() if row.n_seeds]
    shifts = np.linspace(-0.18, 0.18, len(present)) if len(present) > 1 else [0.0]
    outside = []
    for shift, row in zip(shifts, present, strict=True):
        if not limits[0] <= row.mean <= limits[1]:
            outside.append(row)
            continue
        tint = colour(row.label, row.role)
        if np.isfinite(row.ci_low):
            ax.plot([row.ci_low, row.ci_high], [i + shift] * 2, color=tint, linewidth=1.1, solid_capstyle="butt")
        ax.plot(row.mean, i + shift, marks[row.score][0], color=tint, markersize=4.2, markeredgewidth=0)
    if outside:
        is_low = outside[0].mean < limits[0]
        text = f"◂ {outside[0].mean:,.0f}" if is_low else f"{outside[0].mean:,.0f} ▸"
        x, side = (0.0, "left") if is_low else (1.0, "right")
        ax.text(x, i, text.replace("-", "−"), transform=ax.get_yaxis_transform(), va="center", ha=side, fontsize=NUMBER)
    published = rows["published"].dropna().unique()
    ax.plot(published, [i] * len(published), **PUBLISHED)


def _words(rows, marks):
    parts = []
    for row in rows.itertuples():
        if row.n_seeds:
            around = f" ({row.ci_low:.1f} to {row.ci_high:.1f})" if np.isfinite(row.ci_low) else ""
            parts.append(f"{marks[row.score][1]} {row.mean:.1f}{around}")
    published = rows["published"].dropna().unique()
    parts += [f"published {value:.1f}" for value in published]
    return f"{rows['label'].iloc[0]}: " + (", ".join(parts) or "no result")
