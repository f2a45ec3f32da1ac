"""What is known of cells and genes: columns by their names, labels from a table beside the counts, and truth values."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..base import InvalidDataset, column, missing
from .formats.table import readable
from .formats.text import read_annotations
from .names import named

TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def find(frame, key, kind):
    """The column of ``frame`` that ``key`` names, as `named`, or InvalidDataset with the columns that there are."""
    return column(frame, named(frame.columns, key), kind)


def join(table, path, labels=()):
    """The annotations of the cells of a table with those of a text table, whose first column names the cells.

    The columns that ``labels`` names (as `named`) are text as it stands there: 01 is not 1, nor is 1E1 10.

    10x adds a number to its barcodes (``-1``) which some tables leave out: where no name is found as it stands, that
    number is left out of the side that alone has it.

    Raises
    ------
    InvalidDataset
        A cell is not named there; a name stands there twice; without their numbers, two cells have one name.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: correct dataset.annotations.")
    with readable(path):
        more = read_annotations(path, labels)
    cells = pd.Index(table.cells.astype(str))
    keys, rows = cells, more.index.astype(str)
    if not keys.isin(rows).any():
        with_number = [names.str.fullmatch(r".+-\d+") for names in (keys, rows)]
        if with_number[0].all() and not with_number[1].any():
            keys = _without_number(keys)
        elif with_number[1].all() and not with_number[0].any():
            rows = _without_number(rows)
    for side, names, as_they_stand in ((path, rows, more.index), ("The counts", keys, cells)):
        twice = np.flatnonzero(names.duplicated(keep=False) & (names.isin(keys) | (names is keys)))
        if twice.size:
            first = names[twice[0]]
            clash = " and ".join(repr(name) for name in as_they_stand[names == first][:2])
            raise InvalidDataset(
                f"{side} ha{'s' if side is path else 've'} two cells that the annotations call {first!r} ({clash}): "
                "give every cell one name, the same in the counts and in dataset.annotations."
            )
    unknown = np.flatnonzero(~keys.isin(rows))
    if unknown.size:
        raise InvalidDataset(
            f"{path} says nothing of {unknown.size} of the {len(cells)} cells (the first is {cells[unknown[0]]!r}): "
            "its first column must name the cells."
        )
    more = more.set_axis(rows).loc[keys].set_axis(table.cells)
    return pd.concat([table.obs[[name for name in table.obs if name not in more]], more], axis=1)


def _without_number(names):
    return names.str.replace(r"-\d+$", "", regex=True)


def kept(frame, n, kind, where_true=None, where_given=None):
    """The rows to keep, and a sentence on each choice.

    Parameters
    ----------
    frame : pandas.DataFrame
    n : int
        The number of rows.
    kind : {"cells", "genes"}
    where_true : str, optional
        A column of truth values: those where it is true.
    where_given : str, optional
        A column of any type: those where it has a value.

    Returns
    -------
    (ndarray of int, list of str)
    """
    chosen, steps = np.ones(n, dtype=bool), []
    for key, option in ((where_true, f"keep_{kind}"), (where_given, f"{kind}_with")):
        if key in (None, ""):
            continue
        values = find(frame, key, option)
        gaps = missing(values)
        if option.startswith("keep"):
            chosen &= truth(values, kind)
            aside = f" ({gaps.sum()} without a value are left out)" if gaps.any() else ""
            steps.append(f"kept {chosen.sum()} of {n} {kind}, those with {values.name}{aside}")
        else:
            chosen &= ~gaps
            steps.append(f"kept {chosen.sum()} of {n} {kind}, those with a value in {values.name}")
        if not chosen.any():
            raise InvalidDataset(f"No {kind} are left: by dataset.{option}={values.name} none is kept.")
    return np.flatnonzero(chosen), steps


def truth(values, kind):
    """A column of truth values as an array of bool, false where it has no value.

    Parameters
    ----------
    values : pandas.Series
        Booleans of any storage, 0 and 1, or "True" and "False" in any case.
    kind : {"cells", "genes"}
        What the column is about, for the sentence.

    Raises
    ------
    InvalidDataset
        The column holds anything else.
    """
    unknown = missing(values)
    words = values.astype(str).str.strip().str.lower().to_numpy(str)
    if not np.isin(words[~unknown], list(TRUTH)).all():
        found = sorted(values[~unknown].astype(str).unique())
        listed = ", ".join([*found[:5], *["…"][: len(found) - 5]])
        raise InvalidDataset(
            f"The column {values.name!r} holds {listed}, no truth values: for the {kind} that have a value in it "
            f"set dataset.{kind}_with={values.name} in place of dataset.keep_{kind}."
        )
    return np.array([not gap and TRUTH[word] for word, gap in zip(words, unknown, strict=True)], dtype=bool)
