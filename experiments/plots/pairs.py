"""One quantity against another, a point per cell or gene, with curves (Fig 6a, b and 13b-d)."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from .style import NUMBER, SuiteFigure, across, in_style
from .text import fold

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Pairs(NamedTuple):
    """One panel: points, and curves through them."""

    name: str
    x: np.ndarray
    y: np.ndarray
    x_label: str
    y_label: str
    colour: str
    note: str = ""  # above the points
    curves: dict | None = None  # name -> (x, y, colour)
    marker: str = "o"
    log_x: bool = False


@in_style()
def pair_panels(panels, *, title, caption, columns=4):
    """Scatter plots side by side; the curves, the same in all panels, are named in a line below."""
    figure = SuiteFigure(across(min(columns, len(panels))), title=title, caption=caption)
    for ax, panel in zip(figure.panels([panel.name for panel in panels], columns), panels, strict=True):
        size = float(np.clip(1500 / max(len(panel.x), 1), 1.5, 9))
        style = {"s": size, "marker": panel.marker, "color": panel.colour, "alpha": 0.5, "rasterized": True}
        seen = np.isfinite(panel.x) & np.isfinite(panel.y) & ((np.asarray(panel.x) > 0) | (not panel.log_x))
        ax.scatter(panel.x[seen], panel.y[seen], linewidths=0.5 if panel.marker == "x" else 0, **style)
        for x, y, tint in (panel.curves or {}).values():
            ax.plot(x, y, color=tint, linewidth=1.2)
        if panel.log_x:
            ax.set_xscale("log")
            ax.minorticks_off()
            ax.xaxis.set_major_formatter(lambda value, _: f"10{f'{np.log10(value):.0f}'.translate(SUPERSCRIPT)}")
        else:
            ax.locator_params(axis="x", nbins=3)
        ax.locator_params(axis="y", nbins=5)
        ax.set(xlabel=fold(panel.x_label, 20), ylabel=fold(panel.y_label, 24))
        if panel.note:
            low, high = ax.get_ylim()
            ax.set_ylim(low, high + 0.14 * (high - low))  # no point lies below the note
            ax.text(0.96, 0.98, panel.note, transform=ax.transAxes, ha="right", va="top", fontsize=NUMBER)
    if panels[0].curves:
        figure.key([Line2D([], [], color=tint, label=name) for name, (_, _, tint) in panels[0].curves.items()])
    words = (
        f"{p.name}: {p.y_label} against {p.x_label}, {len(p.x):,} points{', ' * bool(p.note)}{p.note}" for p in panels
    )
    data = pd.concat([_as_frame(panel) for panel in panels], ignore_index=True)
    return figure.finish(f"{'; '.join(words)}.", data)


def _as_frame(panel):
    return pd.DataFrame({"panel": panel.name, "x": panel.x, "y": panel.y, "x is": panel.x_label, "y is": panel.y_label})
