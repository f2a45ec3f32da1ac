"""Loom files."""

from collections.abc import Mapping

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from ...base import InvalidDataset
from .table import Table, strings

BLOCK = 512  # cells that are read together


def read_loom(source, place):
    """A loom file: a dense matrix of genes × cells, annotations in ``row_attrs`` and ``col_attrs``.

    Genes are called by their symbols where these are unique, else by their accessions where those are. The ``layers``
    (``spliced``, ``unspliced``, …) are read when they are asked for.
    """
    with h5py.File(source, "r") as file:
        X = _counts(file["matrix"])
        var, obs = (
            {key: _values(group[key][:]) for key in group if isinstance(group[key], h5py.Dataset)}
            for group in (file["row_attrs"], file["col_attrs"])
        )
        layers = _Layers(source, list(file.get("layers", ())))
    genes = _names(var, ("Gene", "var_names", "Accession", "gene"))
    cells = _names(obs, ("CellID", "obs_names", "cell_id", "Barcode"))
    if genes is None:
        raise InvalidDataset(f"The loom file {place} names no genes (row_attrs: {', '.join(var) or 'none'}).")
    if cells is None:
        cells = np.array([f"cell_{row}" for row in range(X.shape[0])])
    tables = [
        pd.DataFrame({key: column for key, column in columns.items() if column.ndim == 1}, index=names)
        for columns, names in ((obs, cells), (var, genes))
    ]
    return Table(X=X, cells=cells, genes=genes, obs=tables[0], var=tables[1], layers=layers)


def _counts(matrix):
    n_cells = matrix.shape[1]
    return sp.vstack([sp.csr_matrix(matrix[:, i : i + BLOCK].T) for i in range(0, n_cells, BLOCK)], format="csr")


class _Layers(Mapping):
    """The layers of a loom file; each is as large as the file, so that only what is asked for is read."""

    def __init__(self, source, names):
        self.source, self.names = source, names

    def __getitem__(self, name):
        if name not in self.names:
            raise KeyError(name)
        with h5py.File(self.source, "r") as file:
            return _counts(file["layers"][name])

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)


def _names(columns, keys):
    """The first of the columns that names every row otherwise; the first of them where none does."""
    found = [columns[key] for key in keys if key in columns]
    return next((column for column in found if len(set(column)) == len(column)), found[0] if found else None)


def _values(array):
    array = np.asarray(array)
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    return strings(array) if array.dtype.kind in "SO" else array
