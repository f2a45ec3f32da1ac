"""PBMC: 12,039 blood cells in two batches (10x pbmc8k and pbmc4k), 9 types, bulk references (paper §4.9, Table 4)."""

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .base import InvalidDataset, compare_with_paper, make_dataset
from .io.cache import remembered
from .io.fetch import gather
from .io.formats import read
from .io.formats.table import readable
from .io.old_pickle import read_metadata

# The groups of the bulk comparisons; a positive logFC means more in the first (CD8A in CD, FCER1A in BDC).
COMPARISONS = {
    "CD": ["CD8 T cells", "CD4 T cells"],
    "BDC": ["Dendritic Cells", "B cells"],
    "BDC2": ["Dendritic Cells", "B cells"],
}


def load(path=None, download=False, data_dir=None, files=None, expect=None):
    """The PBMC dataset.

    The cells are those that passed the authors' quality filter, in their order: 8,030 of pbmc8k, then 4,009 of
    pbmc4k. The same 16 letters can be a cell of either batch: 49 of the 4k cells carry the suffix ``-11`` in the
    metadata because an 8k cell has their barcode, so cells are looked up within their batch (a lookup in the joined
    matrix loses those 49, or gives them another cell's counts).

    Parameters
    ----------
    path : str or Path, optional
        Folder with the user's own copies of the files.
    download : bool
        Fetch what is not in the data folder.
    data_dir : str or Path, optional
    files : dict
        ``pbmc8k``, ``pbmc4k`` (10x archives), ``metadata`` (pickle of the authors), ``bulk`` (gene_info.csv).
    expect : dict, optional
        The paper's numbers.

    Returns
    -------
    anndata.AnnData, 12039 × 3346
        ``obs``: ``label`` (9, Table 4), ``batch`` (pbmc8k, pbmc4k) and nine quality metrics ``qc_*`` of CellRanger.
        ``var``: ``symbol`` and the bulk comparisons ``CD_*`` (CD4 against CD8 T cells, GSE8835), ``BDC_*`` (B against
        dendritic cells, GSE29618) and ``BDC2_*`` (the same, GSE22886): logFC, AveExpr, t, P.Value, adj.P.Val, B.
        ``uns["comparisons"]``: the labels compared in each, the one above the other where logFC > 0.
    """
    found = gather(files, path, download, data_dir)
    metadata = read_metadata(found["metadata"][0])
    bulk = _bulk(found["bulk"][0])
    batches = np.where(metadata["design"]["batchpbmc4k"] == 1, "pbmc4k", "pbmc8k")
    barcodes = np.array([f"{name.split('-')[0]}-1" for name in metadata["barcodes"].index])

    def build():
        parts = {
            name: _select(*found[name], name, barcodes[batches == name], bulk["ENSG"]) for name in ("pbmc8k", "pbmc4k")
        }
        order = np.argsort(np.concatenate([np.flatnonzero(batches == name) for name in parts]))
        return {"counts": sp.vstack(list(parts.values()), format="csr")[order]}

    stem = "pbmc-" + "-".join(found[key][1][:10] for key in ("pbmc8k", "pbmc4k", "metadata", "bulk"))
    counts = remembered(stem, data_dir, build)["counts"]
    labels = np.asarray(metadata["list_clusters"])[metadata["clusters"]]
    qc = metadata["raw_qc"]
    adata = make_dataset(
        counts,
        cells=[f"{batch}_{barcode}" for batch, barcode in zip(batches, barcodes, strict=True)],
        genes=bulk["ENSG"],
        obs={"label": labels, "batch": batches, **{f"qc_{name}": qc[name].to_numpy() for name in qc.columns}},
        var={"symbol": bulk["GS"].to_numpy(), **{name: bulk[name].to_numpy() for name in bulk.columns[2:]}},
        source={
            "name": "pbmc",
            "origin": "The filtered 10x matrices pbmc8k and pbmc4k with the authors' cells, labels and genes.",
            "sha256": {key: digest for key, (_, digest) in found.items()},
            "steps": [
                f"kept the {len(barcodes)} cells of the authors' filter, looked up within their batch",
                f"kept the {len(bulk)} genes with bulk p-values, by Ensembl id",
            ],
        },
    )
    there = set(adata.obs["label"].cat.categories)  # a file of the user's own may have fewer
    adata.uns["comparisons"] = {name: list(groups) for name, groups in COMPARISONS.items() if there >= set(groups)}
    return compare_with_paper(adata, expect, own_files=path is not None, files=files, genes=len(bulk))


def _bulk(path):
    """The table of genes with bulk p-values."""
    with readable(path):
        table = pd.read_csv(path, index_col=0)
        if not {"ENSG", "GS", "CD_adj.P.Val", "BDC_adj.P.Val"} <= set(table.columns):
            raise InvalidDataset(
                f"{path} lacks the columns of gene_info.csv (ENSG, GS, CD_*, BDC_*): it is another file."
            )
        if table.isna().to_numpy().any():
            raise InvalidDataset(f"{path} has rows without all their values: it is cut off, fetch it again.")
    return table


def _select(path, _, name, barcodes, genes):
    """Rows of the given barcodes and columns of the given genes of one 10x archive."""
    table = read(path)
    rows = pd.Index(table.cells).get_indexer(barcodes)
    columns = pd.Index(table.genes).get_indexer(genes)
    if (rows < 0).any():
        raise InvalidDataset(
            f"{path} has {len(table.cells)} cells, and {(rows < 0).sum()} of the {len(barcodes)} cells of {name} are "
            f"not among them (the first is {barcodes[rows < 0][0]}): is it the archive of the other batch?"
        )
    if (columns < 0).any():
        raise InvalidDataset(
            f"{path} lacks {(columns < 0).sum()} of the {len(genes)} genes with bulk p-values (the first is "
            f"{np.asarray(genes)[columns < 0][0]}): it is not the GRCh38 matrix of {name}."
        )
    return table.X[rows][:, columns]
