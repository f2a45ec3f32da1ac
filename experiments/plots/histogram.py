"""Histograms of shares between 0 and 1 (Fig 13a)."""

import pandas as pd
import seaborn as sns

from .style import SuiteFigure, across, colour, in_style
from .text import fold


@in_style()
def share_histograms(panels, key, edges, *, x_label, y_label, title, caption):
    """One histogram per method, in percent of what was counted.

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``experiments.report.table.frame`` with ``arrays[key]``, the share in each bin.
    edges : array
    """
    frames = [
        pd.DataFrame({"label": p.label, "from": edges[:-1], "to": edges[1:], "share": p.arrays[key]}) for p in panels
    ]
    figure = SuiteFigure(across(len(panels)), title=title, caption=caption)
    axes = figure.panels([panel.label for panel in panels], sharey=True)
    for ax, panel, bins in zip(axes, panels, frames, strict=True):
        look = {"color": colour(panel.label, panel.role), "alpha": 1, "edgecolor": "white", "linewidth": 0.5}
        sns.histplot(
            x=(bins["from"] + bins["to"]) / 2, weights=100 * bins["share"].fillna(0), bins=list(edges), ax=ax, **look
        )
        ax.set(ylim=(0, 100), xticks=[0, 0.5, 1], xlabel=fold(x_label, 26), ylabel=fold(y_label, 26))
    ends = (
        f"{p.label}: {p.arrays[key][-1]:.0%} in the highest bin, {p.arrays[key][0]:.0%} in the lowest" for p in panels
    )
    return figure.finish(f"Histograms of {x_label}. {'; '.join(ends)}.", pd.concat(frames, ignore_index=True))
