"""RETINA: 26,439 mouse bipolar cells, 15 types, two batches (Shekhar et al. 2016; paper §4.9)."""

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .base import InvalidDataset, column, compare_with_paper, make_dataset
from .io.cache import remembered
from .io.fetch import gather
from .io.formats.h5ad import read_h5ad
from .io.formats.table import readable
from .io.formats.text import read_text

# Clusters 1 to 15 of ClustAssignFile.txt, in order; the higher ones are no identified type.
TYPES = (
    "RBC", "MG", "BC5A", "BC7", "BC6", "BC5C", "BC1A", "BC3B", "BC1B", "BC2", "BC5D", "BC3A", "BC5B", "BC4", "BC8_9",
)  # fmt: skip
SECOND_BATCH = ("Bipolar5", "Bipolar6")


def load(origin="geo", path=None, download=False, data_dir=None, files=None, expect=None):
    """The RETINA dataset.

    Parameters
    ----------
    origin : {"geo", "h5ad"}
        ``geo``: the count table of GSE81904 and the authors' clusters, through the filter of the original pipeline
        (all 26,439 cells). ``h5ad``: the public file of scvi-tools, which is the training part of the split (19,829).
    path : str or Path, optional
        The user's own copy: a folder with the files, or, for ``h5ad``, the file.
    download : bool
        Fetch what is not in the data folder.
    data_dir : str or Path, optional
    files : dict
        ``geo`` (count table), ``clusters``, ``h5ad``.
    expect : dict, optional
        The paper's numbers, for either origin: ``{"geo": {...}, "h5ad": {...}}``.

    Returns
    -------
    anndata.AnnData, 26439 × 13166
        Cells in the order of the cluster file, on which the authors' split depends. ``obs``: ``label`` (15),
        ``batch`` (Bipolar1-4, Bipolar5-6).
    """
    if origin not in ("geo", "h5ad"):
        raise InvalidDataset(f"origin={origin!r} is neither 'geo' nor 'h5ad'.")
    needed = ("geo", "clusters") if origin == "geo" else ("h5ad",)
    files = {key: files[key] for key in needed}
    found = gather(files, path, download, data_dir)
    build = _from_geo if origin == "geo" else _from_h5ad
    adata = build(found, data_dir)
    expect = (expect or {}).get(origin)
    return compare_with_paper(adata, expect, own_files=path is not None, files=files, genes=adata.n_vars)


def _from_geo(found, data_dir):
    (where, digest), (table, _) = found["geo"], found["clusters"]
    clusters = _clusters(table)

    def build():
        with readable(where):
            text = read_text(where, genes_in="rows")
        return {"counts": text.counts, "cells": text.cells, "genes": text.genes}

    parsed = remembered(f"retina-{digest[:16]}", data_dir, build)
    cells, genes = original_filter(parsed["counts"], parsed["genes"])
    rows = pd.Series(cells, index=parsed["cells"][cells])
    named = clusters.index.isin(rows.index) & (clusters <= len(TYPES)).to_numpy()
    if not named.any():
        raise InvalidDataset(f"No cell of {where} that passes the filter is in {table}: one belongs to other data.")
    clusters = clusters[named]
    return make_dataset(
        parsed["counts"][rows[clusters.index].to_numpy()][:, genes],
        cells=clusters.index,
        genes=parsed["genes"][genes],
        obs={
            "label": [TYPES[cluster - 1] for cluster in clusters],
            "batch": np.where(clusters.index.str.split("_").str[0].isin(SECOND_BATCH), "Bipolar5-6", "Bipolar1-4"),
        },
        source={
            "name": "retina",
            "origin": "The count table of GSE81904 through the filter of its authors, with their clusters.",
            "sha256": {key: digest for key, (_, digest) in found.items()},
            "steps": [
                f"kept {len(cells)} of {len(parsed['cells'])} cells: under 10% mitochondrial counts, over 500 genes",
                f"kept {len(genes)} genes: in over 30 cells, over 60 counts, none of 5000 or more in a cell",
                f"kept the {len(clusters)} cells of clusters 1 to {len(TYPES)}",
            ],
        },
    )


def original_filter(counts, genes):
    """Cells and genes that pass the filter of the original pipeline (authors' RETINA.R and class.R).

    Parameters
    ----------
    counts : scipy.sparse.csr_matrix, shape (n_cells, n_genes)
    genes : ndarray of str

    Returns
    -------
    cells, genes : ndarray of int
        Rows with under 10% of their counts in genes named ``mt-`` and over 500 genes; columns that in these rows
        are counted in over 30 cells, over 60 times, and never 5,000 times or more in one cell.
    """
    mitochondrial = np.flatnonzero(np.char.find(genes.astype(str), "mt-") >= 0)
    total = np.asarray(counts.sum(axis=1)).ravel()
    share = np.asarray(counts[:, mitochondrial].sum(axis=1)).ravel() / np.maximum(total, 1)
    cells = np.flatnonzero((share < 0.1) & (np.diff(counts.indptr) > 500))
    kept = counts[cells].tocsc()
    n_cells, n_counts = np.diff(kept.indptr), np.asarray(kept.sum(axis=0)).ravel()
    largest = sp.csc_matrix.max(kept, axis=0).toarray().ravel() if cells.size else np.zeros(len(genes))
    return cells, np.flatnonzero((n_cells > 30) & (n_counts > 60) & (largest < 5000))


def _clusters(path):
    with readable(path):
        table = pd.read_csv(path, sep="\t", index_col=0)
        clusters = table.get("CLUSTER")
        if clusters is None or not np.issubdtype(clusters.dtype, np.integer) or not clusters.index.is_unique:
            raise InvalidDataset(f"{path} does not give one cluster number per cell: it is not ClustAssignFile.txt.")
    return clusters


def _from_h5ad(found, _):
    where, digest = found["h5ad"]
    with readable(where):
        table = read_h5ad(where)
    labels, batch = column(table.obs, "labels", "label"), column(table.obs, "batch", "batch")
    if np.issubdtype(labels.dtype, np.number):
        labels = labels.map(dict(enumerate(TYPES)))
    return make_dataset(
        table.X,
        cells=table.cells,
        genes=table.genes,
        obs={"label": labels.to_numpy(), "batch": batch.to_numpy()},
        source={
            "name": "retina",
            "origin": "The file retina.h5ad of scvi-tools: the training part, 75%, of the authors' split of the cells.",
            "sha256": digest,
            "steps": [f"read {where.name}"],
        },
    )
