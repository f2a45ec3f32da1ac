"""MatrixMarket matrices with their names beside them, as 10x, STARsolo, kallisto and GEO lay them out."""

import csv
import io
import re
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ...base import InvalidDataset
from .foreign import refuse_foreign
from .orientation import looks_like
from .table import Table, readable
from .unpack import unpacked, without_ending

ROLES = {
    "matrix": re.compile(r"(.*?)[._-]?(?:matrix|(?:raw|umi)?[._-]?counts?)?\.mtx", re.IGNORECASE),
    "barcodes": re.compile(r"(.*?)[._-]?(?:barcodes?|cells)\.(?:tsv|txt|csv)", re.IGNORECASE),
    "genes": re.compile(r"(.*?)[._-]?(?:genes?|features?)\.(?:tsv|txt|csv)", re.IGNORECASE),
}
NAMES = {"barcodes": "barcodes.tsv", "genes": "genes.tsv or features.tsv", "matrix": "matrix.mtx"}
KINDS = {"Antibody Capture", "CRISPR Guide Capture", "Custom", "Peaks", "Multiplexing Capture", "Antigen Capture"}
KINDS |= {"Gene Expression", "VDJ", "VDJ-T", "VDJ-B"}  # of features, as 10x names them


def is_part(name):
    """Whether a file has the name of a part of a MatrixMarket folder."""
    return _role(name) is not None


def _role(name):
    """(role, what stands before it in the name of the file) or None."""
    file = without_ending(PurePosixPath(name).name)
    return next(((role, match[1]) for role, form in ROLES.items() if (match := form.fullmatch(file))), None)


def matrix_groups(names):
    """What belongs together: ``{path without the role: {"matrix": name, "barcodes": name or None, "genes": …}}``.

    The names of cells and genes of a matrix are in its folder and begin as it does (``GSM123_barcodes.tsv``), or are
    the only ones there that can be.
    """
    folders = {}
    for name in names:
        if role := _role(name):
            folders.setdefault(str(PurePosixPath(name).parent), {}).setdefault(role[0], {})[name] = role[1]
    groups = {}
    for folder, roles in folders.items():
        for matrix, prefix in roles.get("matrix", {}).items():
            of_role = {role: _fitting(roles.get(role, {}), prefix) for role in ("barcodes", "genes")}
            alone = len(roles["matrix"]) == 1 and not prefix
            label = PurePosixPath(folder) if alone or not prefix else PurePosixPath(folder, prefix)
            groups[str(label)] = {"matrix": matrix, **of_role}
    return groups


def _fitting(files, prefix):
    """The file whose name begins as that of the matrix; else the only one whose beginning does not contradict it."""
    same = [name for name, other in files.items() if other == prefix]
    near = [name for name, other in files.items() if other.startswith(prefix) or prefix.startswith(other)]
    return next((found[0] for found in (same, near) if len(found) == 1), None)


def read_parts(place, members, group):
    """The table of one group of :func:`matrix_groups`.

    Parameters
    ----------
    place : Path or str
        The folder or archive.
    members : dict
        ``{name: Path, or function that gives the bytes}``
    group : dict
        ``{role: name}``
    """

    def part(role, read):
        name = group[role]
        if name is None:
            found = ", ".join(sorted(PurePosixPath(name).name for name in members)[:8])
            raise InvalidDataset(
                f"{place} has no {NAMES[role]} for {PurePosixPath(group['matrix']).name} (it has: {found}): put it "
                "beside the matrix, under the same beginning of its name."
            )
        where = members[name] if isinstance(members[name], Path) else f"{place}/{name}"
        with readable(where):
            content = members[name] if isinstance(members[name], Path) else io.BytesIO(members[name]())
            with unpacked(content) as stream:
                refuse_foreign(stream.read(512), where)
                stream.seek(0)
                return read(stream.read(), where)

    cells = part("barcodes", _lines)
    features = part("genes", _lines)
    X = part("matrix", read_mtx)
    cells, ids, symbols = cells[0], features[0], features[min(1, len(features) - 1)]
    if X.shape == (len(cells), len(ids)) and X.shape[0] != X.shape[1] and looks_like(cells, ids) == "cells":
        X = X.T  # kallisto writes cells in rows
    if X.shape != (len(ids), len(cells)):
        raise InvalidDataset(
            f"The matrix of {place} is {X.shape[0]} × {X.shape[1]}, but there are {len(ids)} genes and {len(cells)} "
            f"barcodes: {_why(X.shape, len(ids), len(cells))}."
        )
    kinds = features[2] if len(features) > 2 else []
    return expression_table(X.T.tocsr(), cells, ids, symbols, kinds, place)


