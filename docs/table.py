"""Tables in Markdown."""


def table(head, rows):
    """A table; cells are Markdown in one line."""
    lines = [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]
    return "\n".join(lines)


def _line(cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def code(text):
    """Text as code; of a value that holds backticks too."""
    text = str(text)
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}" if text else ""
