"""A table as a figure (Tables 2 to 4)."""

from .style import COLUMN, INK, NUMBER, SuiteFigure, in_style
from .text import fold, folded

MOST, WIDEST = 60, 48  # rows, characters of a field


@in_style()
def sheet(frame, *, title, caption):
    """Draw ``frame`` as a table: a line under the names of the columns, numbers to the right, text to the left.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its first ``MOST`` rows are drawn; what is missing stays blank. It becomes the CSV beside the figure.
    title, caption : str

    Returns
    -------
    SuiteFigure
    """
    shown = frame.head(MOST).map(_text).set_axis(folded(frame.columns, WIDEST, lines=1), axis=1)
    if len(frame) > MOST:
        caption += f" The first {MOST} of {len(frame):,} rows; all are in the CSV beside it."
    columns = [[str(name), *column] for name, column in shown.items()]
    characters = [max(map(len, column)) + 3 for column in columns]
    width = max(COLUMN, sum(characters) * 0.58 * NUMBER / 72)  # the mean width of a letter
    figure = SuiteFigure(width, title=title, caption=caption)
    (ax,) = figure.panels([""])
    ax.set(xlim=(0, sum(characters) - 3), ylim=(len(shown) + 0.5, -0.5))
    ax.set_axis_off()
    ax.axhline(0.5, color=INK, linewidth=0.8)
    left = 0
    for name, column, n in zip(frame, columns, characters, strict=True):
        is_text = frame[name].map(lambda value: isinstance(value, str)).any()
        place = {"x": left, "ha": "left"} if is_text else {"x": left + n - 3, "ha": "right"}
        for i, text in enumerate(column):
            ax.text(y=i, s=text, va="center", fontsize=NUMBER, weight="normal" if i else "bold", **place)
        left += n
    rows = ("; ".join(f"{k} {v}" for k, v in row.items() if v) for row in shown.to_dict("records"))
    return figure.finish(f"Table. {' | '.join(rows)}.", frame, (len(shown) + 1) * 0.155)


def _text(value):
    if value is None or value != value:
        return ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:g}"
    return f"{value:,.0f}" if isinstance(value, int | float) else fold(value, WIDEST, lines=1)
