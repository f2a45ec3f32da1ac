"""Text tables of counts: read row by row into a sparse matrix, with the place of what is wrong."""

import contextlib
import csv
import io
import itertools
import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ...base import InvalidDataset
from ..fetch import looks_like_html
from ..names import named
from .orientation import OTHER, evidence, looks_like
from .unpack import unpacked

SEPARATORS = "\t;,| "


@dataclass
class TextTable:
    """``counts`` (n_cells, n_genes), the names, and the columns of the file that are not counts."""

    counts: sp.csr_matrix
    cells: np.ndarray
    genes: np.ndarray
    annotations: dict


@dataclass
class Layout:
    """How a text table is written: its separator, its header, and the lines that follow, with their numbers."""

    separator: str
    header: list
    lines: object

    def fields(self, line):
        """The fields of a line, without quotes."""
        return next(csv.reader([line.strip("\r\n ")], delimiter=self.separator, skipinitialspace=True), [])


@contextlib.contextmanager
def text_layout(source, place):
    """Open a text table, compressed or not, in UTF-8 or UTF-16, and find its `Layout`.

    The separator is the one by which the header and the first row have most fields, as many each; the header may lack
    a name for the column of row names, as R writes it. Excel's line ``sep=;`` says it, too.
    """
    with unpacked(source) as stream:
        head = stream.read(512)
        stream.seek(0)
        encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        if encoding != "utf-16" and b"\x00" in head:
            raise InvalidDataset(f"{place} is no text, but a table is asked for: write it as .csv.")
        text = io.TextIOWrapper(stream, encoding=encoding)
        lines = ((number, line) for number, line in enumerate(text, start=1) if line.strip())
        number, header = next(lines, (0, ""))
        said = re.fullmatch(r'"?sep=(.)"?', header.strip("\r\n"))
        if said:
            number, header = next(lines, (number, ""))
        if looks_like_html(header.encode()):
            raise InvalidDataset(f"{place} is a web page, not a table of counts: download the file itself again.")
        first = next(lines, None)
        candidates = [Layout(separator, [], ()) for separator in (said[1] if said else SEPARATORS)]
        while header.startswith("#") and first and not _is_header(header, first[1], candidates):
            (_, header), first = first, next(lines, None)
        layout = max(candidates, key=lambda candidate: _fit(candidate, header, first[1] if first else header))
        layout.header = layout.fields(header)
        layout.lines = itertools.chain([first] if first else [], lines)
        yield layout


def _is_header(line, following, candidates):
    """Whether a line that begins as a comment is a header."""
    return not following.startswith("#") and any(_fit(each, line, following)[0] for each in candidates)


def _fit(layout, header, row):
    """How well a separator fits: whether header and row agree, then the number of fields; words have spaces inside."""
    names, fields = len(layout.fields(header)), len(layout.fields(row))
    return fields > 1 and fields - names in (0, 1), layout.separator != " ", names


