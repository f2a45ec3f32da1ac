"""Distributions as boxes, side by side (Fig 6c, d and Fig 7a-c)."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.cbook import boxplot_stats
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from .style import COLUMN, SuiteFigure, in_style
from .text import fold, folded


class Boxes(NamedTuple):
    """One panel: at each tick one box per kind."""

    name: str
    ticks: list  # words under the boxes
    values: dict  # kind -> one array per tick
    y_label: str
    diagonal: bool = False  # ticks are numbers on the scale of y


@in_style()
def box_panels(
    panels, *, title, caption, colours, x_label="", whiskers=(5, 95), columns=2, side=(2.9, 1.7), slant=0,
    log_beyond=None,
):  # fmt: skip
    """Boxes from the first to the third quartile with the median, whiskers within percentiles, outliers left out.

    Parameters
    ----------
    panels : list of Boxes
    colours : dict
        Kind -> colour; with more than one kind they are named in a line below.
    whiskers : (float, float)
        Percentiles; whiskers end at the last value between them.
    side : (float, float)
        Inches, about, that a panel is wide and high.
    log_beyond : float, optional
        The axis is linear up to here and logarithmic beyond, on both sides of zero.
    """
    columns = min(columns, len(panels))
    figure = SuiteFigure(max(COLUMN, columns * (side[0] + 0.6)), title=title, caption=caption)
    axes = figure.panels([panel.name for panel in panels], columns, sharey=panels[0].diagonal)
    for ax, panel in zip(axes, panels, strict=True):
        _panel(ax, panel, colours, whiskers)
        if slant:
            ax.set_xticks(
                ax.get_xticks(), folded(panel.ticks, 24, lines=1), rotation=slant, ha="right", rotation_mode="anchor"
            )
        ax.set(xlabel=x_label, ylabel=fold(panel.y_label, int(16 * side[1])))
        ax.tick_params(labelleft=True)
        if log_beyond:
            ax.set_yscale("symlog", linthresh=log_beyond, linscale=0.5)
            low, high = ax.get_ylim()
            ax.set_ylim(min(low, -log_beyond), max(high, log_beyond))  # so that the ticks are whole powers of ten
            ax.yaxis.set_minor_locator(NullLocator())
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "−"))
    if len(colours) > 1:
        figure.key([Patch(color=tint, label=kind) for kind, tint in colours.items()])
    boxes = [
        (panel.name, tick, kind, values[np.isfinite(values)])
        for panel in panels
        for kind, arrays in panel.values.items()
        for tick, values in zip(panel.ticks, arrays, strict=True)
    ]
    data = pd.DataFrame(
        {"panel": name, "at": tick, "kind": kind, "n": values.size, **_statistics(values, whiskers)}
        for name, tick, kind, values in boxes
    )
    medians = (f"{name}, {kind}, {at} {np.median(values):.2g}" for name, at, kind, values in boxes if values.size)
    return figure.finish(f"Medians of boxes. {'; '.join(medians)}.", data, side[1])


def _panel(ax, panel, colours, whiskers):
    width = 0.75 / len(panel.values)
    at = np.arange(len(panel.ticks))
    for k, (kind, arrays) in enumerate(panel.values.items()):
        draw_boxes(ax, at + (k - (len(panel.values) - 1) / 2) * width, arrays, 0.9 * width, colours[kind], whiskers)
    ax.set_xticks(at, panel.ticks)
    ax.set_xlim(-0.6, len(at) - 0.4)
    if panel.diagonal:
        ax.plot(
            at[[0, -1]], np.array(panel.ticks, dtype=float)[[0, -1]], "--", color="#1f77b4", linewidth=0.9, alpha=0.7
        )
    else:
        ax.axhline(0, color="#444444", linewidth=0.6)


def draw_boxes(ax, places, arrays, width, face, whiskers):
    """Boxes over ``places`` of the values that are finite, none where there is no such."""
    finite = [values[np.isfinite(values)] for values in arrays]
    filled = [(at, values) for at, values in zip(places, finite, strict=True) if values.size]
    if filled:
        positions, values = zip(*filled, strict=True)
        ax.boxplot(
            values, positions=positions, widths=width, whis=whiskers, showfliers=False, patch_artist=True,
            manage_ticks=False, boxprops={"facecolor": face, "linewidth": 0.6}, capprops={"linewidth": 0.6},
            medianprops={"color": "black", "linewidth": 1}, whiskerprops={"linewidth": 0.6},
        )  # fmt: skip


def _statistics(values, whiskers):
    """What is drawn, for the data beside the figure; NaN where there is no box."""
    found = boxplot_stats(values, whis=whiskers)[0] if values.size else {}
    keys = {"low": "whislo", "q1": "q1", "median": "med", "q3": "q3", "high": "whishi"}
    return {name: found.get(key, np.nan) for name, key in keys.items()}
