"""A table as a figure (Tables 2 to 4)."""

from .style import MARGIN, NUMBER, SuiteFigure, in_style, inches

ROW, AIR = 0.155, 0.16  # inches: height of a row, air between columns


def sheet(frame, *, title, caption):
    """Draw ``frame`` as a table: a line under the names of the columns, numbers to the right, text to the left.

    Parameters
    ----------
    frame : pandas.DataFrame
        Drawn as it stands; what is missing stays blank. It becomes the CSV beside the figure.
    title, caption : str

    Returns
    -------
    SuiteFigure
    """
    shown = frame.map(_text)
    right = [frame[name].map(lambda v: not isinstance(v, str)).all() for name in frame]
    needs = [max(inches(text, NUMBER) for text in [str(name), *shown[name]]) + AIR for name in frame]
    width = max(sum(needs) + 2 * MARGIN, 3.5)
    height = (len(frame) + 1) * ROW + 0.1
    with in_style():
        figure = SuiteFigure(width, height, title=title, caption=caption)
        top, left = figure.foot + height - ROW / 2, MARGIN
        for name, need, is_right in zip(frame, needs, right, strict=True):
            x = left + need - AIR if is_right else left
            place = {"ha": "right" if is_right else "left", "va": "center", "fontsize": NUMBER}
            figure.write(x, top, str(name), fontweight="bold", **place)
            for i, text in enumerate(shown[name], start=1):
                if text:
                    figure.write(x, top - i * ROW - 0.04, text, **place)
            left += need
        line = figure.panel(MARGIN, height - ROW - 0.02, width - 2 * MARGIN, 1e-3)
        line.set(xticks=[], yticks=[])
        line.spines[["left", "bottom"]].set_visible(False)
        line.spines["top"].set(visible=True, linewidth=0.8)
    figure.data = frame
    rows = ("; ".join(f"{k} {v}" for k, v in row.items() if v) for row in shown.to_dict("records"))
    figure.alt = f"Table. {' | '.join(rows)}."
    return figure


def _text(value):
    if value is None or value != value:
        return ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:g}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
