"""Lines over a setting or over the epochs of training, in panels (Fig 14)."""

from typing import NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from .style import COLUMN, MARGIN, NUMBER, SuiteFigure, in_lines, in_style, inches, wrap

LEFT, BELOW, RIGHT = 0.72, 0.42, 0.12  # inches around a panel
HEIGHT = 1.55


class Panel(NamedTuple):
    """What the axes of one panel show."""

    x: str
    y: str
    ticks: tuple  # of the horizontal axis
    log: bool = False  # both axes


def line_panels(data, panels, looks, *, title, caption):
    """Two panels side by side, more below them; one line per name, with its interval and the published points.

    Parameters
    ----------
    data : pandas.DataFrame
        Columns ``panel, line, x, y, low, high, published``; NaN where there is nothing to draw. A line with ``marker``
        in its look has its intervals as bars, one without as a band.
    panels : dict of str to Panel
    looks : dict of str to dict
        Options of matplotlib's ``plot`` for each line, in the order of the legend.
    title, caption : str

    Returns
    -------
    SuiteFigure
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    used = {name: look for name, look in looks.items() if name in set(data["line"])}
    with in_style():
        legend = _lines(used, data["published"].notna().any(), columns * COLUMN - 2 * MARGIN)
        above = 0.16 * len(legend) + 0.06
        figure = SuiteFigure(columns * COLUMN, rows * (HEIGHT + BELOW + 0.1) + above, title=title, caption=caption)
        for k, (name, panel) in enumerate(panels.items()):
            row, column = divmod(k, columns)
            at = (rows - 1 - row) * (HEIGHT + BELOW + 0.1) + BELOW
            ax = figure.panel(column * COLUMN + LEFT, at, COLUMN - LEFT - RIGHT, HEIGHT)
            _draw(ax, data[data["panel"] == name], panel, used)
            what = "\n".join(wrap(panel.y, 7.5, HEIGHT))
            figure.write(column * COLUMN + MARGIN, figure.foot + at + HEIGHT / 2, what, va="center", rotation=90)
        for line, entries in enumerate(legend):
            y = figure.foot + rows * (HEIGHT + BELOW + 0.1) + above - 0.1 - 0.16 * line
            for start, label, look in entries:
                _key(figure, start, y, label, look)
    figure.data = data
    figure.alt = "Lines. " + "; ".join(_words(data, panels)) + "."
    return figure


PUBLISHED = {"marker": "D", "markerfacecolor": "white", "markersize": 4, "linestyle": "none", "markeredgewidth": 0.9}


def _draw(ax, data, panel, looks):
    for name, look in looks.items():
        rows = data[(data["line"] == name) & data["y"].notna()].sort_values("x")
        if rows.empty:
            continue
        if "marker" in look:
            around = np.abs(rows[["low", "high"]].to_numpy().T - rows["y"].to_numpy())
            ax.errorbar(rows["x"], rows["y"], yerr=around, elinewidth=0.8, **look)
        else:
            ax.plot(rows["x"], rows["y"], **look)
            ax.fill_between(rows["x"], rows["low"], rows["high"], color=look["color"], alpha=0.2, linewidth=0)
        ax.plot(rows["x"], rows["published"], color=look["color"], zorder=5, **PUBLISHED)
    if panel.log:
        ax.set(xscale="log", yscale="log")
        low, high = ax.get_ylim()  # within a factor of five there may be one of 1, 2 and 5 alone
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(4))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 100 else f"{value:.3g}")
    ax.set_xticks(panel.ticks, [f"{tick:,}" for tick in panel.ticks])
    ax.minorticks_off()
    ax.set_xlabel(panel.x)


def _lines(looks, published, width):
    """Entries of the legend as lines of (start in inches, label, look)."""
    entries = [*looks.items(), *([("published", {"color": "black", **PUBLISHED})] if published else [])]
    lines = in_lines([0.45 + inches(label, NUMBER) for label, _ in entries], width)
    return [[(MARGIN + start, *entries[i]) for i, start in line] for line in lines]


def _key(figure, start, y, label, look):
    ax = figure.add_axes((start / figure.width, (y - 0.06) / figure.height, 0.26 / figure.width, 0.12 / figure.height))
    ax.axis("off")
    if look["linestyle"] != "none":
        ax.plot([0, 1], [0, 0], color=look["color"], linestyle=look["linestyle"])
    ax.plot(0.5, 0, **look | {"linestyle": "none"})
    ax.set_xlim(-0.1, 1.1)
    figure.write(start + 0.3, y, label, va="center", fontsize=NUMBER)


def _words(data, panels):
    """First and last value of each line."""
    for (panel, line), rows in data.dropna(subset="y").groupby(["panel", "line"], sort=False):
        ends = rows.sort_values("x").iloc[[0, -1]]
        values = " to ".join(f"{row.y:.4g} at {row.x:g}" for row in ends.itertuples())
        yield f"{panels[panel].y}, {line}, over {panels[panel].x}: {values}"
