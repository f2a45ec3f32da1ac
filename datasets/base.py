"""The contract of a dataset: an AnnData with raw integer counts and the paper's annotations in fixed slots.

=====================  =========================================================================================
``X``                  raw counts, CSR, int32 (int64 only where a count does not fit), no empty cells
``obs["label"]``       categorical without unused levels: the cell types, where the data have them
``obs["batch"]``       categorical without unused levels, where the data have batches
``obs["split"]``       "train" or "test", where the split is part of the dataset (experiments then draw none)
``obsm["protein"]``    (n_cells, n_proteins) finite numbers, where proteins were measured
``uns["comparisons"]`` ``{name: [label, label]}``, where ``var`` holds bulk references of differential expression:
                       ``{name}_logFC`` (first over second), ``{name}_P.Value``, ``{name}_adj.P.Val``
``uns["source"]``      ``name``, fit for a file name; ``origin``, one sentence on which source was used and how it
                       differs from the paper's; ``sha256`` of the file it came from, or one per file; ``steps``,
                       what was done to it
=====================  =========================================================================================

Further slots (quality metrics, bulk references, coarser labels) are described by the loader that fills them.
"""

import hashlib
import json
import re
from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scvi_core.data.counts import InvalidCounts, check_counts, check_names

BLOCK = 10_000  # cells hashed together, so that counts on disk are hashed in bounded memory
FILE_NAME = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]*")
BULK = ("logFC", "P.Value", "adj.P.Val")


class InvalidDataset(InvalidCounts):
    """A file or an AnnData that does not hold the dataset it should."""


def make_dataset(X, *, cells, genes, source, obs=None, var=None, obsm=None, drop_empty_cells=False):
    """Assemble and check an AnnData that obeys the contract.

    Parameters
    ----------
    X : array or sparse matrix, shape (n_cells, n_genes)
        Raw counts.
    cells, genes : sequence of str
        Names of the rows and columns.
    source : dict
        ``name`` and ``origin``, and where there are ``sha256`` and ``steps``; see the module's table.
    obs, var : mapping of str to sequence, or DataFrame, optional
        Annotations per cell (``label`` and ``batch`` among them) and per gene, in the order of ``cells`` and ``genes``.
    obsm : mapping of str to array, optional
        Matrices with one row per cell.
    drop_empty_cells : bool
        Remove cells without a single count, and say so in ``uns["source"]["steps"]``.

    Returns
    -------
    anndata.AnnData

    Raises
    ------
    InvalidCounts
        With the first offending cell, gene or key and the way to repair it.
    """
    X = check_counts(X, cells=cells, genes=genes, allow_empty_cells=drop_empty_cells)
    adata = ad.AnnData(
        X,
        obs=pd.DataFrame(_columns(obs), index=pd.Index([str(cell) for cell in cells])),
        var=pd.DataFrame(_columns(var), index=pd.Index([str(gene) for gene in genes])),
        obsm={key: np.asarray(value) for key, value in (obsm or {}).items()},
    )
    steps = list(source.get("steps", []))
    if drop_empty_cells:
        filled = np.diff(X.indptr) > 0
        if not filled.all():
            adata = adata[filled].copy()
            steps.append(f"dropped {int((~filled).sum())} cells without counts")
    for key in ("label", "batch"):
        if key in adata.obs:
            adata.obs[key] = as_categories(adata.obs[key], key)
    adata.uns["source"] = {"sha256": {}, **source, "steps": steps}
    return check_dataset(adata, counts=False)  # checked above


def _columns(table):
    """Columns as they stand: those of a frame must not be matched to the cells by its index."""
    if isinstance(table, pd.DataFrame):
        return {key: column.array for key, column in table.items()}
    return dict(table or {})


def as_categories(values, key):
    """Return ``values`` as a categorical of strings without unused levels; a missing value or empty text raises."""
    values = pd.Series(values)
    gaps = np.flatnonzero(missing(values))
    if gaps.size:
        raise InvalidDataset(
            f"The {key} of cell {values.index[gaps[0]]!r} (row {gaps[0]}) is missing, as are {gaps.size - 1} others: "
            f"give every cell a {key}, or drop the cells without one (dataset.cells_with in files of your own)."
        )
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.rename_categories(str).cat.remove_unused_categories()
    return values.astype(str).astype("category")


