"""Counts that stay on disk: the cells that are asked for are read from the files, which are not mapped into memory."""

import json
import os
import weakref
from pathlib import Path

import numpy as np
import scipy.sparse as sp


class StoredCounts:
    """A CSR matrix (cells in rows) whose counts and column numbers stay in their files.

    ``X[rows]`` and ``X[start:stop]`` are matrices of the same kind, of some of the cells; nothing is read before
    `tocsr`. In memory are 8 bytes per cell, its place in the files; a matrix of chosen rows takes 16.

    Parameters
    ----------
    data, indices : Column
    starts, stops : arrays of int, shape (n_cells,)
        The entries of each cell.
    n_genes : int

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from scvi_core import StoredCounts
    >>> X = sp.csr_matrix(np.array([[1, 0, 5], [3, 2, 0]]))
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("data", "indices", "indptr"):
    ...     np.save(folder / f"{name}.npy", getattr(X, name))
    >>> _ = (folder / "about.json").write_text(json.dumps({"shape": X.shape}))
    >>> stored = StoredCounts.open(folder)
    >>> stored.shape
    (2, 3)
    >>> stored[1:].toarray()  # read from the files now
    array([[3, 2, 0]])
    """

    def __init__(self, data, indices, starts, stops, n_genes):
        self.data, self.indices, self.starts, self.stops = data, indices, starts, stops
        self.shape, self.dtype = (len(starts), n_genes), data.dtype

    @classmethod
    def open(cls, folder):
        """The counts in a folder with ``data.npy``, ``indices.npy``, ``indptr.npy`` and the shape in ``about.json``."""
        folder = Path(folder)
        n_genes = json.loads((folder / "about.json").read_text())["shape"][1]
        indptr = np.load(folder / "indptr.npy").astype(np.int64, copy=False)
        data, indices = (Column.of_file(folder / f"{name}.npy") for name in ("data", "indices"))
        return cls(data, indices, indptr[:-1], indptr[1:], n_genes)

    @classmethod
    def of_mapped(cls, X):
        """The counts of a CSR matrix that numpy has mapped into memory; None where it is not one."""
        data, indices = (Column.of_mapped(array) for array in (X.data, X.indices))
        if data is None or indices is None:
            return None
        return cls(data, indices, X.indptr[:-1].astype(np.int64), X.indptr[1:].astype(np.int64), X.shape[1])

    def __getitem__(self, rows):
        return StoredCounts(self.data, self.indices, self.starts[rows], self.stops[rows], self.shape[1])

    @property
    def indptr(self):
        """Where each cell begins in `tocsr`."""
        return np.concatenate([[0], np.cumsum(self.stops - self.starts)])

    def tocsr(self):
        """Read the cells: scipy.sparse.csr_matrix."""
        indptr = self.indptr
        data, indices = (np.empty(indptr[-1], dtype=column.dtype) for column in (self.data, self.indices))
        first, last = self._runs()
        runs = (self.starts[first], indptr[first], indptr[last + 1])
        for start, begin, end in np.stack(runs, axis=1)[np.argsort(runs[0])].tolist():  # front to back
            self.data.read(start, data[begin:end])
            self.indices.read(start, indices[begin:end])
        return sp.csr_matrix((data, indices, indptr), shape=self.shape)

    def toarray(self):
        """Read the cells: array (n_cells, n_genes)."""
        return self.tocsr().toarray()

    def read_ahead(self):
        """Let the system fetch the cells into its page cache in the meantime."""
        first, last = self._runs()
        for start, stop in zip(self.starts[first].tolist(), self.stops[last].tolist(), strict=True):
            self.data.read_ahead(start, stop)
            self.indices.read_ahead(start, stop)

    def _runs(self):
        """First and last rows of the cells that follow one another in the files as they do here."""
        apart = np.concatenate([[True], self.starts[1:] != self.stops[:-1], [True]])
        n_cells = self.shape[0]
        return np.flatnonzero(apart[:n_cells]), np.flatnonzero(apart[1 : n_cells + 1])


class Column:
    """An array in a file.

    Parameters
    ----------
    path : str or Path
    offset : int
        Bytes in front of the first element.
    dtype : numpy.dtype
    """

    def __init__(self, path, offset, dtype):
        self.path, self.offset, self.dtype = path, offset, dtype
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    @classmethod
    def of_file(cls, path):
        """The array of a ``.npy`` file."""
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)
            dtype = np.lib.format.read_array_header_1_0(file)[2]
            return cls(path, file.tell(), dtype)

    @classmethod
    def of_mapped(cls, array):
        """The file behind an array, None where there is none or the array need not have its contents."""
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not isinstance(root, np.memmap) or root.filename is None or root.mode == "c":
            return None
        return cls(root.filename, root.offset + array.ctypes.data - root.ctypes.data, array.dtype)

    def read(self, start, out):
        """Fill ``out`` with the elements from ``start`` on."""
        left, position = memoryview(out.view(np.uint8)), self.offset + start * self.dtype.itemsize
        while left:
            n_read = os.preadv(self._file, [left], position)
            if n_read == 0:
                raise EOFError(f"{self.path} ends early: it is damaged, write it again.")
            left, position = left[n_read:], position + n_read

    def read_ahead(self, start, stop):
        """Let the system fetch these elements; nothing where it cannot be asked."""
        if hasattr(os, "posix_fadvise"):
            size = self.dtype.itemsize
            place = self.offset + start * size, (stop - start) * size
            os.posix_fadvise(self._file, *place, os.POSIX_FADV_WILLNEED)
