"""Genes by their evidence in single cells and in bulk (Fig 5c–f, 12a–d), and where nothing differs (Fig 12e)."""

import math

import numpy as np
import pandas as pd
import seaborn as sns

from .style import NUMBER, SuiteFigure, across, colour, in_style
from .text import clip
from .words import about, span, title_of

CLIP = 20.0  # signed log10 p-values end here, as in Fig 5d–f
LINE = {"color": "#c0392b", "linewidth": 0.7, "zorder": 3}  # thresholds, red as in the paper
BINS = 10  # Fig 12e


def evidence_panels(panels, *, bayes_factor, level, like=""):
    """Fig 5c–f: per method the evidence of each gene in single cells (x) and in bulk (y), both with the change's sign.

    Parameters
    ----------
    panels : list of namedtuple
        Cells of one seed with ``arrays``: ``single_cell`` and ``bulk``, and ``idr_weight`` per repeat.
    bayes_factor, level : float
        Thresholds, drawn in red.
    like : str

    Returns
    -------
    SuiteFigure
    """
    at_p = -math.log10(level)
    tallest = 1.15 * max(_largest(_points(panel)[1], at_p) for panel in panels)
    caption = (
        f"{_where(panels)}. Points: n\xa0= {_number(panels, 'n_genes')} genes, the first of "
        f"{_number(panels, 'n_repeats')} draws of {_number(panels, 'n_cells_a')} and "
        f"{_number(panels, 'n_cells_b')} cells; p-values adjusted, ends at ±{CLIP:g}. Red: "
        f"Bayes factor ±{bayes_factor:g}, adjusted p\xa0= {level:g}. p: median mixture weight of IDR."
    )

    def draw(ax, panel):
        x, y = _points(panel)
        threshold = bayes_factor if _has_bayes_factor(panel) else at_p
        for sign in (-1, 1):
            ax.axvline(sign * threshold, **LINE)
            ax.axhline(sign * at_p, **LINE)
        style = {"color": colour(panel.label, panel.role), "markersize": 2, "markeredgewidth": 0, "alpha": 0.6}
        ax.plot(x, y, ".", rasterized=True, **style)
        weight = np.nanmedian(panel.arrays["idr_weight"]) if np.isfinite(panel.arrays["idr_weight"]).any() else np.nan
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1}
        ax.text(0.04, 0.96, f"p = {weight:.3f}", transform=ax.transAxes, va="top", fontsize=NUMBER, bbox=box)
        reach = 1.08 * _largest(x, threshold)
        ax.set(xlim=(-reach, reach), ylim=(-tallest, tallest))
        return "Bayes factor" if _has_bayes_factor(panel) else "signed −log₁₀ p"

    title = title_of(panels[0], like, "single cells and bulk")
    figure = _grid(panels, draw, "signed −log₁₀ p, bulk", title, caption)
    data = pd.concat([_as_frame(p) for p in panels], ignore_index=True)
    agree = (f"{p.label}: {_agreement(p, bayes_factor, at_p)}" for p in panels)
    alt = f"Genes by evidence in single cells and in bulk, one square per method. {'; '.join(agree)}."
    return figure.finish(alt, data)


