"""Lines over a setting or over the epochs of training, in panels (Table 1, Fig 14)."""

from typing import NamedTuple

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from .blank import blank
from .style import PAGE, PUBLISHED, SuiteFigure, in_style
from .text import fold, folded
from .words import short


class Panel(NamedTuple):
    """What the axes of one panel show."""

    x: str
    y: str
    ticks: tuple  # of the horizontal axis
    log: bool = False  # both axes
    log_x: bool = False  # that one alone


@in_style()
def line_panels(data, panels, looks, *, title, caption, height=1.55):
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
    height : float
        Inches that a panel is high.

    Returns
    -------
    SuiteFigure
    """
    data = data[np.isfinite(data["x"].astype(float))]
    if not np.isfinite(data["y"].astype(float)).any():
        return blank("No method has a value to draw.", title=title, caption=caption)
    used = {name: look for name, look in looks.items() if name in set(data["line"])}
    figure = SuiteFigure(PAGE if len(panels) > 1 else PAGE / 2, title=title, caption=caption)
    for ax, (name, panel) in zip(figure.panels([""] * len(panels), 2), panels.items(), strict=True):
        _draw(ax, data[data["panel"] == name], panel, used, fold(panel.y, int(18 * height)))
    names = folded(used, 60, lines=2)
    handles = [Line2D([], [], label=name, **look) for name, look in zip(names, used.values(), strict=True)]
    if data["published"].notna().any():
        handles.append(Line2D([], [], label="published", **PUBLISHED))
    figure.key(handles)
    return figure.finish(f"Lines. {'; '.join(_words(data, panels))}.", data, height)


def _draw(ax, data, panel, looks, y_label):
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
        ax.plot(rows["x"], rows["published"], **PUBLISHED | {"markeredgecolor": look["color"]})
    if panel.log:
        ax.set_yscale("log")
        low, high = ax.get_ylim()  # within a factor of five there may be one of 1, 2 and 5 alone
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(4))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 100 else f"{value:.3g}")
        ax.yaxis.set_minor_locator(NullLocator())
    if panel.log or panel.log_x:
        ax.set_xscale("log")
    ax.set_xticks(panel.ticks, map(short, panel.ticks))
    ax.minorticks_off()
    ax.set(xlabel=panel.x, ylabel=y_label)


def _words(data, panels):
    """First and last value of each line."""
    for (panel, line), rows in data.dropna(subset="y").groupby(["panel", "line"], sort=False):
        ends = rows.sort_values("x").iloc[[0, -1]]
        values = " to ".join(f"{row.y:.4g} at {row.x:g}" for row in ends.itertuples())
        yield f"{panels[panel].y}, {line}, over {panels[panel].x}: {values}"
