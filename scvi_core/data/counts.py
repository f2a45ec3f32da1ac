"""Checks on count matrices: one sentence that names the place and the fix, before any fitting starts."""

import itertools

import numpy as np
import scipy.sparse as sp

from .on_disk import StoredCounts

BLOCK = 1 << 20  # counts on disk that are looked at together
LARGEST = 2**53  # beyond, floats skip integers, and what does not fit in 64 bits ends up negative


class InvalidCounts(ValueError):
    """A matrix that is not one of raw counts, or names that do not identify its rows and columns.

    Examples
    --------
    >>> import numpy as np
    >>> from scvi_core import SCVI, InvalidCounts
    >>> SCVI().fit(np.array([[1.0, 0.5], [2.0, 3.0]]))
    Traceback (most recent call last):
    scvi_core.data.counts.InvalidCounts: ...
    """


def check_counts(X, *, cells=None, genes=None, allow_empty_cells=False):
    """Return ``X`` as a CSR matrix of integer counts, or say in one sentence why it is not one.

    Parameters
    ----------
    X : array, sparse matrix or StoredCounts, shape (n_cells, n_genes)
        Raw counts of any numeric type. Never modified.
    cells, genes : sequence of str, optional
        Names of the rows and columns; used in messages and checked for length and duplicates.
    allow_empty_cells : bool
        Accept cells without a single count.

    Returns
    -------
    scipy.sparse.csr_matrix, shape (n_cells, n_genes), int32 (int64 where a count does not fit)
        Sorted, without duplicates or stored zeros. A copy, except where a matrix that is mapped from a file already is
        all that: it is checked block by block, in bounded memory, and returned as it stands on disk. So is a
        `StoredCounts`, which has to be all that.

    Raises
    ------
    InvalidCounts
        Names the first offending row and column and the way to repair it.
    """
    X = X if isinstance(X, StoredCounts) else _as_csr(X)
    n_cells, n_genes = X.shape
    if n_cells == 0 or n_genes == 0:
        raise InvalidCounts(f"The count matrix is {n_cells} cells × {n_genes} genes: it needs at least one of each.")
    names = check_names(cells, n_cells, "cell"), check_names(genes, n_genes, "gene")
    if isinstance(X, StoredCounts):
        if not _is_canonical(X, *names):
            raise InvalidCounts(
                "The counts on disk are not 32-bit integers, cell by cell in the order of the genes, without zeros and "
                "duplicates: write them anew."
            )
    elif _is_mapped(X) and _is_canonical(X, *names):
        X.has_canonical_format = True
    else:
        X = _canonical(X, *names)
    empty = np.flatnonzero(np.diff(X.indptr) == 0)
    if empty.size and not allow_empty_cells:
        where = _place("cell", int(empty[0]), names[0])
        others = f" and {empty.size - 1} more" if empty.size > 1 else ""
        raise InvalidCounts(f"No gene is counted in {where}{others}: remove the cells without counts first.")
    return X


def _canonical(X, cells, genes, first_row=0):
    """A checked copy of ``X``, whose rows are those of the whole matrix from ``first_row`` on."""

    def complain(bad, problem, fix):
        if bad.any():
            entry = int(np.flatnonzero(bad)[0])
            row = first_row + int(np.searchsorted(X.indptr, entry, side="right")) - 1
            place = f"{_place('cell', row, cells)}, {_place('gene', int(X.indices[entry]), genes)}"
            raise InvalidCounts(f"{problem} at {place}: {fix}.")

    if X.data.dtype.kind == "f":
        missing = "drop or repair the entry, a count is never missing"
        complain(np.isnan(X.data), "The count is NaN", missing)
        complain(np.isinf(X.data), "The count is infinite", missing)
    complain(X.data < 0, "The count is negative", "pass raw counts, not scaled or centred values")
    if X.data.dtype.kind == "f":
        complain(
            X.data != np.rint(X.data),
            "The value is not an integer",
            "the matrix looks normalised, pass the raw counts (often kept as layer=counts)",
        )
    complain(X.data > LARGEST, "The count is above 2⁵³", "repair the entry, no cell has so many molecules")
    X = _narrow(X)  # a copy of the data: X stays as it was
    X.sort_indices()
    if not X.has_canonical_format:  # the sum of several entries of one place may not fit
        X = X.astype(np.int64)
        X.sum_duplicates()
        X = _narrow(X)
    X.eliminate_zeros()
    return X


def _narrow(X):
    """A copy in 32-bit integers where they hold all counts, else in 64-bit ones."""
    largest = X.data.max() if X.nnz else 0
    return X.astype(np.int32 if largest <= np.iinfo(np.int32).max else np.int64)


def _is_canonical(X, cells, genes):
    """Whether a matrix on disk is already what its checked copy would be; looks at a block of rows at a time."""
    indptr = X.indptr
    bounds = np.searchsorted(indptr, np.arange(BLOCK, indptr[-1], BLOCK))
    bounds = np.unique([0, *bounds, X.shape[0]])
    for start, stop in itertools.pairwise(bounds):
        block = X[start:stop].tocsr()
        if block.nnz and not 0 <= block.indices.min() <= block.indices.max() < X.shape[1]:
            return False
        checked = _canonical(block, cells, genes, first_row=int(start))
        if checked.dtype != X.dtype or not np.array_equal(checked.indices, block.indices):
            return False
    return True