def missing(values):
    """Where a column has no value, as an array of bool: it is missing, or text without a character that shows."""
    values = pd.Series(values)
    blank = [value for value in values.unique() if isinstance(value, str) and not value.strip()]
    return (values.isna() | values.isin(blank)).to_numpy(bool)


def check_dataset(adata, counts=True):
    """Return ``adata`` as it is if it obeys the contract, else raise with what is wrong and how to repair it.

    ``counts=False`` leaves the values of ``X`` unread, for counts on disk that were checked as they were written.
    """
    if not isinstance(adata, ad.AnnData):
        raise InvalidDataset(f"A loader must return an AnnData, but this is a {type(adata).__name__}.")
    X = adata.X
    if not (sp.issparse(X) and X.format == "csr" and X.dtype in (np.int32, np.int64)):
        kind = f"{X.format.upper()} {X.dtype}" if sp.issparse(X) else f"{type(X).__name__}"
        raise InvalidDataset(f"X is {kind}, not CSR int32: build the dataset with datasets.base.make_dataset.")
    cells = check_names(adata.obs_names, adata.n_obs, "cell")
    genes = check_names(adata.var_names, adata.n_vars, "gene")
    if counts:
        check_counts(X, cells=cells, genes=genes)
    for key in ("label", "batch"):
        if key in adata.obs:
            column = adata.obs[key]
            if not isinstance(column.dtype, pd.CategoricalDtype):
                raise InvalidDataset(f"obs[{key!r}] is {column.dtype}, not categorical: pass it to make_dataset.")
            as_categories(column, key)
            unused = set(column.cat.categories) - set(column.unique())
            if unused:
                raise InvalidDataset(f"obs[{key!r}] has levels without cells ({sorted(unused)[0]!r}): remove them.")
    if "protein" in adata.obsm:
        protein = np.asarray(adata.obsm["protein"], dtype=float)
        bad = np.flatnonzero(~np.isfinite(protein).all(axis=1)) if protein.ndim == 2 else np.array([0])
        if bad.size:
            raise InvalidDataset(
                f"obsm['protein'] of cell {cells[bad[0]]!r} (row {bad[0]}) is not finite: drop the cell or the protein."
            )
    other = set(adata.obs["split"]) - {"train", "test"} if "split" in adata.obs else set()
    if other:
        raise InvalidDataset(f"obs['split'] holds {min(map(str, other))!r}: name each cell's part 'train' or 'test'.")
    _check_comparisons(adata)
    _check_source(adata.uns.get("source"))
    return adata


def _check_comparisons(adata):
    labels = adata.obs["label"].cat.categories if "label" in adata.obs else []
    for name, groups in adata.uns.get("comparisons", {}).items():
        if len(groups) != 2 or len(set(groups)) != 2:
            raise InvalidDataset(f"The comparison {name} is {list(groups)}: name two different labels, [label, label].")
        for group in groups:
            if group not in labels:
                raise InvalidDataset(
                    f"The comparison {name} names {group!r}, which is not a label: the labels are "
                    f"{', '.join(labels) or 'not given'}."
                )
        for part in BULK:
            column(adata.var, f"{name}_{part}", "var")


def compare_with_paper(adata, expect, own_files, files=None, **of_file):
    """Hold a dataset against the numbers of the paper; return it with any difference in ``uns["source"]["origin"]``.

    Parameters
    ----------
    adata : anndata.AnnData
    expect : dict or None
        Any of ``cells``, ``labels``, ``batches``, ``label_sizes``, and what ``of_file`` may have.
    own_files : bool
        Whether the user named the files. If not, they pass for the published ones and a difference is an error.
    files : dict, optional
        ``{key: file}`` as in the yaml: a sha256 known there and another one in ``uns["source"]`` is a difference.
    **of_file
        ``file_cells`` and ``file_genes``, before any selection; ``genes``, after it.

    Raises
    ------
    InvalidDataset
        The files are not what they pass for.
    """
    different = [f"{sentence} where the paper has {value}" for sentence, value in differences(adata, expect, **of_file)]
    digests = adata.uns["source"]["sha256"]
    for key, file in (files or {}).items():
        digest = digests.get(key) if isinstance(digests, dict) else digests
        if file.get("sha256") not in (None, digest):
            different.append(f"{file['name']} has another sha256 than the published file")
    if different and not own_files:
        raise InvalidDataset(
            f"The files of {adata.uns['source']['name']} are not the published ones ({'; '.join(different)}): remove "
            "them from the data folder and fetch them again, or name your own as dataset.path."
        )
    if different:
        origin = adata.uns["source"]["origin"].removesuffix(".")
        adata.uns["source"]["origin"] = f"{origin}; not the paper's data: {'; '.join(different)}."
    return adata


