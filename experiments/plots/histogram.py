"""Histograms of shares between 0 and 1 (Fig 13a)."""

import numpy as np
import pandas as pd

from .grid import grid
from .style import colour, in_style, wrap


def share_histograms(panels, key, edges, *, x_label, y_label, title, caption):
    """One histogram per method, in percent of what was counted.

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``experiments.table.frame`` with ``arrays[key]``, the share in each bin.
    edges : array
    """
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    with in_style():
        names = [panel.label for panel in panels]
        figure, axes = grid(names, title=title, caption=caption, gap=0.3, below=0.52)
        for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
            tint = colour(panel.label, panel.role)
            ax.bar(middle, 100 * panel.arrays[key], width, color=tint, edgecolor="white", linewidth=0.5)
            ax.set(ylim=(0, 100), xticks=[0, 0.5, 1])
            ax.set_xlabel("\n".join(wrap(x_label, 7.5, 1.7)), labelpad=2)
            ax.tick_params(labelleft=i % 4 == 0)
        axes[0].set_ylabel("\n".join(wrap(y_label, 7.5, 1.4)), labelpad=2)
    frames = [
        pd.DataFrame({"label": p.label, "from": edges[:-1], "to": edges[1:], "share": p.arrays[key]}) for p in panels
    ]
    figure.data = pd.concat(frames, ignore_index=True)
    figure.alt = f"Histograms of {x_label}. " + "; ".join(
        f"{p.label}: {p.arrays[key][-1]:.0%} in the highest bin, {p.arrays[key][0]:.0%} in the lowest" for p in panels
    ) + "."  # fmt: skip
    return figure