def _is_mapped(X):
    """Whether the counts are a file mapped into memory."""
    base = X.data
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


def check_names(names, n, kind):
    """Return ``names`` as a list of ``n`` distinct strings (None stays None), or raise InvalidCounts."""
    if names is None:
        return None
    names = [str(name) for name in names]
    if len(names) != n:
        raise InvalidCounts(f"There are {len(names)} {kind} names for {n} {kind}s: pass one name per {kind}.")
    if len(set(names)) < n:
        seen = set()
        for row, name in enumerate(names):
            if name in seen:
                raise InvalidCounts(
                    f"The {kind} name {name!r} appears twice (again at position {row}): make the {kind} names unique, "
                    f"e.g. with AnnData's {'var' if kind == 'gene' else 'obs'}_names_make_unique()."
                )
            seen.add(name)
    return names


def check_batch(batch, n_cells):
    """Return the batch labels of ``n_cells`` cells as an array of booleans, numbers or text (all alike if None).

    Raises
    ------
    InvalidCounts
        A label is missing (None, NaN, pandas.NA, masked, …), is of none of these kinds, or of another kind than the
        first one; names the row.
    """
    if batch is None:
        return np.zeros(n_cells, dtype=np.int64)
    if isinstance(batch, np.ma.MaskedArray):
        batch = np.where(np.ma.getmaskarray(batch), None, batch.data.astype(object))
    # a list as it is: numpy makes text of numbers beside text, and of NaN
    labels = np.asarray(batch, dtype=object if isinstance(batch, (list, tuple)) else None)
    if labels.shape != (n_cells,):
        raise InvalidCounts(f"The batch labels have shape {labels.shape} for {n_cells} cells: pass one label per cell.")
    if labels.dtype.kind not in "biufU":
        labels = labels if labels.dtype.kind in "mM" else labels.astype(object)
    missing = np.fromiter(map(_is_missing, labels), bool, n_cells) if labels.dtype == object else labels != labels
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise InvalidCounts(f"The batch label of the cell at row {row} is missing: label or remove the cell.")
    kinds = {kind: _kind(kind) for kind in set(map(type, labels))} if labels.dtype.kind in "OmM" else {}
    if None in kinds.values():
        row, label = next((i, label) for i, label in enumerate(labels) if kinds[type(label)] is None)
        what = f"The batch label {label!r} at row {row} is of type {type(label).__name__}"
        raise InvalidCounts(f"{what}: pass text, numbers, or True and False.")
    if len(set(kinds.values())) > 1:
        first = kinds[type(labels[0])]
        row, label = next((i, label) for i, label in enumerate(labels) if kinds[type(label)] != first)
        mixed = f"{labels[0]!r} at row 0 is {first} and {label!r} at row {row} is {kinds[type(label)]}"
        raise InvalidCounts(f"The batch labels are of several kinds, {mixed}: make all of them text.")
    return np.array(labels.tolist()) if kinds else labels


def _is_missing(label):
    try:
        return label is None or bool(label != label)  # NaN and NaT differ from themselves
    except TypeError:  # pandas.NA does not say
        return True
    except ValueError:  # an array: no label, but not missing either
        return False


def _kind(label_type):
    """What labels of a type are, in words; None where they are no labels."""
    if issubclass(label_type, (bool, np.bool_)):
        return "True or False"
    if issubclass(label_type, str):
        return "text"
    return "a number" if issubclass(label_type, (int, float, np.integer, np.floating)) else None


def _as_csr(X):
    if sp.issparse(X):
        if X.dtype.kind not in "biuf":
            raise InvalidCounts(f"The count matrix has dtype {X.dtype}: convert it to a numeric type first.")
        if X.format in ("coo", "bsr"):  # scipy sums entries of one place in the type that they have
            X = X.astype({"f": np.float64, "u": np.uint64}.get(X.dtype.kind, np.int64))
        return sp.csr_matrix(X)
    if hasattr(X, "obs_names"):
        raise InvalidCounts("This is an AnnData, not a matrix of counts: pass adata.X, or the layer with the counts.")
    if hasattr(X, "to_memory"):  # what AnnData gives of a sparse matrix in a file that is open in backed mode
        raise InvalidCounts("The count matrix is in a file that is not read yet: pass X.to_memory().")
    if getattr(X, "is_sparse", False) or getattr(X, "is_sparse_csr", False):
        raise InvalidCounts("The count matrix is a sparse tensor of PyTorch: pass a scipy.sparse matrix.")
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        X = X.astype(np.float64).filled(np.nan)  # an entry that is masked is missing
    X = np.asarray(X)
    if X.ndim != 2:
        raise InvalidCounts(f"The count matrix has {X.ndim} dimension(s): pass cells × genes.")
    if X.dtype.kind not in "biuf":
        raise InvalidCounts(f"The count matrix has dtype {X.dtype}: convert it to a numeric type first.")
    return sp.csr_matrix(X.astype(np.float32) if X.dtype == np.float16 else X)  # scipy has no sparse float16


def _place(kind, index, names):
    axis = "row" if kind == "cell" else "column"
    return f"{kind} {names[index]!r} ({axis} {index})" if names else f"{kind} in {axis} {index}"
