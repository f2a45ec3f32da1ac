"""Cells as points in a plane, one square per method (Fig 3, 4, 15 and 16)."""

import math
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize

from .style import FOOT, MARGIN, NUMBER, TITLE, SuiteFigure, in_lines, in_style, inches, wrap
from .words import span, title_of

SIDE, GAP, COLUMNS = 1.64, 0.14, 4  # inches: four squares fill the width of a page
BAR = 0.36  # inches at the right for the colour bar
UNDER = 0.04  # inches below a square
LINE = 0.14  # inches: a line of the legend


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
        if cmap.N < 256:
            return cmap(np.arange(len(self.names)) % cmap.N)
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


def plane_panels(panels, planes, colours, *, what, drawn, like="", note=""):
    """Squares of cells in a plane, coloured by a category (legend below) or a number (colour bar at the right).

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``experiments.table.frame`` for one seed.
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
    by_category = not isinstance(colours[0], Continuous)
    columns, side = min(len(panels), COLUMNS), SIDE if by_category else SIDE - BAR / COLUMNS
    rows = math.ceil(len(panels) / columns)
    names = [wrap(panel.label, TITLE, side) for panel in panels]
    above = 0.08 + 0.14 * max(map(len, names))
    width = max(2 * MARGIN + columns * (side + GAP) - GAP + (0 if by_category else BAR), 3.5)
    legend = legend_lines(colours[0].names, width - 2 * MARGIN) if by_category else []
    below = len(legend) * LINE + (0.06 if legend else 0)
    title = f"{title_of(panels[0], like)}, {drawn} by {what}"
    with in_style():
        height = below + rows * (side + above + UNDER)
        figure = SuiteFigure(width, height, title=title, caption=_caption(panels, planes) + note)
        for i, (plane, colour) in enumerate(zip(planes, colours, strict=True)):
            row, column = divmod(i, columns)
            bottom = below + (rows - row - 1) * (side + above + UNDER) + UNDER
            ax = figure.panel(MARGIN + column * (side + GAP), bottom, side, side)
            points = _points(ax, np.asarray(plane), colour)
            ax.set_title("\n".join(names[i]), pad=3)
        if by_category:
            draw_legend(figure, legend, colours[0], below)
        else:
            top = below + (rows - 1) * (side + above + UNDER) + UNDER
            left = MARGIN + columns * (side + GAP) - GAP + 0.1
            bar = figure.colorbar(points, cax=figure.panel(left, top, 0.08, side), ticks=[])
            bar.outline.set_linewidth(0.6)
            for y, word, place in ((0, colours[0].low, "bottom"), (side, colours[0].high, "top")):
                figure.write(left + 0.13, figure.foot + top + y, word, rotation=90, va=place, fontsize=FOOT)
    figure.data = pd.concat(
        [
            pd.DataFrame({"label": panel.label, "x": plane[:, 0], "y": plane[:, 1], what: colour.values})
            for panel, plane, colour in zip(panels, planes, colours, strict=True)
        ],
        ignore_index=True,
    ).round(3)
    figure.alt = _words(panels, colours, what, drawn)
    return figure


def _points(ax, plane, colour):
    """Draw the cells in an order that depends on nothing, so that no category hides the others."""
    order = np.random.default_rng(0).permutation(len(plane))
    size = np.clip(9000 / len(plane), 0.6, 9)
    style = {"s": size, "linewidths": 0, "rasterized": True}
    if isinstance(colour, Categories):
        style["c"] = colour.colours[colour.codes[order]]
    elif isinstance(colour, Continuous):
        style |= {
            "c": colour.values[order],
            "cmap": "viridis",
            "norm": Normalize(*np.nanpercentile(colour.values, (1, 99))),
        }
    if isinstance(colour, Overlay):
        for share, paint in zip(colour.shares[order].T, colour.colours, strict=True):
            points = ax.scatter(*plane[order].T, color=paint, alpha=np.clip(share, 0, 1), **style)
    else:
        points = ax.scatter(*plane[order].T, **style)
    low, high = plane.min(axis=0), plane.max(axis=0)
    half = max((high - low).max() / 2, 1e-9) * 1.05
    middle = (low + high) / 2
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), xticks=[], yticks=[])
    ax.spines[["top", "right"]].set_visible(True)
    return points


def legend_lines(names, width):
    """Lines of (position of the name, inches from the left)."""
    return in_lines([0.2 + inches(str(name), NUMBER) + 0.12 for name in names], width)


def draw_legend(figure, lines, colour, below):
    for row, line in enumerate(lines):
        y = figure.foot + below - 0.06 - (row + 0.5) * LINE
        for i, left in line:
            x = MARGIN + left + 0.07
            dot = mpl.lines.Line2D(
                [x / figure.width], [y / figure.height], marker="o", markersize=4.5, color=colour.colours[i],
                markeredgewidth=0, linestyle="none",
            )  # fmt: skip
            figure.add_artist(dot)
            figure.write(x + 0.09, y, str(colour.names[i]), va="center", fontsize=NUMBER)


def _caption(panels, planes):
    first = panels[0]
    return (
        f"{first.dataset}, protocol {first.protocol}, seed {first.seed}. A point is a cell, "
        f"n\xa0= {span([len(plane) for plane in planes])} per square; axes have no unit."
    )


def _words(panels, colours, what, drawn):
    text = f"{drawn} of the latent space, one square per method, cells coloured by {what}"
    if isinstance(colours[0], Categories):
        sizes = np.bincount(colours[0].codes, minlength=len(colours[0].names))
        each = (f"{name} ({size})" for name, size in zip(colours[0].names, sizes, strict=True))
        text += f": {', '.join(each)}"
    return f"{text}. Squares: {'; '.join(panel.label for panel in panels)}."
