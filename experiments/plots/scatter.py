"""Cells as points in a plane, one square per method (Fig 3, 4, 15 and 16)."""

from collections import Counter
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from .style import SuiteFigure, across, in_style
from .text import folded
from .words import about, span, title_of

MOST = 40  # entries of a legend


class Categories(NamedTuple):
    """Cells coloured by what they are."""

    codes: np.ndarray  # (n_cells,) positions in names
    names: np.ndarray
    palette: str  # a colour map of matplotlib; a continuous one is sampled evenly

    @property
    def values(self):
        return self.names[self.codes]

    @property
    def colours(self):
        """One colour per name, (n_names, 4)."""
        cmap = mpl.colormaps[self.palette]
        if len(self.names) > cmap.N:
            cmap = mpl.colormaps["turbo"]  # with many names neighbours look alike, and none looks like one far off
        if cmap.N < 256:
            return cmap(np.arange(len(self.names)))
        return cmap(np.linspace(0, 1, len(self.names)))  # of two batches one is blue, one green, the ends of brg


class Overlay(NamedTuple):
    """Cells coloured by several probabilities, one layer each, as opaque as the cell is probable (Fig 16)."""

    shares: np.ndarray  # (n_cells, n_names) between 0 and 1
    names: np.ndarray
    colours: tuple  # one per name

    @property
    def values(self):
        return self.names[self.shares.argmax(axis=1)]


class Continuous(NamedTuple):
    """Cells coloured by a number, viridis as in the paper."""

    values: np.ndarray  # (n_cells,)
    low: str  # what the ends mean
    high: str


@in_style()
def plane_panels(panels, planes, colours, *, what, drawn, like="", note=""):
    """Squares of cells in a plane, coloured by a category (legend below) or a number (colour bar at the right).

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``experiments.report.table.frame`` for one seed.
    planes : list of array, shape (n_cells, 2)
    colours : list of Categories, of Overlay or of Continuous
        One per panel; their names are the same in all panels.
    what : str
        What the colour means, e.g. "cell type".
    drawn : str
        How the cells came into the plane, e.g. "t-SNE".
    like : str
        The figure of the paper that this one redraws.
    note : str
        Added to the caption.

    Returns
    -------
    SuiteFigure
    """
    title, caption = f"{title_of(panels[0], like)}, {drawn} by {what}", _caption(panels, planes) + note
    figure = SuiteFigure(across(len(panels)), title=title, caption=caption)
    axes = figure.panels([panel.label for panel in panels])
    for ax, plane, colour in zip(axes, planes, colours, strict=True):
        points = _points(ax, np.asarray(plane), colour)
    if isinstance(colours[0], Continuous):
        bar = figure.body.colorbar(points, ax=axes[:4], aspect=18, pad=0.02)
        bar.outline.set_linewidth(0.6)
        bar.set_ticks([points.norm.vmin, points.norm.vmax], labels=[colour.low, colour.high], rotation=90)
        for word, va in zip(bar.ax.get_yticklabels(), ("bottom", "top"), strict=True):
            word.set_va(va)
        bar.ax.tick_params(length=0)
    else:
        figure.key(dots(colours[0]), handlelength=0.8)
    frames = [
        pd.DataFrame({"label": panel.label, "x": plane[:, 0], "y": plane[:, 1], what: colour.values})
        for panel, plane, colour in zip(panels, planes, colours, strict=True)
    ]
    return figure.finish(_words(panels, colours, what, drawn), pd.concat(frames, ignore_index=True).round(3))


def dots(colour):
    """The entries of a legend, one per name of ``Categories`` or ``Overlay``; of very many, those of the most cells."""
    dot = {"marker": "o", "markersize": 4.5, "markeredgewidth": 0, "linestyle": "none"}
    entries = list(zip(folded(colour.names, 40, lines=2), colour.colours, strict=True))
    if len(entries) > MOST:
        sizes = Counter(colour.values)
        largest = sorted(range(len(entries)), key=lambda i: -sizes[colour.names[i]])[:MOST]
        entries = [entries[i] for i in sorted(largest)] + [(f"and {len(entries) - MOST} more", "none")]
    return [Line2D([], [], color=tint, label=name, **dot) for name, tint in entries]


def _points(ax, plane, colour):
    """Draw the cells in an order that depends on nothing, so that no category hides the others."""
    order = np.random.default_rng(0).permutation(len(plane))
    size = np.clip(9000 / max(len(plane), 1), 0.6, 9)
    style = {"s": size, "linewidths": 0, "rasterized": True}
    if isinstance(colour, Categories):
        style["c"] = colour.colours[colour.codes[order]]
    elif isinstance(colour, Continuous):
        finite = colour.values[np.isfinite(colour.values)]
        scale = Normalize(*np.percentile(finite, (1, 99))) if finite.size else Normalize(0, 1)
        style |= {"c": colour.values[order], "cmap": "viridis", "norm": scale}
    if isinstance(colour, Overlay):
        for share, paint in zip(colour.shares[order].T, colour.colours, strict=True):
            points = ax.scatter(*plane[order].T, color=paint, alpha=np.clip(share, 0, 1), **style)
    else:
        points = ax.scatter(*plane[order].T, **style)
    placed = plane[np.isfinite(plane).all(axis=1)]
    low, high = (placed.min(axis=0), placed.max(axis=0)) if len(placed) else (np.zeros(2), np.ones(2))
    half = max((high - low).max() / 2, 1e-9) * 1.05
    middle = (low + high) / 2
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), xticks=[], yticks=[])
    ax.spines[["top", "right"]].set_visible(True)
    return points


def _caption(panels, planes):
    first = panels[0]
    return (
        f"{about(first)}, seed {first.seed}. A point is a cell, "
        f"n\xa0= {span([len(plane) for plane in planes])} per square; axes have no unit."
    )


def _words(panels, colours, what, drawn):
    text = f"{drawn} of the latent space, one square per method, cells coloured by {what}"
    if isinstance(colours[0], Categories):
        sizes = np.bincount(colours[0].codes, minlength=len(colours[0].names))
        each = (f"{name} ({size})" for name, size in zip(colours[0].names, sizes, strict=True))
        text += f": {', '.join(each)}"
    return f"{text}. Squares: {'; '.join(panel.label for panel in panels)}."
