"""Counts on disk, cell after cell: three plain ``.npy`` files that numpy maps into memory, and what names them.

A store is a folder with ``data.npy``, ``indices.npy`` and ``indptr.npy`` (a CSR matrix, cells in rows), ``cells.txt``,
``genes.txt``, one ``obs.NAME.npy`` or ``var.NAME.npy`` per annotation, and ``about.json``. It is written once, from
start to end, in bounded memory, and appears under its name only when it is whole.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scvi_core.data.on_disk import StoredCounts

from ..base import InvalidDataset, as_categories, check_dataset

HEADER_BYTES = 128
INT32_MAX = np.iinfo(np.int32).max
COPY_BLOCK = 1 << 22


class NpyStream:
    """A one-dimensional ``.npy`` file written front to back, its length known only at the end."""

    def __init__(self, file, dtype):
        self.file, self.dtype, self.length = file, np.dtype(dtype), 0
        self.file.write(b"\0" * HEADER_BYTES)

    def append(self, values):
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.length += len(values)

    def close(self):
        """Write the header that numpy expects, padded to a fixed size, and let go of the file."""
        text = repr({"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)})
        size = HEADER_BYTES - 10
        self.file.seek(0)
        self.file.write(b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + text.ljust(size - 1).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()


class StoreWriter:
    """Appends cells to a store; use through :func:`create_store`."""

    def __init__(self, folder, n_genes, open_files):
        self.folder, self.n_genes, self.n_cells, self.open_files = folder, n_genes, 0, open_files
        self.data = self._npy("data", np.int32)
        self.indices = self._npy("indices", np.int32)
        self.indptr = self._npy("indptr", np.int64)
        self.indptr.append([0])
        self.cells = open_files.enter_context((folder / "cells.txt").open("w"))
        self.columns = {}

    def _npy(self, name, dtype):
        return NpyStream(self.open_files.enter_context(open(self.folder / f"{name}.npy", "wb")), dtype)

    def append(self, data, indices, indptr, cells, obs=None):
        """Add cells: the parts of a CSR matrix with sorted indices and positive counts, names, annotations."""
        data, indptr = np.asarray(data), np.asarray(indptr, dtype=np.int64)
        if data.size and not (data.min() > 0 and data.max() <= INT32_MAX):
            bad = int(np.searchsorted(indptr, np.flatnonzero((data <= 0) | (data > INT32_MAX))[0], side="right")) - 1
            raise InvalidDataset(
                f"Cell {cells[bad]!r} has a count that is not a positive 32-bit integer: damaged file."
            )
        empty = np.flatnonzero(np.diff(indptr) == 0)
        if empty.size:
            raise InvalidDataset(f"Cell {cells[empty[0]]!r} has no counts in the chosen genes: drop such cells first.")
        self.data.append(data)
        self.indices.append(indices)
        self.indptr.append(self.data.length - len(data) + indptr[1:])
        self.cells.write("".join(f"{name}\n" for name in cells))
        self.n_cells += len(cells)
        for name, values in (obs or {}).items():
            values = np.asarray(values)
            if name not in self.columns:
                self.columns[name] = self._npy(f"obs.{name}", values.dtype)
            self.columns[name].append(values)

    def close(self, genes, source, var=None, levels=None):
        """Finish the files; ``levels`` gives the names behind integer codes in ``obs``."""
        for stream in (self.data, self.indices, self.indptr, *self.columns.values()):
            stream.close()
        self.cells.close()
        if self.data.length > INT32_MAX:  # scipy wants indices as wide as indptr: better on disk than a copy in memory
            self._widen_indices()
        (self.folder / "genes.txt").write_text("".join(f"{gene}\n" for gene in genes))
        for name, values in (var or {}).items():
            np.save(self.folder / f"var.{name}.npy", np.asarray(values))
        about = {
            "shape": [self.n_cells, self.n_genes],
            "source": source,
            "levels": levels or {},
            "obs": [*self.columns],
        }
        (self.folder / "about.json").write_text(json.dumps(about | {"var": list(var or {})}, indent=1))

    def _widen_indices(self):
        narrow = np.load(self.folder / "indices.npy", mmap_mode="r")
        wide = self._npy("wide", np.int64)
        for start in range(0, len(narrow), COPY_BLOCK):
            wide.append(narrow[start : start + COPY_BLOCK])
        wide.close()
        os.replace(self.folder / "wide.npy", self.folder / "indices.npy")


@contextlib.contextmanager
def create_store(folder, n_genes):
    """Yield a :class:`StoreWriter`; the folder takes its name when the block ends without an error."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        with contextlib.ExitStack() as open_files:
            yield StoreWriter(temporary, n_genes, open_files)
        with contextlib.suppress(OSError):  # another run finished the same store first: keep that one
            os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_store(folder, rows=None):
    """The cells of a store as an AnnData that obeys the contract.

    Parameters
    ----------
    folder : str or Path
    rows : array of int, optional
        Cells to take, in this order, into memory. None maps all of them: nothing is read before it is used.
        (`scvi_core.StoredCounts.open` opens the counts of a store without mapping them.)
    """
    folder = Path(folder)
    about = json.loads((folder / "about.json").read_text())
    shape = tuple(about["shape"])
    X = _mapped(folder, shape) if rows is None else StoredCounts.open(folder)[np.asarray(rows)].tocsr()
    cells = np.array((folder / "cells.txt").read_text().split("\n")[:-1], dtype=object)
    obs = {name: np.load(folder / f"obs.{name}.npy", mmap_mode="r") for name in about["obs"]}
    if rows is not None:
        cells, obs = cells[rows], {name: values[rows] for name, values in obs.items()}
    obs = pd.DataFrame({name: np.array(values) for name, values in obs.items()}, index=pd.Index(cells))
    for name, levels in about["levels"].items():
        obs[name] = pd.Categorical.from_codes(obs[name].to_numpy(), categories=levels)
        obs[name] = as_categories(obs[name], name)
    var = {name: np.load(folder / f"var.{name}.npy") for name in about["var"]}
    genes = pd.Index((folder / "genes.txt").read_text().split("\n")[:-1])
    adata = ad.AnnData(X, obs=obs, var=pd.DataFrame(var, index=genes))
    adata.uns["source"] = about["source"]
    return check_dataset(adata, counts=False)  # checked as they were written


def _mapped(folder, shape):
    """The whole matrix, its arrays mapped into memory."""
    data, indices, indptr = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("data", "indices", "indptr"))
    if data.size <= INT32_MAX:
        indptr = indptr.astype(np.int32)  # as wide as the indices, so that scipy takes the arrays as they are
    return sp.csr_matrix((data, indices, indptr), shape=shape, copy=False)