def read_text(source, place=None, genes_in=None, annotation_columns=(), keep=None):
    """Read a delimited table with one header row and one leading column of names.

    Parameters
    ----------
    source : Path or io.BytesIO
    place : Path or str, optional
        What sentences call it, by default ``source``.
    genes_in : {"columns", "rows"}, optional
        Whether the header names the genes or the cells. By default barcodes and names of genes tell; where they do
        not, the table is refused.
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
    place = source if place is None else place
    if genes_in not in (None, "columns", "rows"):
        raise InvalidDataset(f"genes_in={genes_in!r} is neither 'columns' nor 'rows'.")
    names, indices, values, sizes = [], [], [], []
    annotations = {name: [] for name in annotation_columns}
    with text_layout(source, place) as layout:
        plan, number = None, 1
        for number, line in layout.lines:
            if plan is None:
                plan = _Plan(layout, len(layout.fields(line)), annotation_columns, place)
            name, described, tail = plan.split(line, number)
            if keep is not None and not keep(name, described):
                continue
            counts = plan.counts(name, tail, number)
            filled = np.flatnonzero(counts)
            names.append(name)
            indices.append(filled.astype(np.int32))
            values.append(counts[filled])
            sizes.append(filled.size)
            for key, value in described.items():
                annotations[key].append(value)
    if not names:
        raise InvalidDataset(f"{place} has no rows of counts after its header (line {number}): it is cut off.")
    X = sp.csr_matrix(
        (np.concatenate(values), np.concatenate(indices), np.concatenate([[0], np.cumsum(sizes)])),
        shape=(len(names), len(plan.columns)),
    )
    annotations = {name: np.array(column) for name, column in annotations.items()}
    if (genes_in or _genes_in(names, plan, place)) == "columns":
        return TextTable(X, np.array(names), np.array(plan.columns), annotations)
    return TextTable(X.T.tocsr(), np.array(plan.columns), np.array(names), annotations)


def _genes_in(names, plan, place):
    """Whether genes are in the columns or the rows, by their names."""
    rows = looks_like(names, plan.columns, plan.corner)
    if rows is None:
        raise InvalidDataset(
            f"The names in {place} do not tell cells from genes (rows {', '.join(names[:2])}, …; columns "
            f"{', '.join(plan.columns[:2])}, …): set dataset.genes_in=columns or dataset.genes_in=rows."
        )
    for side, axis, kind in (("column", names, OTHER[rows]), ("row", plan.columns, rows)):
        is_counted = all(name.isdecimal() for name in axis)
        if is_counted and (evidence([plan.corner]) == kind or len(set(axis)) < len(axis)):
            raise InvalidDataset(
                f"The first {side} of {place}, {plan.corner!r}, holds counts where names belong: write the table with "
                "the names of its cells and genes."
            )
    return "columns" if rows == "cells" else "rows"


class _Plan:
    """Which field of a row is what; the header may lack a name for the column of row names, as R writes it."""

    def __init__(self, layout, width, annotation_columns, place):
        header = layout.header
        if len(header) == width - 1:
            header = ["", *header]
        self.first = 1 + max((header.index(name) for name in annotation_columns if name in header), default=0)
        if len(header) != width or width <= self.first:
            raise InvalidDataset(
                f"The header of {place} names {len(header)} columns and its first row has {width} fields: it is "
                "damaged or not a table of counts."
            )
        missing = [name for name in annotation_columns if name not in header]
        if missing:
            raise InvalidDataset(f"{place} has no column {missing[0]!r} (it starts with {', '.join(header[:6])}).")
        self.annotations = {name: header.index(name) for name in annotation_columns}
        self.corner, self.columns, self.layout, self.place = header[0], header[self.first :], layout, place

    def split(self, line, number):
        """Name of the row, its annotations, and its counts: as text, or as fields where there are quotes."""
        separator = self.layout.separator
        if '"' in line or separator == " ":
            fields = self.layout.fields(line)
            head, tail = fields[: self.first], fields[self.first :]
        else:
            *head, tail = line.rstrip("\r\n").split(separator, self.first)
            head = [field.strip() for field in head]
        if len(head) < self.first:
            self._wrong_width(head[0] if head else tail, 0, number)
        return head[0], {name: head[position] for name, position in self.annotations.items()}, tail

    def counts(self, name, tail, number):
        """The counts of a row as integers; as floats, for the contract to judge, where they are not."""
        if isinstance(tail, str):
            with warnings.catch_warnings():
                warnings.simplefilter("error", DeprecationWarning)  # numpy's word for text that is not a number
                with contextlib.suppress(DeprecationWarning, ValueError):
                    counts = np.fromstring(tail, sep=self.layout.separator, dtype=np.int64)
                    if counts.size == len(self.columns):
                        return counts
            tail = tail.split(self.layout.separator)
        if len(tail) != len(self.columns):
            self._wrong_width(name, len(tail), number)
        try:
            return np.array(tail, dtype=np.float64)
        except ValueError:
            column, field = next((i, field) for i, field in enumerate(tail) if not _is_number(field))
        raise InvalidDataset(
            f"Line {number} of {self.place} (row {name!r}, column {self.columns[column]!r}) has {field!r} where a "
            "count belongs: the table may hold counts only, beside its row and column names."
        )

    def _wrong_width(self, name, found, number):
        raise InvalidDataset(
            f"Line {number} of {self.place} (row {name!r}) has {found} counts where {len(self.columns)} are announced: "
            "the file is cut off or damaged, download it again."
        )


def read_annotations(path, labels=()):
    """A text table of what is known of the cells as a frame, whose index is the first column: text, as it stands.

    So are the columns that ``labels`` names (as `named`); in the others numbers and truth values are such.
    """
    with text_layout(path, path) as layout:
        body = io.StringIO("".join(line for _, line in layout.lines))
        first, header = layout.fields(body.getvalue().partition("\n")[0]), layout.header
        names = [""] * (len(first) - len(header)) + header
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise InvalidDataset(f"{path} has two columns {twice[0]!r}: give each its own name.")
        texts = {names[0], *(named(names, key) for key in labels if key is not None)}
        frame = pd.read_csv(
            body,
            sep=layout.separator,
            header=None,
            names=names,
            dtype=dict.fromkeys(texts.intersection(names), str),
            index_col=False,
            skipinitialspace=True,
        )
    if len(names) > len(header) and frame[names[-1]].isna().all():
        raise InvalidDataset(
            f"The rows of {path} have a field more than its header, which is empty: remove the separator at their ends."
        )
    return frame.set_index(names[0])


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True
