"""Densities of one quantity against another, one square per method (Fig 2 and 10)."""

import numpy as np
import pandas as pd

from ..loop.registry import METRICS
from .style import SuiteFigure, across, colour, in_style
from .words import about, span, title_of


@in_style()
def density_panels(panels, *, limit, x, y, score, like=""):
    """Fig 2: density of imputed against original counts, one square per method, with two lines and the score d.

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``experiments.report.table.frame`` for one value of each axis and one seed, with ``arrays``: ``density``
        (grid, grid) indexed [x, y], ``slope`` of the line through the origin, ``n_shown``.
    limit : float
        What the densities go up to, from 0. The axes do, or end sooner where that leaves out at most a tenth of each.
    x, y : str
        What the axes show, with the unit.
    score : str
        The column that is printed as d.
    like : str
        The figure of the paper that this one redraws, e.g. "Fig 2".

    Returns
    -------
    SuiteFigure
    """
    n = len(panels)
    columns = n if n <= 4 else 3 if n in (5, 6, 9) else 4
    end = _end(panels, limit)
    title, caption = title_of(panels[0], like), _density_caption(panels, limit, end, score)
    figure = SuiteFigure(across(columns), title=title, caption=caption)
    axes = figure.panels([panel.label for panel in panels], columns, sharex=True, sharey=True)
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        image = _density(ax, panel, limit, end, score)
        ax.tick_params(labelbottom=i + columns >= n)
    figure.body.supxlabel(x, fontsize="medium")
    figure.body.supylabel(y, fontsize="medium")
    bar = figure.body.colorbar(image, ax=axes[:columns], ticks=[0, 1], aspect=18, pad=0.02)
    bar.set_ticklabels(["0", "max"])
    bar.set_label("density", labelpad=-12)
    bar.outline.set_linewidth(0.6)
    each = (f"{p.label}: d = {getattr(p, score):.2f}, slope {float(p.arrays['slope']):.2f}" for p in panels)
    data = pd.concat([_as_frame(panel, limit, x, y) for panel in panels], ignore_index=True)
    alt = f"Density of {y} against {x}, 0 to {end:g}, one square per method. {'; '.join(each)}."
    return figure.finish(alt, data)


def _as_frame(panel, limit, x, y):
    """The grid of one panel, one row per point."""
    density = panel.arrays["density"]
    axis = np.linspace(0, limit, len(density))
    at_x, at_y = np.meshgrid(axis, axis, indexing="ij")
    return pd.DataFrame({"label": panel.label, x: at_x.ravel(), y: at_y.ravel(), "density": density.ravel()}).round(6)


def _end(panels, limit):
    """Where the axes end: 0.4 or 0.6 of ``limit`` if nine tenths of each density are below, as with sparse data."""
    for share in (0.4, 0.6):
        inside = [np.linspace(0, 1, len(panel.arrays["density"])) <= share for panel in panels]
        kept = [np.nansum(p.arrays["density"][np.ix_(i, i)]) for p, i in zip(panels, inside, strict=True)]
        if all(k >= 0.9 * np.nansum(p.arrays["density"]) for k, p in zip(kept, panels, strict=True)):
            return share * limit
    return limit


def _density(ax, panel, limit, end, score):
    density, ends = np.nan_to_num(panel.arrays["density"]), np.array([0.0, limit])
    image = ax.imshow(
        density.T / (density.max() or 1), extent=(0, limit, 0, limit), origin="lower", interpolation="bilinear",
        cmap="Reds", vmin=0, vmax=1,
    )  # fmt: skip
    ax.plot(ends, ends, ":", color="black", linewidth=0.9)
    ax.plot(ends, float(panel.arrays["slope"]) * ends, "-", color="black", linewidth=0.9)
    ticks = [0, end / 2, end]
    ax.set(xlim=(0, end), ylim=(0, end), xticks=ticks, yticks=ticks)
    ax.spines[["top", "right"]].set_visible(True)
    ax.spines["top"].set(color=colour(panel.label, panel.role), linewidth=2.5)
    paper = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.2}
    ax.text(0.05, 0.93, f"d = {getattr(panel, score):.2f}", transform=ax.transAxes, va="top", bbox=paper)
    return image


def _density_caption(panels, limit, end, score):
    first = panels[0]
    return (
        f"{about(first)}, seed {first.seed}. d: {METRICS[score].label} over "
        f"n\xa0= {span([p.n_scored for p in panels])} entries. Colour: kernel density of the "
        f"n\xa0= {span([p.arrays['n_shown'] for p in panels])} of them that were set to zero, both values below "
        f"{limit}{f' and drawn up to {end:g}' * (end < limit)}; white: 0, red: the maximum of each panel. "
        "Solid: least squares through the origin; dotted: equality."
    )
