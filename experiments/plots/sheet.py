"""A table as a figure (Tables 2 to 4)."""

from .style import COLUMN, INK, NUMBER, SuiteFigure, in_style


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
    characters = [max(map(len, [str(name), *shown[name]])) + 3 for name in frame]
    width = max(COLUMN, sum(characters) * 0.58 * NUMBER / 72)  # the mean width of a letter
    figure = SuiteFigure(width, title=title, caption=caption)
    (ax,) = figure.panels([""])
    ax.set(xlim=(0, sum(characters) - 3), ylim=(len(frame) + 0.5, -0.5))
    ax.set_axis_off()
    ax.axhline(0.5, color=INK, linewidth=0.8)
    left = 0
    for name, n in zip(frame, characters, strict=True):
        is_text = frame[name].map(lambda value: isinstance(value, str)).any()
        place = {"x": left, "ha": "left"} if is_text else {"x": left + n - 3, "ha": "right"}
        for i, text in enumerate([str(name), *shown[name]]):
            ax.text(y=i, s=text, va="center", fontsize=NUMBER, weight="normal" if i else "bold", **place)
        left += n
    rows = ("; ".join(f"{k} {v}" for k, v in row.items() if v) for row in shown.to_dict("records"))
    return figure.finish(f"Table. {' | '.join(rows)}.", frame, (len(frame) + 1) * 0.155)


def _text(value):
    if value is None or value != value:
        return ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:g}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
