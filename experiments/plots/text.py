"""Labels as figures show them: of any length and with any letters, and never two alike."""

import re
import textwrap
import unicodedata
from collections import Counter

EMPTY = "(empty)"  # a label without letters
DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # they would turn the words around them


def fold(text, characters, lines=None):
    """``text`` in lines of at most so many characters, broken between words and, where one is longer, inside it.

    With ``lines``, at most so many: what is cut off leaves an ellipsis. White space of any kind is one space, and what
    has no shape a replacement character.
    """
    wide = re.sub("([\u2e80-\uffef])", r"\1\0", _visible(text))  # Chinese, Japanese and Korean letters take two places
    found = textwrap.wrap(wide, characters)
    if lines and len(found) > lines:
        found = [*found[: lines - 1], found[lines - 1][: characters - 1].rstrip("\0 ") + "…"]
    return "\n".join(found).replace("\0", "")


def clip(text, characters=60):
    """A label within a sentence: in one line, cut with an ellipsis."""
    return fold(text, characters, lines=1) or EMPTY


def folded(labels, characters, lines=3):
    """The `fold` of each of several different labels; what is alike once it is cut is told apart by a number."""
    found = [fold(label, characters, lines) or EMPTY for label in labels]
    alike, met = Counter(found), Counter()
    for i, text in enumerate(found):
        if alike[text] > 1:
            met[text] += 1
            number = f" ({met[text]})"
            before, line_break, last = text.rpartition("\n")
            if len(last) + len(number) > characters:
                last = last[: characters - len(number) - 1].rstrip("… ") + "…"
            found[i] = f"{before}{line_break}{last}{number}"
    return found


def _visible(text):
    letters = re.sub(r"[^\S\xa0]+", " ", DIRECTIONS.sub("", str(text))).strip()
    return "".join("\ufffd" if unicodedata.category(a) in ("Cc", "Cs", "Cn", "Co") else a for a in letters)
