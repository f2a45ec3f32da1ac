"""What a method answers, checked: one sentence that names what came and what is asked, before anything is scored.

A complex number would be scored by its real part, a sparse matrix is an object without a shape to NumPy, and a number
that is not finite would hide in a median.
"""

import numpy as np
import pandas as pd
import scipy.sparse as sp

# What an answer is an array of; None: any number of them from 1. `n_cells` and `n_genes` are those of the question.
SHAPES = {
    "latent": ("n_cells", None),
    "impute": ("n_cells", "n_genes"),
    "loglik": ("n_cells",),
    "marginal_loglik": ("n_cells",),
    "sample": (None, "n_cells", "n_genes"),
    "correct": ("n_cells", "n_genes"),
    "clusters": ("n_cells",),
    "embed": ("n_cells", 2),
}
# Expected counts, and counts. What comes back from log(c + counts) may be as low as -c, and c is at most 1.
LOWEST = {"impute": -1.0, "sample": 0.0}


def check_answer(name, answer, shape):
    """Return what a method answered as an array.

    Parameters
    ----------
    name : str
        The capability, one of `SHAPES`.
    answer : object
    shape : (n_cells, n_genes)
        Of the counts that it was asked about.

    Raises
    ------
    ValueError
        It is no array of finite real numbers of the shape that is asked, or has a negative count (imputed: one below
        -1).
    """
    sizes = dict(zip(("n_cells", "n_genes"), shape, strict=True))
    asked = [sizes.get(size, size) for size in SHAPES[name]]
    form = ", ".join(str(size) if size else f"n_{name}" for size in asked)
    wanted = f"return a dense array of real numbers of shape ({form})"
    array = _array(name, answer, wanted)
    fits = array.ndim == len(asked) and all(
        there == size if size else there > 0 for there, size in zip(array.shape, asked, strict=True)
    )
    if not fits:
        what = f"{shape[0]} cells" + ("" if shape[1] is None else f" × {shape[1]} genes")
        raise ValueError(f"{name}() returned shape {array.shape} for {what}: {wanted}.")
    if not array.size:
        return array
    lowest, highest = array.min(), array.max()  # either is NaN where one value is
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        wrong = ~np.isfinite(array)
        raise ValueError(
            f"{name}() returned {array[_first(wrong)]} for {_place(name, wrong)} (values that are not finite: "
            f"{wrong.sum():,}): return finite numbers alone."
        )
    if lowest < LOWEST.get(name, -np.inf):
        wrong = array < 0
        raise ValueError(
            f"{name}() returned {array[_first(wrong)]} for {_place(name, wrong)} (negative values: {wrong.sum():,}): "
            "return counts, which are not negative."
        )
    return array


def check_table(answer, n_genes):
    """Return what ``compare`` answered; ValueError where it is not a data frame with a score for every gene."""
    asked = f"return a pandas data frame of {n_genes} rows with the columns score and log_fold_change"
    if not isinstance(answer, pd.DataFrame):
        raise ValueError(f"compare() returned {_kind(answer)}: {asked}.")
    missing = [name for name in ("score", "log_fold_change") if name not in answer]
    if missing or len(answer) != n_genes:
        raise ValueError(f"compare() returned {len(answer)} rows with the columns {', '.join(answer)}: {asked}.")
    for name in {"score", "log_fold_change", "pvalue"} & set(answer):
        if answer[name].dtype.kind not in "biuf":
            raise ValueError(
                f"compare() returned {answer[name].dtype} in the column {name}: return real numbers there."
            )
    return answer


def _array(name, answer, wanted):
    if answer is None or sp.issparse(answer) or isinstance(answer, np.ma.MaskedArray):
        raise ValueError(f"{name}() returned {_kind(answer)}: {wanted}.")
    try:
        array = np.asarray(answer)
    except Exception as error:  # of a tensor on a GPU, or lists of unequal lengths
        raise ValueError(f"{name}() returned {_kind(answer)} that is no array: {wanted}.") from error
    if array.dtype.kind not in "biuf":
        kinds = {"c": "complex numbers", "O": "Python objects", "U": "text", "S": "text"}
        what = f"{_kind(answer)} of {kinds.get(array.dtype.kind, array.dtype)}" if array.ndim else _kind(answer)
        raise ValueError(f"{name}() returned {what}: {wanted}.")
    return array


def _kind(answer):
    return "None" if answer is None else f"a {type(answer).__name__}"


def _first(wrong):
    return np.unravel_index(wrong.argmax(), wrong.shape)


def _place(name, wrong):
    """Where the first of the wrong values stands: "cell 0 and gene 3"."""
    last = {"latent": "dimension", "embed": "dimension"}.get(name, "gene")
    names = ("draw", "cell", last)[-wrong.ndim :] if wrong.ndim > 1 else ("cell",)
    return " and ".join(f"{part} {place}" for part, place in zip(names, _first(wrong), strict=True))
