"""Loom files."""

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from ...base import InvalidDataset
from .table import Table, strings


def read_loom(path, block=512):
    """A loom file: a dense matrix of genes × cells, annotations in ``row_attrs`` and ``col_attrs``."""
    with h5py.File(path, "r") as file:
        matrix = file["matrix"]
        n_cells = matrix.shape[1]
        rows = [sp.csr_matrix(matrix[:, i : i + block].T) for i in range(0, n_cells, block)]
        var, obs = (
            {key: _values(group[key][:]) for key in group if isinstance(group[key], h5py.Dataset)}
            for group in (file["row_attrs"], file["col_attrs"])
        )
    genes = next((var[key] for key in ("Gene", "var_names", "Accession", "gene") if key in var), None)
    cells = next((obs[key] for key in ("CellID", "obs_names", "cell_id", "Barcode") if key in obs), None)
    if genes is None:
        raise InvalidDataset(f"The loom file {path} names no genes (row_attrs: {', '.join(var) or 'none'}).")
    if cells is None:
        cells = np.array([f"cell_{row}" for row in range(n_cells)])
    tables = [
        pd.DataFrame({key: column for key, column in columns.items() if column.ndim == 1}, index=names)
        for columns, names in ((obs, cells), (var, genes))
    ]
    return Table(X=sp.vstack(rows, format="csr"), cells=cells, genes=genes, obs=tables[0], var=tables[1])


def _values(array):
    array = np.asarray(array)
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    return strings(array) if array.dtype.kind in "SO" else array
