"""A grid of panels of one size on paper, with room for the words of each: the frame of several kinds of plot."""

import math

from .style import MARGIN, NUMBER, TITLE, SuiteFigure, inches, wrap


def grid(names, *, title, caption, columns=4, side=(1.42, 1.42), left=0.5, gap=0.5, below=0.42, legend=0.0, right=0.1):
    """Return a `SuiteFigure` and one Axes per name, row by row; to be called in the style of the suite.

    Parameters
    ----------
    names : list of str
        Title of each panel.
    columns : int
    side : (float, float)
        Width and height of a panel, inches.
    left, right, gap, below : float
        Inches in front of the first column, behind the last, between columns, and under each row.
    legend : float
        Inches under the last row.
    """
    columns = min(columns, len(names))
    rows = math.ceil(len(names) / columns)
    width, height = side
    heads = [wrap(name, TITLE, width + 2 * min(0.4 * gap, right)) for name in names]
    above = 0.1 + 0.14 * max(map(len, heads))
    figure = SuiteFigure(
        max(left + columns * (width + gap) - gap + right, 3.5),
        rows * (above + height + below) + legend + MARGIN,
        title=title,
        caption=caption,
    )
    axes = []
    for i, head in enumerate(heads):
        row, column = divmod(i, columns)
        bottom = legend + MARGIN + (rows - row - 1) * (above + height + below) + below
        ax = figure.panel(left + column * (width + gap), bottom, width, height)
        ax.set_title("\n".join(head), pad=4)
        axes.append(ax)
    return figure, axes


def legend_line(figure, entries, y):
    """Marks and their words in one line, ``y`` inches above the caption; entries are (words, options of ``plot``)."""
    x = MARGIN
    for words, options in entries:
        ax = figure.panel(x, y - 0.06, 0.24, 0.12)
        at = [0.5] if options.get("linestyle") == "none" else [0, 1]
        ax.plot(at, [0] * len(at), **options)
        ax.set_xlim(-0.1, 1.1)
        ax.axis("off")
        figure.write(x + 0.28, figure.foot + y, words, va="center", fontsize=NUMBER)
        x += 0.28 + inches(words, NUMBER) + 0.16
