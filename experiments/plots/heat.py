"""Binned counts of one gene against their draws, one square per method (Fig 7d-f)."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm

from .grid import grid
from .style import in_style


def heat_panels(panels, *, x, y, title, caption, columns=3):
    """Heat maps in viridis, all on one colour scale, which goes with the root of the share; without draws, grey.

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``experiments.table.frame`` with ``arrays``: ``heat`` indexed [x, y] and ``edges``, in counts.
    x, y : str
        What the axes show, with the unit.
    """
    top = max(panel.arrays["heat"].max() for panel in panels)
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="#d9d9d9")
    with in_style():
        names = [panel.label for panel in panels]
        figure, axes = grid(names, title=title, caption=caption, columns=columns, side=(1.7, 1.7), gap=0.2, right=0.56)
        for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
            heat, edges = panel.arrays["heat"], panel.arrays["edges"]
            shown = np.where(heat.any(axis=1, keepdims=True), heat, np.nan)  # no draw: not a share of 0
            image = ax.imshow(shown.T, origin="lower", interpolation="none", norm=PowerNorm(0.5, 0, top), cmap=colours)
            at = np.linspace(0, len(heat), 4)
            words = [f"{value:.0f}" for value in np.interp(at, np.arange(len(edges)), edges)]
            ax.set_xticks(at - 0.5, words)
            ax.set_yticks(at - 0.5, words if i % columns == 0 else [])
            ax.set_xlabel(x, labelpad=2)
            if i % columns == 0:
                ax.set_ylabel(y, labelpad=2)
        box = axes[min(len(axes), columns) - 1].get_position()
        bar = figure.colorbar(
            image, cax=figure.add_axes((box.x1 + 0.1 / figure.width, box.y0, 0.08 / figure.width, box.height))
        )
        bar.outline.set_linewidth(0.6)
    figure.data = pd.concat([_as_frame(panel, x, y) for panel in panels], ignore_index=True)
    figure.alt = f"Heat maps of {y} against {x}. " + "; ".join(
        f"{panel.label}: mean share on the diagonal {np.diag(panel.arrays['heat']).mean():.2f}" for panel in panels
    ) + "."  # fmt: skip
    return figure


def _as_frame(panel, x, y):
    heat, edges = panel.arrays["heat"], panel.arrays["edges"]
    i, j = np.indices(heat.shape)
    columns = {f"{x} from": edges[i.ravel()], f"{y} from": edges[j.ravel()], "share": heat.ravel()}
    return pd.DataFrame({"label": panel.label} | columns).round(6)