def differences(adata, expect, **of_file):
    """What ``adata`` has other than :func:`compare_with_paper`'s ``expect``: pairs (what it has, what is expected)."""
    found = {"cells": adata.n_obs, **of_file}
    for slot, key in (("label", "labels"), ("batch", "batches")):
        if slot in adata.obs:
            found[key] = adata.obs[slot].nunique()
    if "label" in adata.obs:
        found["label_sizes"] = {str(label): int(n) for label, n in adata.obs["label"].value_counts().items()}
    said = {"file_cells": "cells in the file", "file_genes": "genes in the file", "label_sizes": "cells per label"}
    return [
        (f"{found[key]} {said.get(key, key)}", value)
        for key, value in (expect or {}).items()
        if value is not None and found.get(key) is not None and found[key] != value
    ]


def _check_source(source):
    if not isinstance(source, dict):
        raise InvalidDataset("uns['source'] is missing: state name, origin, sha256 and steps.")
    for key in ("name", "origin", "sha256", "steps"):
        if key not in source:
            raise InvalidDataset(f"uns['source'] lacks {key!r}: state name, origin, sha256 and steps.")
    if not FILE_NAME.fullmatch(source["name"]):
        raise InvalidDataset(
            f"The name {source['name']!r} of the dataset cannot be part of a file name: use letters, digits, - and _, "
            "e.g. dataset.name=my_cells."
        )
    if isinstance(source["steps"], str) or not isinstance(source["steps"], Sequence | np.ndarray):
        raise InvalidDataset("uns['source']['steps'] is not a list of sentences: state what was done, step by step.")


def content_hash(adata):
    """sha256 of everything an experiment can read: counts, names, annotations, proteins, comparisons of labels.

    It does not depend on the numeric type of the counts or annotations, on the order of the entries in a row, on
    stored zeros, or on where the data came from.
    """
    digest = hashlib.sha256()

    def add(name, payload):
        digest.update(f"{name}:{len(payload)}:".encode())  # the length keeps neighbouring fields apart
        digest.update(payload)

    add("shape", json.dumps(list(adata.shape)).encode())
    for start in range(0, adata.n_obs, BLOCK):
        X = check_counts(adata.X[start : start + BLOCK], allow_empty_cells=True)
        for name in ("indptr", "indices", "data"):
            add(name, getattr(X, name).astype("<i8").tobytes())
    for name, frame in (("obs", adata.obs), ("var", adata.var)):
        add(name, json.dumps([str(label) for label in frame.index]).encode())
        for column in sorted(frame.columns):
            add(f"{name}.{column}", _column_bytes(frame[column]))
    for key in sorted(adata.obsm):
        add(f"obsm.{key}", np.asarray(adata.obsm[key], dtype="<f8").tobytes())
    if len(adata.uns.get("comparisons", {})):
        groups = {name: list(map(str, pair)) for name, pair in adata.uns["comparisons"].items()}
        add("comparisons", json.dumps(groups, sort_keys=True).encode())
    return digest.hexdigest()


def _column_bytes(column):
    if pd.api.types.is_numeric_dtype(column.dtype) and not isinstance(column.dtype, pd.CategoricalDtype):
        return column.to_numpy(dtype="<f8").tobytes()
    return json.dumps([None if value != value else str(value) for value in column]).encode()


def column(frame, key, kind):
    """Return the column ``key`` of ``frame``, or raise with the columns that there are."""
    if key not in frame.columns:
        there = ", ".join(map(str, frame.columns)) or "none at all"
        raise InvalidDataset(f"There is no {kind} column {key!r}; the columns are: {there}.")
    return frame[key]


def sha256_of(path):
    """sha256 of a file, as hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
