"""Distances between all cells as an image, one square per method (Fig 3)."""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from scipy.spatial.distance import cdist

from .scatter import Categories, dots
from .style import SuiteFigure, across, in_style
from .words import about, span, title_of


@in_style()
def distance_panels(panels, spaces, order, colour, *, what, n_blocks, like=""):
    """Mean distance between blocks of cells in one order for all methods, colour map hot, each up to its own maximum.

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``experiments.report.table.frame`` for one seed.
    spaces : list of array, shape (n_cells, n_latent)
        Latent spaces; distances are Euclidean.
    order : array of int, shape (n_cells,)
        The cells from top to bottom and from left to right.
    colour : Categories or Continuous
        What the bands at the edges show, per cell.
    what : str
        What the cells are ordered by.
    n_blocks : int
        Rows and columns of the image; a block is as many neighbouring cells of the order as it takes.
    like : str
        The figure of the paper that this one redraws.

    Returns
    -------
    SuiteFigure
    """
    n_blocks = min(n_blocks, len(order))
    blocks = np.array_split(order, n_blocks)
    images = [block_distances(space, blocks) for space in spaces]
    title = f"{title_of(panels[0], like)}, distances between cells by {what}"
    caption, by_category = _caption(panels, order, what, n_blocks), isinstance(colour, Categories)
    if not by_category:
        caption += f" Bands, viridis, from the first cell to the last: {colour.low} to {colour.high}."
    figure = SuiteFigure(across(len(panels)), title=title, caption=caption)
    band = _band(colour, blocks)
    for ax, image in zip(figure.panels([panel.label for panel in panels]), images, strict=True):
        sns.heatmap(
            image, cmap="hot", vmin=0, vmax=np.nan_to_num(image).max() or 1, cbar=False, xticklabels=False,
            yticklabels=False, rasterized=True, ax=ax,
        )  # fmt: skip
        for place, strip in (((0, 1, 1, 0.04), band[None]), ((-0.04, 0, 0.04, 1), band[:, None])):
            edge = ax.inset_axes(place)
            edge.imshow(strip, interpolation="nearest", aspect="auto")
            edge.set(xticks=[], yticks=[])
            edge.set_axis_off()
        ax.set_title(ax.get_title(), pad=9)
    if by_category:
        figure.key(dots(colour), handlelength=0.8)
    data = pd.concat([_as_frame(panel.label, image) for panel, image in zip(panels, images, strict=True)])
    return figure.finish(_words(panels, spaces, colour, what), data)


def block_distances(space, blocks):
    """Mean Euclidean distance between the cells of two blocks, (n_blocks, n_blocks); a cell with itself counts as 0."""
    ordered = np.concatenate(blocks)
    sizes = np.array([len(block) for block in blocks])
    starts = np.r_[0, np.cumsum(sizes)[:-1]]
    space = np.asarray(space, dtype=np.float64)
    everywhere = space[ordered]
    rows = (cdist(space[block], everywhere).sum(axis=0) for block in blocks)
    return np.stack([np.add.reduceat(row, starts) for row in rows]) / np.outer(sizes, sizes)


def _band(colour, blocks):
    """The colour of each block, (n_blocks, 4): of its most frequent category, or of its mean number."""
    if isinstance(colour, Categories):
        return colour.colours[[np.bincount(colour.codes[block]).argmax() for block in blocks]]
    means = np.array([np.mean(colour.values[block]) for block in blocks])
    return mpl.colormaps["viridis"]((means - means.min()) / (np.ptp(means) or 1))


def _as_frame(label, image):
    """One row per block, one column per block: what is drawn."""
    values = np.array([[f"{value:.4g}" for value in row] for row in image])
    return pd.DataFrame(values, columns=[f"block_{i}" for i in range(len(image))]).assign(label=label)


def _caption(panels, order, what, n_blocks):
    first, size = panels[0], len(order) / n_blocks
    each = f"the mean over {math.floor(size)} × {math.floor(size)} or more pairs of cells" if size > 1 else "two cells"
    return (
        f"{about(first)}, seed {first.seed}, n\xa0= {span([len(order)])} cells ordered by "
        f"{what}. Euclidean distance in latent space, a point is {each}; black: 0, white: the maximum of each square."
    )


def _words(panels, spaces, colour, what):
    """With categories: how much smaller distances within them are, which is what the eye looks for."""
    text = f"Matrices of the distances between cells ordered by {what}, one per method"
    if not isinstance(colour, Categories):
        return f"{text}: {', '.join(p.label for p in panels)}."
    blocks = [np.flatnonzero(colour.codes == code) for code in range(len(colour.names))]
    blocks = [block for block in blocks if len(block)]
    said = []
    for panel, space in zip(panels, spaces, strict=True):
        mean = block_distances(space, blocks)
        within, between = np.mean(np.diag(mean)), mean[~np.eye(len(mean), dtype=bool)]
        share = f" {within / between.mean():.2f}" if between.size else ""
        said.append(f"{panel.label}{share}")
    return f"{text}. Mean distance within a {what}, as a share of that between two: {'; '.join(said)}."
