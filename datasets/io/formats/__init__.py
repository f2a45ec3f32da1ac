"""One reader for the file formats that counts come in: every function returns a :class:`Table`, cells in rows."""

from pathlib import Path

import h5py
import scipy.sparse as sp

from .h5ad import read_h5ad
from .loom import read_loom
from .table import Table, readable
from .tenx import read_10x_archive, read_10x_folder, read_10x_h5
from .text import read_text


def read(path, genes_in="columns"):
    """Read counts from a file or folder, whatever its format.

    Parameters
    ----------
    path : str or Path
        ``.h5ad``; a 10x ``.h5`` (both generations); a 10x folder, or ``.tar.gz`` of one, with ``matrix.mtx``,
        ``genes.tsv`` or ``features.tsv`` and ``barcodes.tsv`` (each may be gzipped); ``.loom``; ``.csv``, ``.tsv``
        or ``.txt``, gzipped or not. What is inside decides, not the ending of the name.
    genes_in : {"columns", "rows"}
        How a text table is laid out; the other formats say so themselves.

    Returns
    -------
    Table

    Raises
    ------
    FileNotFoundError, InvalidDataset
        With one sentence on what is wrong with the file.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}: correct dataset.path.")
    with readable(path):
        if path.is_dir():
            return read_10x_folder(path)
        with open(path, "rb") as stream:
            if stream.read(8) == b"\x89HDF\r\n\x1a\n":
                return _read_hdf5(path)
        if path.name.endswith((".tar.gz", ".tgz", ".tar")):
            return read_10x_archive(path)
        text = read_text(path, genes_in)
        return Table(X=sp.csr_matrix(text.counts), cells=text.cells, genes=text.genes)


def _read_hdf5(path):
    with h5py.File(path, "r") as file:
        keys = set(file)
        is_loom = isinstance(file.get("matrix"), h5py.Dataset) and "row_attrs" in keys
        is_anndata = {"X", "obs", "var"} <= keys or {"obs", "var", "layers"} <= keys
    if is_loom:
        return read_loom(path)
    if is_anndata:
        return read_h5ad(path)
    return read_10x_h5(path)
