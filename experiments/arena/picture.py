"""The picture of the scorecard: scaled score against time, one panel per task and data set."""

import base64
import io

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from .. import titles
from ..plots.style import INK, PAGE, SOFT, SuiteFigure, colour, in_style
from ..plots.text import folded

LOWEST = -1.0  # scaled scores below stand at the edge, with an arrow
MOST = 12  # panels
CAPTION = (
    "Each mark is a method: how far it comes from the control that knows nothing (0) to the oracle, or the best method "
    "where there is none (1), mean over the contests of the task, against the median wall time of a job. The line "
    "joins those that no other method beats in both. A ring marks yours, grey are controls, an arrow a score below "
    "{lowest:g}."
)


@in_style()
def picture(card):
    """Draw the fronts of a `scorecard.Scorecard`; None where no contest has a scale.

    Returns
    -------
    plots.style.SuiteFigure or None
    """
    fronts = dict(list(card.fronts.items())[:MOST])
    if not fronts:
        return None
    points = pd.DataFrame(
        [{"task": task, "dataset": data} | point._asdict() for (task, data), its in fronts.items() for point in its]
    )
    title = f"What {' and '.join(card.mine)} and others reach, and in what time"
    figure = SuiteFigure(PAGE, title=title, caption=CAPTION.format(lowest=LOWEST))
    axes = figure.panels([f"{titles.experiment(task)}, {titles.data(data)}" for task, data in fronts], columns=2)
    for i, (ax, its) in enumerate(zip(axes, fronts.values(), strict=True)):
        _panel(ax, its)
        ax.set_ylabel("scaled score" if i % 2 == 0 else "")
    figure.key(_handles(points), "outside right upper", ncols=1)
    words = "; ".join(
        f"{p.label}: {p.scaled:.2f} in {p.seconds:.1f} s ({titles.experiment(p.task)}, {titles.data(p.dataset)})"
        for p in points.itertuples()
    )
    return figure.finish(f"Scaled score against seconds. {words}.", points, 2.3)


def _panel(ax, points):
    for point in points:
        shown = max(point.scaled, LOWEST)
        mark = "o" if shown == point.scaled else "v"
        ax.plot(
            point.seconds, shown, mark, color=colour(point.label, point.role), markersize=5, zorder=3, clip_on=False
        )
        if point.role == "mine":
            ax.plot(
                point.seconds, shown, "o", markersize=10, markerfacecolor="none", color=INK, zorder=4, clip_on=False
            )
    front = sorted((point.seconds, point.scaled) for point in points if point.in_front)
    if front:
        ax.plot(*np.transpose(front), color=SOFT, linewidth=0.8, drawstyle="steps-post", zorder=1)
    for level in (0, 1):
        ax.axhline(level, color=SOFT, linewidth=0.5, linestyle=":", zorder=0)
    seconds = [point.seconds for point in points]
    ax.set(xscale="log", xlabel="seconds of a job", xlim=(min(seconds) / 1.6, max(seconds) * 1.6))
    lowest = max(min([0.0, *(point.scaled for point in points)]), LOWEST)
    ax.set_ylim(lowest - 0.12, 1.12)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(lambda value, _: "")


def _handles(points):
    rows = points.drop_duplicates("method")
    names = folded(list(rows["label"]), 24)
    return [
        Line2D([], [], color=colour(row.label, row.role), label=name, marker="o", markersize=5, linestyle="none")
        for row, name in zip(rows.itertuples(), names, strict=True)
    ]


def as_uri(figure):
    """A figure as an address that holds the whole PNG, with its size in pixels of the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    width, height = figure.get_size_inches()
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"uri": uri, "width": round(width * 118), "height": round(height * 118), "alt": figure.alt}
