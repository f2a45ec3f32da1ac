"""CBMC: 8,617 cord blood cells with 13 surface proteins (CITE-seq, GSE100866; paper §2.5)."""

import numpy as np
import pandas as pd

from .base import InvalidDataset, compare_with_paper, make_dataset
from .io.cache import remembered
from .io.fetch import gather
from .io.formats.table import readable
from .io.formats.text import read_text
from .io.select import top_genes


def load(
    path=None, download=False, n_genes=600, keep_mouse_cells=True, protein="clr", data_dir=None, files=None, expect=None
):
    """The CBMC dataset.

    Parameters
    ----------
    path : str or Path, optional
        Folder with the user's own copies of the files.
    download : bool
        Fetch what is not in the data folder.
    n_genes : int or None
        Genes with the highest standard deviation of raw counts over all cells (600 in the paper).
    keep_mouse_cells : bool
        Keep the mouse cells that were mixed in as a control, as the paper does. If False, both they and the mouse
        genes go.
    protein : {"clr", "counts"}
        What ``obsm["protein"]`` holds: the deposited centred log-ratios (as in the paper; log(1 + count) minus its
        mean over the proteins of the cell) or raw counts.
    data_dir : str or Path, optional
    files : dict
        ``rna``, ``adt``, ``clr`` (tables of GEO) and ``clusters``.
    expect : dict, optional
        The paper's numbers.

    Returns
    -------
    anndata.AnnData, 8617 × n_genes
        ``obs["label"]``: 13 types, the mouse cells and one unknown among them. ``obsm``: ``protein`` as chosen,
        ``protein_counts`` and ``protein_clr``; ``uns["proteins"]`` names their columns.
    """
    if protein not in ("clr", "counts"):
        raise InvalidDataset(f"protein={protein!r} is neither 'clr' nor 'counts'.")
    found = gather(files, path, download, data_dir)
    where, digest = found["rna"]

    def build():
        with readable(where):
            text = read_text(where, genes_in="rows")
        return {"counts": text.counts, "cells": text.cells, "genes": text.genes}

    parsed = remembered(f"cbmc-{digest[:16]}", data_dir, build)
    counts, cells, genes = parsed["counts"], parsed["cells"], parsed["genes"]
    file_genes = len(genes)
    raw, clr = _proteins(found["adt"][0], cells), _proteins(found["clr"][0], cells)
    if list(raw.columns) != list(clr.columns):
        raise InvalidDataset(f"{found['adt'][0].name} and {found['clr'][0].name} name other proteins: one is foreign.")
    if (raw < 0).to_numpy().any() or (raw % 1 != 0).to_numpy().any():
        raise InvalidDataset(f"{found['adt'][0]} holds values that are no counts: are the two protein tables swapped?")
    labels = _labels(found["clusters"][0], cells)
    steps = []
    if not keep_mouse_cells:
        rows = np.flatnonzero(labels != "Mouse")
        human = np.flatnonzero(~np.char.startswith(genes.astype(str), "MOUSE_"))
        steps.append(f"dropped {len(cells) - len(rows)} mouse cells and {len(genes) - len(human)} mouse genes")
        counts, cells, genes, labels = counts[rows][:, human], cells[rows], genes[human], labels[rows]
        raw, clr = raw.iloc[rows], clr.iloc[rows]
    keep = top_genes(counts, n_genes)
    if n_genes is not None:
        steps.append(f"kept the {n_genes} genes with the highest SD of raw counts over all cells")
    adata = make_dataset(
        counts[:, keep],
        cells=cells,
        genes=genes[keep],
        obs={"label": labels},
        obsm={
            "protein": (clr if protein == "clr" else raw).to_numpy(float),
            "protein_counts": raw.to_numpy(float),
            "protein_clr": clr.to_numpy(float),
        },
        source={
            "name": "cbmc",
            "origin": "The tables of GSE100866 (RNA, proteins, their log-ratios) with the cell types of the authors.",
            "sha256": {key: digest for key, (_, digest) in found.items()},
            "steps": steps,
        },
    )
    adata.uns["proteins"] = list(clr.columns)
    own = path is not None or not keep_mouse_cells
    return compare_with_paper(adata, expect, own_files=own, files=files, file_genes=file_genes)


def _proteins(path, cells):
    """Proteins of the given cells, one row per cell, from a table with proteins in rows."""
    with readable(path):
        table = pd.read_csv(path, index_col=0).T
        if not all(np.issubdtype(dtype, np.number) for dtype in table.dtypes):
            raise InvalidDataset(f"{path} is not a table of numbers: it is not the protein table of GSE100866.")
    return _aligned(table, cells, path)


def _labels(path, cells):
    """Cell types of the given cells from a table of barcode and type without a header."""
    with readable(path):
        table = pd.read_csv(path, index_col=0, header=None)
        if table.shape[1] != 1:
            raise InvalidDataset(f"{path} has {table.shape[1] + 1} columns, not barcode and type: it is another file.")
    return _aligned(table, cells, path)[1].to_numpy(str)


def _aligned(table, cells, path):
    missing = ~pd.Index(cells).isin(table.index)
    if missing.any():
        raise InvalidDataset(
            f"{path} says nothing of {missing.sum()} of the {len(cells)} cells (the first is {cells[missing][0]}): "
            "it belongs to other data."
        )
    return table.loc[cells]