def null_panels(panels, *, bayes_factor, level, like=""):
    """Fig 12e: histograms of the Bayes factors, or of the p-values, of genes between cells of one group.

    Parameters
    ----------
    panels : list of namedtuple
        Cells of one seed with ``arrays["null"]`` and the fact ``null_group``.
    bayes_factor, level : float
    like : str

    Returns
    -------
    SuiteFigure
    """
    panels = [panel for panel in panels if "null" in panel.arrays]
    caption = (
        f"{_where(panels)}. Two disjoint draws from one group ({clip(panels[0].null_group)}), "
        f"n\xa0= {_number(panels, 'n_genes')} genes. Red: Bayes factor ±{bayes_factor:g}; the height of uniform "
        f"p-values."
    )

    def draw(ax, panel):
        values = panel.arrays["null"][np.isfinite(panel.arrays["null"])]
        if _has_bayes_factor(panel):
            largest = _largest(values, 0.0)
            reach = 1.1 * max(largest, bayes_factor)
            edges = np.linspace(-reach, reach, 4 * BINS + 1)
            for sign in (-1, 1):
                ax.axvline(sign * bayes_factor, **LINE)
            text = f"max {largest:.2f}" if len(values) else "none is finite"
        else:
            edges = np.linspace(0, 1, 2 * BINS + 1)
            ax.axhline(1, **LINE)
            text = f"{np.mean(values < level):.1%} below {level:g}"
        fill = {"color": colour(panel.label, panel.role), "alpha": 1, "linewidth": 0}
        sns.histplot(x=values, bins=edges, stat="density", ax=ax, **fill)
        ax.set_xlim(edges[[0, -1]])
        ax.set_ylim(top=1.18 * ax.get_ylim()[1])
        ax.text(0.5, 0.98, text, transform=ax.transAxes, va="top", ha="center", fontsize=NUMBER)
        return "Bayes factor" if _has_bayes_factor(panel) else "p-value"

    title = title_of(panels[0], like, "cells of one group")
    figure = _grid(panels, draw, "density of genes", title, caption)
    names = ["null_bayes_factor" if _has_bayes_factor(panel) else "null_pvalue" for panel in panels]
    frames = [pd.DataFrame({"label": p.label, name: p.arrays["null"]}) for p, name in zip(panels, names, strict=True)]
    alt = "Histograms over genes, cells of one group against others of it. " + "; ".join(
        f"{p.label}: largest Bayes factor {_largest(p.arrays['null'], 0.0):.2f}"
        if _has_bayes_factor(p)
        else f"{p.label}: {np.mean(p.arrays['null'] < level):.1%} of p-values below {level:g}"
        for p in panels
    )
    return figure.finish(alt, pd.concat(frames, ignore_index=True))


@in_style()
def _grid(panels, draw, y_label, title, caption):
    """Squares in rows; ``draw(ax, panel)`` fills one and returns what its x axis is called."""
    columns = min(4, len(panels))
    figure = SuiteFigure(across(columns), title=title, caption=caption)
    for i, (ax, panel) in enumerate(zip(figure.panels([panel.label for panel in panels]), panels, strict=True)):
        ax.set_xlabel(draw(ax, panel), fontsize=NUMBER)
        ax.set_ylabel(y_label if i % columns == 0 else "")
    return figure


def _has_bayes_factor(panel):
    """Whether the evidence of a method is a Bayes factor: then the largest under the null is among its scores."""
    return "null_max_bayes_factor" in panel.arrays


def _points(panel):
    x, y = panel.arrays["single_cell"], np.clip(panel.arrays["bulk"], -CLIP, CLIP)
    return (x if _has_bayes_factor(panel) else np.clip(x, -CLIP, CLIP)), y


def _as_frame(panel):
    x, y = _points(panel)
    kind = "bayes_factor" if _has_bayes_factor(panel) else "signed_log10_p"
    return pd.DataFrame({"label": panel.label, "single_cell": x, "single_cell_is": kind, "bulk_signed_log10_p": y})


def _agreement(panel, bayes_factor, at_p):
    """Counts of genes beyond both thresholds, in words."""
    x, y = _points(panel)
    threshold = bayes_factor if _has_bayes_factor(panel) else at_p
    both = (np.abs(x) >= threshold) & (np.abs(y) >= at_p)
    same = both & (np.sign(x) == np.sign(y))
    return f"{both.sum()} genes beyond both thresholds, {same.sum()} of them with the same sign"


def _number(panels, fact):
    return span([getattr(panel, fact) for panel in panels])


def _largest(values, at_least):
    """The largest size of what is finite."""
    return np.abs(values[np.isfinite(values)]).max(initial=at_least)


def _where(panels):
    return f"{about(panels[0])}, seed {panels[0].seed}"
