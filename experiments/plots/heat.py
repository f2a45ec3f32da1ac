"""Binned counts of one gene against their draws, one square per method (Fig 7d-f)."""

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm

from .style import COLUMN, PAGE, SuiteFigure, in_style


@in_style()
def heat_panels(panels, *, x, y, title, caption, columns=3):
    """Heat maps in viridis, all on one colour scale, which goes with the root of the share; without draws, grey.

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``experiments.report.table.frame`` with ``arrays``: ``heat`` indexed [x, y] and ``edges``, in counts.
    x, y : str
        What the axes show, with the unit.
    """
    scale = PowerNorm(0.5, 0, max(np.nan_to_num(panel.arrays["heat"]).max() for panel in panels) or 1)
    figure = SuiteFigure(max(COLUMN, PAGE * min(columns, len(panels)) / 3), title=title, caption=caption)
    axes = figure.panels([panel.label for panel in panels], columns)
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        heat, edges = np.nan_to_num(panel.arrays["heat"]), panel.arrays["edges"]
        empty = ~heat.any(axis=1, keepdims=True) & np.ones_like(heat, dtype=bool)  # no draw: not a share of 0
        ax.pcolormesh(np.ma.array(heat.T, mask=empty.T), cmap="viridis", norm=scale, rasterized=True)
        ax.spines[:].set_visible(False)
        ax.set_facecolor("#d9d9d9")
        at = np.linspace(0, len(heat), 4)
        words = [f"{value:.0f}" for value in np.interp(at, np.arange(len(edges)), edges)]
        ax.set_xticks(at, words, rotation=0)
        ax.set_yticks(at, words if i % columns == 0 else [""] * len(at), rotation=0)
        ax.set(xlabel=x, ylabel=y if i % columns == 0 else "", ylim=(0, len(heat)))
    bar = figure.body.colorbar(axes[0].collections[0], ax=axes[:columns], aspect=20, pad=0.02)
    bar.outline.set_linewidth(0.6)
    data = pd.concat([_as_frame(panel, x, y) for panel in panels], ignore_index=True)
    diagonals = (f"{p.label}: mean share on the diagonal {np.diag(p.arrays['heat']).mean():.2f}" for p in panels)
    return figure.finish(f"Heat maps of {y} against {x}. {'; '.join(diagonals)}.", data)


def _as_frame(panel, x, y):
    heat, edges = panel.arrays["heat"], panel.arrays["edges"]
    i, j = np.indices(heat.shape)
    columns = {f"{x} from": edges[i.ravel()], f"{y} from": edges[j.ravel()], "share": heat.ravel()}
    return pd.DataFrame({"label": panel.label} | columns).round(6)
