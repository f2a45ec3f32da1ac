"""Distributions as boxes, side by side (Fig 6c, d and Fig 7a-c)."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from .grid import grid, legend_line
from .style import in_style, wrap


class Boxes(NamedTuple):
    """One panel: at each tick one box per kind."""

    name: str
    ticks: list  # words under the boxes
    values: dict  # kind -> one array per tick
    y_label: str
    diagonal: bool = False  # ticks are numbers on the scale of y


def box_panels(
    panels, *, title, caption, colours, x_label="", whiskers=(5, 95), columns=2, side=(2.9, 1.7), slant=0,
    log_beyond=None,
):  # fmt: skip
    """Boxes from the first to the third quartile with the median, whiskers at percentiles, outliers left out.

    Parameters
    ----------
    panels : list of Boxes
    colours : dict
        Kind -> colour; with more than one kind they are named in a line below.
    whiskers : (float, float)
        Percentiles.
    log_beyond : float, optional
        The axis is linear up to here and logarithmic beyond, on both sides of zero.
    """
    several = len(colours) > 1
    with in_style():
        figure, axes = grid(
            [panel.name for panel in panels], title=title, caption=caption, columns=columns, side=side, left=0.6,
            gap=0.55, below=0.72 if slant else 0.42, legend=0.2 if several else 0.0,
        )  # fmt: skip
        for ax, panel in zip(axes, panels, strict=True):
            _panel(ax, panel, colours, whiskers)
            ax.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=slant, ha="right" if slant else "center")
            ax.set_ylabel("\n".join(wrap(panel.y_label, 7.5, side[1])), labelpad=2)
            ax.set_xlabel(x_label, labelpad=2)
            if log_beyond:
                ax.set_yscale("symlog", linthresh=log_beyond, linscale=0.5)
                low, high = ax.get_ylim()
                ax.set_ylim(min(low, -log_beyond), max(high, log_beyond))  # so that the ticks are whole powers of ten
                ax.yaxis.set_minor_locator(NullLocator())
                ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "−"))
        if panels[0].diagonal:  # all panels on one scale
            ends = [ax.get_ylim() for ax in axes]
            for ax in axes:
                ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
        if several:
            square = {"marker": "s", "markersize": 6, "linestyle": "none"}
            legend_line(figure, [(kind, square | {"color": tint}) for kind, tint in colours.items()], 0.12)
    rows = [
        {"panel": panel.name, "at": tick, "kind": kind, "n": values.size, **_named(values, whiskers)}
        for panel in panels
        for kind, arrays in panel.values.items()
        for tick, values in zip(panel.ticks, arrays, strict=True)
    ]
    figure.data = pd.DataFrame(rows)
    figure.alt = "Medians of boxes. " + "; ".join(
        f"{panel.name}, {kind}: "
        + ", ".join(f"{tick} {np.median(v):.2g}" for tick, v in zip(panel.ticks, arrays, strict=True) if v.size)
        for panel in panels
        for kind, arrays in panel.values.items()
    ) + "."  # fmt: skip
    return figure


def _panel(ax, panel, colours, whiskers):
    n = len(panel.values)
    width = 0.7 / n
    for k, (kind, arrays) in enumerate(panel.values.items()):
        filled = [(i, values) for i, values in enumerate(arrays) if values.size]
        if not filled:
            continue
        ax.bxp(
            [statistics(values, whiskers) for _, values in filled],
            positions=[i + (k - (n - 1) / 2) * (width + 0.04) for i, _ in filled],
            widths=width, showfliers=False, patch_artist=True, manage_ticks=False,
            boxprops={"facecolor": colours[kind], "linewidth": 0.6}, medianprops={"color": "black", "linewidth": 1},
            whiskerprops={"linewidth": 0.6}, capprops={"linewidth": 0.6},
        )  # fmt: skip
    ax.set_xlim(-0.6, len(panel.ticks) - 0.4)
    if panel.diagonal:
        ends = np.array([0, len(panel.ticks) - 1])
        ax.plot(ends, np.array(panel.ticks, dtype=float)[ends], "--", color="#1f77b4", linewidth=0.9, alpha=0.7)
    else:
        ax.axhline(0, color="#444444", linewidth=0.6)


def statistics(values, whiskers):
    """What matplotlib's ``bxp`` draws a box from; its own whiskers would end at values inside the percentiles."""
    at = (whiskers[0], 25, 50, 75, whiskers[1])
    return dict(zip(("whislo", "q1", "med", "q3", "whishi"), np.percentile(values, at), strict=True))


def _named(values, whiskers):
    """The same for the data beside the figure, NaN where there is no box."""
    found = statistics(values, whiskers).values() if values.size else [np.nan] * 5
    return dict(zip(("low", "q1", "median", "q3", "high"), found, strict=True))
