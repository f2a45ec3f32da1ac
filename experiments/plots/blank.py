"""A figure that says in a sentence why there is nothing to draw."""

import pandas as pd

from .style import COLUMN, SOFT, SuiteFigure, in_style
from .text import fold
from .words import about, outcomes, title_of


@in_style()
def blank(sentence, *, title, caption=""):
    """An empty panel with a sentence in it, in the place of a figure.

    Returns
    -------
    SuiteFigure
    """
    figure = SuiteFigure(COLUMN, title=title, caption=caption)
    (ax,) = figure.panels([""])
    ax.set_axis_off()
    words = fold(sentence, 56, lines=12)
    ax.text(0, 0.5, words, va="center", color=SOFT, style="italic", transform=ax.transAxes)
    return figure.finish(sentence, pd.DataFrame({"nothing is drawn": [sentence]}), 0.2 + 0.15 * (1 + words.count("\n")))


def without_result(table, like="", what=""):
    """`blank` for rows of ``experiments.report.table.summarise`` of which no method has a result."""
    row = next(table.itertuples())
    return blank(outcomes(table), title=title_of(row, like, what), caption=f"{about(row)}.")
