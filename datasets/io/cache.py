"""Counts parsed once and kept: text tables of hundreds of megabytes take minutes to read, the copy a second."""

import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from scvi_core.files.atomic import writing

from .fetch import writable_folder

PARTS = ("data", "indices", "indptr", "shape")


def remembered(stem, data_dir, build):
    """Return what ``build()`` returned the first time: a dict of arrays, of which ``counts`` is a CSR matrix.

    Parameters
    ----------
    stem : str
        Name of the copy; it must contain the hash of everything that ``build`` reads.
    data_dir : str or Path or None
        The data folder.
    build : callable
    """
    path = Path(writable_folder(data_dir)) / "cache" / f"{stem}.npz"
    stored = _load(path)
    if stored is None:
        parsed = build()
        counts = parsed["counts"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as file:
            np.savez(
                file,
                **{f"counts.{part}": getattr(counts, part) for part in PARTS},
                **{key: array for key, array in parsed.items() if key != "counts"},
            )
        return parsed
    parts = {part: stored.pop(f"counts.{part}") for part in PARTS}
    counts = sp.csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=tuple(parts["shape"]))
    return {"counts": counts, **stored}


def _load(path):
    try:
        with open(path, "rb") as stream, np.load(stream) as stored:
            return dict(stored)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # not there, or damaged: made again
