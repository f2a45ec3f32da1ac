"""BRAIN-SMALL: 9,128 mouse brain cells (10x neuron_9k) with clusters and quality metrics of CellRanger (paper §4.9)."""

import pandas as pd

from .base import InvalidDataset, compare_with_paper, make_dataset
from .io.cache import remembered
from .io.fetch import gather
from .io.formats import read
from .io.old_pickle import read_metadata
from .io.select import top_genes


def load(path=None, download=False, n_genes=3000, data_dir=None, files=None, expect=None):
    """The BRAIN-SMALL dataset.

    Parameters
    ----------
    path : str or Path, optional
        Folder with the user's own copies of the files.
    download : bool
        Fetch what is not in the data folder.
    n_genes : int or None
        Genes with the highest standard deviation of raw counts over all cells (3,000 in the paper).
    data_dir : str or Path, optional
    files : dict
        ``counts`` (10x archive) and ``metadata`` (pickle of the authors).
    expect : dict, optional
        The paper's numbers.

    Returns
    -------
    anndata.AnnData, 9128 × n_genes
        Cells in the order of the matrix. ``obs``: ``label`` (k-means clusters 1 to 10 of CellRanger) and nine quality
        metrics ``qc_*``. ``var["symbol"]``.
    """
    found = gather(files, path, download, data_dir)
    where, digest = found["counts"]

    def build():
        table = read(where)
        return {
            "counts": table.X,
            "cells": table.cells,
            "genes": table.genes,
            "symbol": table.var["symbol"].to_numpy(str),
        }

    parsed = remembered(f"brain_small-{digest[:16]}", data_dir, build)
    metadata = read_metadata(found["metadata"][0])
    rows = pd.Index(parsed["cells"]).get_indexer(metadata["clusters"].index)
    if (rows < 0).any() or len(rows) != len(parsed["cells"]):
        raise InvalidDataset(
            f"{where} has {len(parsed['cells'])} cells, the metadata {len(rows)}, and {(rows < 0).sum()} of the latter "
            "are not among the former: it is not the filtered matrix of neuron_9k."
        )
    order = rows.argsort()
    clusters, qc = metadata["clusters"].iloc[order], metadata["raw_qc"].iloc[order]
    keep = top_genes(parsed["counts"], n_genes)
    steps = [] if n_genes is None else [f"kept the {n_genes} genes with the highest SD of raw counts over all cells"]
    adata = make_dataset(
        parsed["counts"][:, keep],
        cells=parsed["cells"],
        genes=parsed["genes"][keep],
        obs={"label": clusters["Cluster"].to_numpy(), **{f"qc_{name}": qc[name].to_numpy() for name in qc.columns}},
        var={"symbol": parsed["symbol"][keep]},
        source={
            "name": "brain_small",
            "origin": "The filtered 10x matrix neuron_9k with the authors' table of clusters and quality metrics.",
            "sha256": {key: digest for key, (_, digest) in found.items()},
            "steps": steps,
        },
    )
    file_genes = parsed["counts"].shape[1]
    return compare_with_paper(adata, expect, own_files=path is not None, files=files, file_genes=file_genes)
