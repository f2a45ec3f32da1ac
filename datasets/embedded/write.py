"""Write a file of this folder: exact integers, compressed as far as the standard library can."""

import io
import zipfile

import numpy as np

from . import HERE


def arrays_of(adata, obs=(), var=(), obsm=()):
    """The arrays that :func:`datasets.embedded.load` reads back, of an AnnData with the named slots."""
    return {
        "counts": adata.X.toarray().T,  # genes in rows compress better
        "cells": adata.obs_names.to_numpy(dtype=str),
        "genes": adata.var_names.to_numpy(dtype=str),
        **{f"obs.{key}": _plain(adata.obs[key]) for key in obs},
        **{f"var.{key}": _plain(adata.var[key]) for key in var},
        **{f"obsm.{key}": np.asarray(adata.obsm[key]) for key in obsm},
    }


def _plain(column):
    return column.to_numpy(dtype=str if column.dtype.kind in "OU" or column.dtype.name == "category" else None)


def write(file, arrays):
    """Write ``arrays`` to ``file``, the same bytes for the same arrays; ``counts`` in the smallest unsigned integers.

    The file is an ordinary .npz, its members compressed by LZMA: numpy reads it.
    """
    counts = arrays["counts"]
    arrays = {**arrays, "counts": np.ascontiguousarray(counts.astype(np.min_scalar_type(counts.max())))}
    with zipfile.ZipFile(HERE / file, "w") as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), compress_type=zipfile.ZIP_LZMA)


def same(file, arrays):
    """Whether ``file`` holds these arrays."""
    with np.load(HERE / file) as stored:
        return set(stored) == set(arrays) and all(np.array_equal(stored[key], arrays[key]) for key in arrays)
