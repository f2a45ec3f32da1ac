"""Values that are no counts: what they look like, where the counts are, and whether they can be rounded to counts."""

import numpy as np
import scipy.sparse as sp

from ..base import InvalidDataset

CELLS = 200  # that are looked at
LOGARITHMS = {"natural logarithms": np.e, "base-2 logarithms": 2.0, "base-10 logarithms": 10.0}
ROUNDED = 2e-3  # relative: text tables keep few digits
CORRECTED = "fractions, as SoupX, CellBender, salmon or RSEM write them"
INEXACT = "counts with errors of rounding"


def is_whole(X):
    """Whether all values are integers of at least 0."""
    values = _values(X)
    return values.dtype.kind in "biuf" and bool(
        np.isfinite(values).all() and (values >= 0).all() and not (values % 1).any()
    )


def _values(X):
    return X.data if sp.issparse(X) else np.asarray(X)


def whole_counts(X, table, places, round_counts=False):
    """``X`` where its values are integers, or not even numbers; fractions rounded where that is asked for.

    Parameters
    ----------
    X : array or sparse matrix, shape (n_cells, n_genes)
    table : datasets.io.formats.Table
        With the names of its cells and genes.
    places : dict
        ``{setting: function that gives another matrix of the file}``, for the sentence.
    round_counts : bool

    Returns
    -------
    (matrix, list of str)
        The counts, and what was done.

    Raises
    ------
    InvalidDataset
        The values are normalised, or fractions that were not asked to be rounded; with where the counts are.
    """
    if X.dtype == np.float16:
        X = X.astype(np.float32)  # scipy has no sparse matrices of less
    values = _values(X)
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        return X, []
    broken = values != np.rint(values)
    if not broken.any() and not (values < 0).any():
        return X, []
    looks = what_they_are(X)
    if looks in (CORRECTED, INEXACT) and round_counts:
        rounded = X.copy()
        (rounded.data if sp.issparse(rounded) else rounded)[...] = np.rint(values)
        return rounded, [f"rounded {int(broken.sum())} of {int((values != 0).sum())} values to whole counts"]
    X = sp.csr_matrix(X)
    entry = int(np.flatnonzero((X.data != np.rint(X.data)) | (X.data < 0))[0])
    row, at = int(np.searchsorted(X.indptr, entry, side="right")) - 1, int(X.indices[entry])
    elsewhere = [setting for setting, other in places.items() if is_whole(other())]
    remedy = "pass the raw counts"
    if elsewhere:
        remedy = f"counts are in {' and '.join(elsewhere)}"
    elif looks in (CORRECTED, INEXACT):
        remedy = "dataset.round_counts=true rounds them, or name the raw counts"
    problem = "is negative" if X.data[entry] < 0 else "is not an integer"
    raise InvalidDataset(
        f"The count {X.data[entry]:.10g} {problem} at cell {str(table.cells[row])!r} (row {row}), gene "
        f"{str(table.genes[at])!r} (column {at}), and the values look like {looks}: {remedy}."
    )


def what_they_are(X):
    """What values that are not counts look like, in words.

    In normalised counts every value of a cell is a whole multiple of what one count of that cell became, be it after
    exponentiation, or all cells have one sum, as TPM have; fractions of counts that a program estimated are not so.
    """
    X = sp.csr_matrix(X)
    if (X.data < 0).any():
        return "scaled or centred values"
    if np.allclose(X.data, np.rint(X.data), rtol=0, atol=1e-3):
        return INEXACT
    filled = np.flatnonzero(np.diff(X.indptr) > 1)
    cells = [X.data[X.indptr[row] : X.indptr[row + 1]].astype(float) for row in filled[:CELLS]]
    for said, base in LOGARITHMS.items():
        if X.data.max() < 60 and _are_normalised([base**cell - 1 for cell in cells]):
            return f"{said} of counts"
    units = [cell.min() for cell in cells]
    if _are_normalised(cells) and not np.allclose(units, np.median(units), rtol=1e-3):
        return "counts normalised by cell"
    if _are_normalised([cell**2 for cell in cells]) and not _are_normalised(cells):
        return "square roots of counts"
    return CORRECTED


def _are_normalised(cells):
    """Whether cells, each a list of values, are whole multiples of their smallest value, or have one sum."""
    sums = [cell.sum() for cell in cells]
    return _share_of_multiples(cells) > 0.7 or (len(cells) > 1 and np.allclose(sums, np.median(sums), rtol=ROUNDED))


def _share_of_multiples(cells):
    """The share of cells whose values are whole multiples of their smallest one."""
    ratios = [cell / cell.min() for cell in cells if cell.max() > cell.min() > 0]
    good = [np.allclose(ratio, np.rint(ratio), rtol=ROUNDED, atol=0) for ratio in ratios]
    return np.mean(good) if good else 0.0
