"""A table as a figure (Tables 2 to 4)."""

from .style import COLUMN, MARGIN, NUMBER, SuiteFigure, in_style


@in_style()
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
    is_text = [frame[name].map(lambda value: isinstance(value, str)).any() for name in frame]
    characters = [max(map(len, [str(name), *shown[name]])) + 3 for name in frame]
    width = max(COLUMN, sum(characters) * 0.58 * NUMBER / 72)  # the mean width of a letter
    figure = SuiteFigure(width + 2 * MARGIN, title=title, caption=caption)
    (ax,) = figure.panels([""])
    ax.set_axis_off()
    cells = ax.table(
        shown.to_numpy(), colLabels=list(map(str, frame)), colWidths=[n / sum(characters) for n in characters],
        bbox=(0, 0, 1, 1), edges="open",
    )  # fmt: skip
    cells.auto_set_font_size(False)
    cells.set_fontsize(NUMBER)
    for (row, column), cell in cells.get_celld().items():
        cell.set_text_props(ha="left" if is_text[column] else "right")
        cell.PAD = 0.2 / characters[column]
        if row == 0:
            cell.set_text_props(weight="bold")
            cell.visible_edges = "B"
            cell.set_linewidth(0.8)
    figure.fit((len(frame) + 1) * 0.155)
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
