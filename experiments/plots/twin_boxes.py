"""Boxes over repeats, two scores side by side for each method (Fig 5a, b)."""

import numpy as np
import pandas as pd

from ..loop.registry import METRICS
from .boxes import draw_boxes
from .style import COLUMN, NUMBER, PAGE, PUBLISHED, SuiteFigure, in_style
from .text import clip, fold, folded
from .words import about, counted, outcome, span, title_of

FACE = {"left": "#9ccbe8", "right": "#a9dba4"}  # the light blue and light green of the paper
CROWDED = 8  # methods: with more their names stand upright
INK = {"left": "#1f5f8b", "right": "#2e6b2a"}  # the same, dark enough for words


@in_style()
def twin_boxes(records, table, *, left, right, like=""):
    """Fig 5a: per method a box of one score (left axis) and of another (right axis), the published mean as a diamond.

    Parameters
    ----------
    records : pandas.DataFrame
        Finished cells of one value of each axis, with their ``arrays``: one value per repeat for both scores.
    table : pandas.DataFrame
        The summary rows of the same axes, for the published values and the methods that have no box.
    left, right : str
        Keys of ``METRICS``.
    like : str
        The figure of the paper that this one redraws.

    Returns
    -------
    SuiteFigure
    """
    groups = list(records.groupby(["role", "label"], sort=False))
    groups.sort(key=lambda group: group[0][0] == "control")  # stable: the order of the run, then the controls
    labels = [label for (_, label), _ in groups]
    values = {(label, s): _pooled(rows, s) for (_, label), rows in groups for s in (left, right)}
    published = table.set_index(["label", "score"])["published"]
    title = title_of(next(records.itertuples()), like, "agreement with bulk")
    figure = SuiteFigure(
        COLUMN if len(labels) <= CROWDED else PAGE, title=title, caption=_caption(records, table, values, published)
    )
    (ax,) = figure.panels([""])
    for side, score, axis in (("left", left, ax), ("right", right, ax.twinx())):
        places = np.arange(len(labels)) + (-0.19 if side == "left" else 0.19)
        draw_boxes(axis, places, [values[label, score] for label in labels], 0.34, FACE[side], (5, 95))
        known = [published.get((label, score), np.nan) for label in labels]
        axis.plot(places, known, **PUBLISHED)
        axis.tick_params(axis="y", colors=INK[side], labelcolor=INK[side])
        axis.spines[["left", "right"]].set_visible(False)
        axis.spines[side].set(visible=True, color=INK[side])
        axis.margins(y=0.06)
        axis.locator_params(axis="y", nbins=6)
        axis.set_ylabel(fold(METRICS[score].label, 42), color=INK[side], fontsize=NUMBER)
    ax.set(xlabel="", xlim=(-0.55, len(labels) - 0.45))
    slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(labels) <= CROWDED else {"rotation": 90}
    ax.set_xticks(range(len(labels)), folded(labels, 20, lines=2), **slant)
    ax.tick_params(axis="x", length=0)
    words = (_words(*key, found, published.get(key, np.nan)) for key, found in values.items())
    alt = f"Boxes per method of {METRICS[left].label} and {METRICS[right].label}. {'; '.join(words)}"
    data = [pd.DataFrame({"label": label, "score": s, "value": v}) for (label, s), v in values.items()]
    return figure.finish(alt, pd.concat(data, ignore_index=True), 2.3)


def _pooled(rows, score):
    """The values of all repeats of all seeds that are defined."""
    found = np.concatenate([arrays[score] for arrays in rows["arrays"]])
    return found[~np.isnan(found)]


def _words(label, score, values, known):
    text = f"{label}, {score}: " + (f"median {np.median(values):.3f}" if values.size else "not defined")
    return text + (f", published mean {known:.3f}" if np.isfinite(known) else "")


def _caption(records, table, values, published):
    undefined = [label for (label, _), found in values.items() if not found.size]
    cells = " and ".join(span(records[name]) for name in ("n_cells_a", "n_cells_b"))
    text = (
        f"{about(next(records.itertuples()))}. Each box: n\xa0= "
        f"{span([found.size for found in values.values() if found.size])} draws of {cells} cells, "
        f"{counted([records['seed'].nunique()], 'seed')}. Line: median; whiskers: to the last draws within 5% and 95%."
    )
    if undefined:
        text += f" No maximum of the likelihood of IDR: {', '.join(map(clip, undefined))}."
    absent = table[~table["label"].isin(records["label"])].drop_duplicates("label")
    if len(absent):
        why = ("agrees with itself" if status == "done" else outcome(status) for status in absent["status"])
        each = (f"{clip(label)} ({word})" for label, word in zip(absent["label"], why, strict=True))
        text += f" Without a box: {', '.join(each)}."
    if any(np.isfinite(published.get(key, np.nan)) for key in values):
        text += " Diamonds: published means, of the paper's own data."
    return text
