"""Tables as CSV files that a spreadsheet only shows: text that it would run as a formula begins with an apostrophe.

Labels come from files of strangers, and ``=HYPERLINK(...)`` is a legal one. What `read` gives back is equal to what was
written.
"""

import csv
import re

FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")


def write(frame, file):
    """Write a frame without its index; ``file`` is open for text."""
    safe, quoting = frame.rename(columns=_guarded), csv.QUOTE_MINIMAL
    for i, (_, column) in enumerate(frame.items()):
        if column.dtype == object or str(column.dtype) in ("category", "string"):
            column = column.astype(object).map(_guarded)
            safe.isetitem(i, column)
            if column.map(lambda value: isinstance(value, str) and "\r" in value).any():
                quoting = csv.QUOTE_NONNUMERIC  # else a carriage return stays bare and ends the line
    safe.to_csv(file, index=False, quoting=quoting)


def read(path):
    """The rows of such a file, ``{column: text}``, as they were before they were written.

    Raises
    ------
    OSError
    ValueError
        It is no table: a row has a field too few or too many, say.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [{_plain(key): _plain(value) for key, value in row.items()} for row in csv.DictReader(file)]
    except csv.Error as error:
        raise ValueError(f"{path} is no table ({error}).") from error
    if any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{path} has a row with a field too few or too many.")
    return rows


def _plain(text):
    return text[1:] if isinstance(text, str) and text.startswith("'") and _runs(text) else text


def _guarded(value):
    return f"'{value}" if isinstance(value, str) and _runs(value) else value


def _runs(text):
    """Whether a spreadsheet might run a text, or would if it had fewer apostrophes; a number is none."""
    if not FORMULA.match(text):
        return False
    try:
        float(text.lstrip("'"))
    except ValueError:
        return True
    return False
