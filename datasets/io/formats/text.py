"""Text tables of counts, gzipped or not: read row by row into a sparse matrix, with the place of what is wrong."""

import contextlib
import gzip
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from ...base import InvalidDataset
from ..fetch import looks_like_html


@dataclass
class TextTable:
    """``counts`` (n_cells, n_genes), the names, and the columns of the file that are not counts."""

    counts: sp.csr_matrix
    cells: np.ndarray
    genes: np.ndarray
    annotations: dict


def open_text(path):
    """Open a text file for reading, through gzip if its first bytes say so."""
    path = Path(path)
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt") if zipped else open(path)


def read_text(path, genes_in="columns", annotation_columns=(), keep=None):
    """Read a delimited table with one header row and one leading column of names.

    Parameters
    ----------
    path : str or Path
    genes_in : {"columns", "rows"}
        Whether the header names the genes or the cells.
    annotation_columns : sequence of str
        Columns that describe the row and are no counts; the counts begin after the last of them.
    keep : callable, optional
        ``keep(name of the row, {annotation: value})`` decides whether a row is read at all.

    Returns
    -------
    TextTable

    Raises
    ------
    InvalidDataset
        With the line, the name of the row and the name of the column.
    """
    if genes_in not in ("columns", "rows"):
        raise InvalidDataset(f"genes_in={genes_in!r} is neither 'columns' nor 'rows'.")
    names, indices, values, sizes = [], [], [], []
    annotations = {name: [] for name in annotation_columns}
    with open_text(path) as stream:
        header = stream.readline()
        if looks_like_html(header.encode()):
            raise InvalidDataset(f"{path} is a web page, not a table of counts: download the file itself again.")
        separator = "\t" if header.count("\t") >= header.count(",") else ","
        columns = _fields(header, separator)
        number = 1
        plan = None
        for number, line in enumerate(stream, start=2):
            if not line.strip():
                continue
            if plan is None:
                plan = _Plan(columns, line.count(separator) + 1, annotation_columns, separator, path)
            name, described, tail = plan.split(line, number)
            if keep is not None and not keep(name, described):
                continue
            counts = plan.counts(name, tail, number)
            filled = np.flatnonzero(counts)
            names.append(name)
            indices.append(filled.astype(np.int32))
            values.append(counts[filled])
            sizes.append(filled.size)
            for name, value in described.items():
                annotations[name].append(value)
    if not names:
        raise InvalidDataset(f"{path} has no rows of counts after its header (line {number}): it is cut off.")
    X = sp.csr_matrix(
        (np.concatenate(values), np.concatenate(indices), np.concatenate([[0], np.cumsum(sizes)])),
        shape=(len(names), len(plan.columns)),
    )
    annotations = {name: np.array(column) for name, column in annotations.items()}
    if genes_in == "columns":
        return TextTable(X, np.array(names), np.array(plan.columns), annotations)
    return TextTable(X.T.tocsr(), np.array(plan.columns), np.array(names), annotations)


class _Plan:
    """Which field of a row is what; the header may lack a name for the column of row names, as R writes it."""

    def __init__(self, header, width, annotation_columns, separator, path):
        if len(header) == width - 1:
            header = ["", *header]
        self.first = 1 + max((header.index(name) for name in annotation_columns if name in header), default=0)
        if len(header) != width or width <= self.first:
            raise InvalidDataset(
                f"The header of {path} names {len(header)} columns and its first row has {width} fields: it is damaged "
                "or not a table of counts."
            )
        missing = [name for name in annotation_columns if name not in header]
        if missing:
            raise InvalidDataset(f"{path} has no column {missing[0]!r} (it starts with {', '.join(header[:6])}).")
        self.annotations = {name: header.index(name) for name in annotation_columns}
        self.columns, self.separator, self.path = header[self.first :], separator, path

    def split(self, line, number):
        """Name of the row, its annotations, and the text of its counts."""
        *head, tail = line.rstrip("\r\n").split(self.separator, self.first)
        if len(head) < self.first:
            self._wrong_width(head[0] if head else tail, 0, number)
        head = [_unquoted(field) for field in head]
        return head[0], {name: head[position] for name, position in self.annotations.items()}, tail

    def counts(self, name, tail, number):
        """The counts of a row as integers; as floats, for the contract to judge, where they are not."""
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy's word for text that is not a number
            with contextlib.suppress(DeprecationWarning, ValueError):
                counts = np.fromstring(tail, sep=self.separator, dtype=np.int64)
                if counts.size == len(self.columns):
                    return counts
        fields = [_unquoted(field) for field in tail.split(self.separator)]
        if len(fields) != len(self.columns):
            self._wrong_width(name, len(fields), number)
        try:
            return np.array(fields, dtype=np.float64)
        except ValueError:
            column, field = next((i, field) for i, field in enumerate(fields) if not _is_number(field))
        raise InvalidDataset(
            f"Line {number} of {self.path} (row {name!r}, column {self.columns[column]!r}) has {field!r} where a count "
            "belongs: the table may hold counts only, beside its row and column names."
        )

    def _wrong_width(self, name, found, number):
        raise InvalidDataset(
            f"Line {number} of {self.path} (row {name!r}) has {found} counts where {len(self.columns)} are announced: "
            "the file is cut off or damaged, download it again."
        )


def _fields(line, separator):
    return [_unquoted(field) for field in line.rstrip("\r\n").split(separator)]


def _unquoted(field):
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True