def _why(shape, n_genes, n_cells):
    if shape == (n_cells, n_genes):
        return "genes and cells are swapped"
    if all(more - n in (0, 1) for n, more in zip(shape, (n_genes, n_cells), strict=True)):
        return "a list of names has a line too many, remove it where it is a header"
    return "a file is cut off or foreign, download them again"


def expression_table(X, cells, ids, symbols, kinds, place):
    """The genes of a matrix of cells × features; antibodies go to ``obsm["protein"]``.

    Parameters
    ----------
    X : scipy.sparse.csr_matrix, shape (n_cells, n_features)
    cells, ids, symbols : sequence of str
    kinds : sequence of str
        Per feature, "Gene Expression", "Antibody Capture", …; where it holds none of these it says something else, and
        every feature is a gene.
    place : Path or str
    """
    kinds, ids, symbols = np.array(kinds, dtype=str), np.array(ids), np.array(symbols)
    if not set(kinds) & KINDS:
        kinds = np.full(len(ids), "Gene Expression")
    expression = kinds == "Gene Expression"
    if not expression.any():
        raise InvalidDataset(
            f"{place} counts no genes ('Gene Expression'), but {', '.join(sorted(set(kinds)))}: name a file with genes."
        )
    antibodies = kinds == "Antibody Capture"
    obsm = {"protein": X[:, antibodies].toarray()} if antibodies.any() else {}
    var = pd.DataFrame({"symbol": symbols[expression]}, index=ids[expression])
    return Table(X[:, np.flatnonzero(expression)], cells=np.array(cells), genes=ids[expression], var=var, obsm=obsm)


def read_mtx(content, place):
    """A MatrixMarket file as a sparse matrix of the shape it states."""
    header, _, body = content.partition(b"\n")
    words = header.decode("latin-1").lower().split()
    if words[:1] != ["%%matrixmarket"]:
        raise InvalidDataset(f"{place} is not a MatrixMarket file: download it again.")
    if words[1:3] != ["matrix", "coordinate"] or words[3:] not in (["integer", "general"], ["real", "general"]):
        raise InvalidDataset(
            f"{place} is '{' '.join(words[1:])}', where 10x writes 'matrix coordinate integer general': convert it, or "
            "download it again."
        )
    while body.lstrip().startswith(b"%") or body[:1].isspace():
        body = body.partition(b"\n")[2]
    announced, _, body = body.partition(b"\n")
    n_rows, n_columns, n_entries = (int(word) for word in announced.split())
    # Not scipy's mmread: it writes past its arrays where a damaged file has more entries than it announces.
    names = ["row", "column", "value"]
    entries = pd.read_csv(io.BytesIO(body), sep=r"\s+", header=None, names=names, index_col=False, comment="%")
    if len(entries) != n_entries or entries.isna().to_numpy().any():
        raise InvalidDataset(
            f"{place} has {len(entries.dropna())} of {n_entries} entries: it is cut off or damaged, download it again."
        )
    row, column = (entries[name].to_numpy() for name in names[:2])
    for index, n in ((row, n_rows), (column, n_columns)):
        if index.dtype.kind != "i" or (index.size and not 1 <= index.min() <= index.max() <= n < 2**31):
            raise InvalidDataset(f"{place} has an entry outside its {n_rows} × {n_columns}: it is damaged.")
    values = pd.to_numeric(entries["value"]).to_numpy()
    return sp.coo_matrix((values, (row - 1, column - 1)), shape=(n_rows, n_columns))


def _lines(content, place):
    """The columns of a list of names, with or without quotes; without the row numbers that R writes before them."""
    lines = [line for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    if not lines:
        raise InvalidDataset(f"{place} holds no names: download it again.")
    separator = "\t" if without_ending(str(place)).endswith(".tsv") or "\t" in lines[0] else ","
    rows = [next(csv.reader([line], delimiter=separator)) for line in lines]
    if (
        len(rows) > 1
        and rows[0][0] != "0"
        and [row[0] for row in rows[1:]] == [str(number) for number in range(1, len(rows))]
    ):
        del rows[0]  # the header that R writes above row numbers
    width = min(map(len, rows))
    columns = [[row[i].strip() for row in rows] for i in range(width)]
    if width > 1 and columns[0] == [str(number) for number in range(1, len(rows) + 1)]:
        del columns[0]
    return columns
