"""HEMATO: 4,016 cells of mouse bone marrow along their differentiation (Tusi et al. 2018; paper §2.3, Fig 3)."""

import numpy as np
import pandas as pd

from .base import InvalidDataset, compare_with_paper, make_dataset
from .io.cache import remembered
from .io.fetch import gather
from .io.formats.table import readable
from .io.formats.text import read_text
from .io.select import moments, top_genes

ANNOTATIONS = ("cell_id", "library_id")  # of the five columns before the counts, those that are used
LAST_ANNOTATION = "pass_filter"
FATES = ("Pr_Er", "Pr_Gr", "Pr_Ly", "Pr_DC", "Pr_Mk", "Pr_Mo", "Pr_Ba")
LEFT_OUT = "basal_bm1"


def load(path=None, download=False, version="full", data_dir=None, files=None, expect=None):
    """The HEMATO dataset.

    Parameters
    ----------
    path : str or Path, optional
        Folder with the user's own copies of the files.
    download : bool
        Fetch what is not in the data folder.
    version : {"full", "filtered"}
        ``full``: the authors' 7,397 genes. ``filtered`` (HEMATO* in the figures): of these, the 700 with the highest
        SD among those with mean > 0.05 and SD > 2 · mean.
    data_dir : str or Path, optional
    files : dict
        ``counts`` (GSM2388072), ``fates`` (SPRING coordinates and PBA potentials), ``genes`` (list).
    expect : dict, optional
        The paper's numbers.

    Returns
    -------
    anndata.AnnData, 4016 × 7397 (or × 700)
        Without library basal_bm1 and without cells that have no fate. ``obs``: ``library``, ``Potential``, the fate
        probabilities ``Pr_*`` and ``fate_contrast`` = logit(Pr_Gr) - logit(Pr_Er), the colour of Fig 3, where
        probabilities of 0 and 1 take the nearest value observed. ``obsm["spring"]``: the authors' layout.
    """
    if version not in ("full", "filtered"):
        raise InvalidDataset(f"version={version!r} is neither 'full' nor 'filtered'.")
    found = gather(files, path, download, data_dir)
    where, digest = found["counts"]
    parsed = remembered(f"hemato-{digest[:16]}", data_dir, lambda: _parse(where))
    fates = _fates(found["fates"][0])
    wanted = _gene_list(found["genes"][0])
    joined = np.flatnonzero((parsed["library_id"] != LEFT_OUT) & pd.Index(parsed["cells"]).isin(fates.index))
    if not joined.size:
        raise InvalidDataset(f"No cell of {where} is in {found['fates'][0]}: one of the two belongs to other data.")
    columns = pd.Index(parsed["genes"]).get_indexer(wanted)
    if (columns < 0).any():
        raise InvalidDataset(
            f"{where} lacks {(columns < 0).sum()} of the {len(wanted)} genes of {found['genes'][0]} (the first is "
            f"'{wanted[columns < 0][0]}'): one of the two is damaged or belongs to other data."
        )
    counts, cells = parsed["counts"][joined][:, columns], parsed["cells"][joined]
    fates = fates.loc[cells]
    steps = [
        f"dropped library {LEFT_OUT} and cells without fates, {len(cells)} of {len(parsed['cells'])} cells are left",
        f"kept the {len(wanted)} genes of the authors' list",
    ]
    keep = np.arange(len(wanted))
    if version == "filtered":
        keep = filtered_genes(counts)
        steps.append(f"kept the {len(keep)} genes with the highest SD among those with mean > 0.05 and SD > 2 · mean")
    obs = {name: fates[name].to_numpy() for name in ("Potential", *FATES)}
    adata = make_dataset(
        counts[:, keep],
        cells=cells,
        genes=wanted[keep],
        obs={
            "library": parsed["library_id"][joined],
            **obs,
            "fate_contrast": clipped_logit(obs["Pr_Gr"]) - clipped_logit(obs["Pr_Er"]),
        },
        obsm={"spring": fates[["x_spring", "y_spring"]].to_numpy()},
        source={
            "name": "hemato" if version == "full" else "hemato_filtered",
            "origin": "Basal bone marrow of GSM2388072 with the authors' gene list, SPRING layout and PBA potentials.",
            "sha256": {key: digest for key, (_, digest) in found.items()},
            "steps": steps,
        },
    )
    of_file = {"genes": len(wanted), "file_genes": parsed["counts"].shape[1]}
    return compare_with_paper(adata, expect, own_files=path is not None, files=files, **of_file)


def filtered_genes(counts, n_genes=700):
    """Columns of the 700-gene version, highest standard deviation first."""
    n_cells = counts.shape[0]
    total, squares = moments(counts)
    mean = total / n_cells
    sd = np.sqrt(squares / n_cells - mean**2)
    dispersed = np.flatnonzero((mean > 0.05) & (sd > 2 * mean))
    return dispersed[top_genes(counts[:, dispersed], min(n_genes, dispersed.size))]


def clipped_logit(p):
    """Logit, with probabilities of 0 and 1 set to the nearest value observed (Fig 3)."""
    inside = p[(p > 0) & (p < 1)]
    p = np.clip(p, inside.min(), inside.max())
    return np.log(p) - np.log1p(-p)


def _parse(path):
    with readable(path):
        text = read_text(path, genes_in="columns", annotation_columns=(*ANNOTATIONS, LAST_ANNOTATION))
    return {
        "counts": text.counts,
        "cells": text.annotations["cell_id"],
        "genes": text.genes,
        "library_id": text.annotations["library_id"],
    }


def _fates(path):
    with readable(path):
        table = pd.read_csv(path, index_col=0)
        missing = {"x_spring", "y_spring", "Potential", *FATES} - set(table.columns)
        if missing:
            raise InvalidDataset(f"{path} lacks the column {min(missing)}: it is not the table of SPRING and PBA.")
        incomplete = table.index[table[["x_spring", "y_spring", "Potential", *FATES]].isna().any(axis=1)]
        if len(incomplete):
            raise InvalidDataset(f"{path} has no fate for cell {incomplete[0]!r}: it is cut off, fetch it again.")
    return table


def _gene_list(path):
    with readable(path), open(path) as stream:
        genes = np.array([line.strip() for line in stream if line.strip()])
    if len(set(genes)) != len(genes) or any("," in gene or "<" in gene for gene in genes[:3]):
        raise InvalidDataset(f"{path} is not a list of distinct gene names, one a line: it is another file.")
    return genes
