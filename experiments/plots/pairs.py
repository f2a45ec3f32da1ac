"""One quantity against another, a point per cell or gene, with curves (Fig 6a, b and 13b-d)."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from .grid import grid, legend_line
from .style import NUMBER, in_style, wrap


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


def pair_panels(panels, *, title, caption, columns=4):
    """Scatter plots side by side; the curves, the same in all panels, are named in a line below."""
    curves = panels[0].curves or {}
    with in_style():
        figure, axes = grid(
            [panel.name for panel in panels], title=title, caption=caption, columns=columns, gap=0.56, left=0.56,
            below=0.56, legend=0.2 if curves else 0.0,
        )  # fmt: skip
        for ax, panel in zip(axes, panels, strict=True):
            size = float(np.clip(1500 / max(len(panel.x), 1), 1.5, 9))
            style = {"s": size, "marker": panel.marker, "color": panel.colour, "alpha": 0.5, "rasterized": True}
            ax.scatter(panel.x, panel.y, linewidths=0.5 if panel.marker == "x" else 0, **style)
            for x, y, tint in (panel.curves or {}).values():
                ax.plot(x, y, color=tint, linewidth=1.2)
            if panel.log_x:
                ax.set_xscale("log")
                ax.minorticks_off()
            else:
                ax.locator_params(axis="x", nbins=4)
            ax.locator_params(axis="y", nbins=5)
            ax.set_xlabel("\n".join(wrap(panel.x_label, 7.5, 1.8)), labelpad=2)
            ax.set_ylabel("\n".join(wrap(panel.y_label, 7.5, 1.5)), labelpad=2)
            if panel.note:
                low, high = ax.get_ylim()
                ax.set_ylim(low, high + 0.14 * (high - low))  # no point lies below the note
                ax.text(0.96, 0.98, panel.note, transform=ax.transAxes, ha="right", va="top", fontsize=NUMBER)
        if curves:
            legend_line(
                figure, [(name, {"color": tint, "linewidth": 1.2}) for name, (_, _, tint) in curves.items()], 0.12
            )
    figure.data = pd.concat([_as_frame(panel) for panel in panels], ignore_index=True)
    figure.alt = "; ".join(
        f"{panel.name}: {panel.y_label} against {panel.x_label}, {len(panel.x):,} points"
        + (f", {panel.note}" if panel.note else "")
        for panel in panels
    ) + "."  # fmt: skip
    return figure


def _as_frame(panel):
    return pd.DataFrame({"panel": panel.name, "x": panel.x, "y": panel.y, "x is": panel.x_label, "y is": panel.y_label})
