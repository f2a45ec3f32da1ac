"""BRAIN-LARGE: 1.3 million mouse brain cells (10x 1M_neurons), for scalability (paper §4.9, Fig 1c, Table 1)."""

import json

import h5py
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from .base import compare_with_paper
from .io.fetch import gather, writable_folder
from .io.formats.table import readable
from .io.store import create_store, open_store
from .io.stream_10x import Tenx, convert, variable_genes

# Libraries of the aggregated file by the day their mouse was taken: (day, number of consecutive libraries), in the
# order of 10x's summary page, which numbers the barcodes' suffixes 1 to 133.
DAYS = ("20160930", "20161004")
LIBRARIES = (
    (1, 4), (0, 12), (1, 11), (0, 10), (1, 16), (0, 2), (1, 10), (0, 10),
    (1, 1), (0, 12), (1, 10), (0, 10), (1, 2), (0, 13), (1, 10),
)  # fmt: skip
DAY_OF_LIBRARY = np.repeat(*np.array(LIBRARIES).T)


def load(
    path=None,
    download=False,
    n_genes=720,
    variance_cells=100_000,
    n_cells=10_000,
    n_test=10_000,
    seed=0,
    data_dir=None,
    files=None,
    expect=None,
):
    """The BRAIN-LARGE dataset: some of its training cells, then some of its test cells.

    The first call streams the file into a store of the selected genes beside the raw data; later calls map it.

    Parameters
    ----------
    path : str or Path, optional
        A copy of ``1M_neurons_filtered_gene_bc_matrices_h5.h5``.
    download : bool
        Fetch it (some 4 GB) where it is not in the data folder.
    n_genes : int
        Genes with the highest variance of raw counts: 720, or 10,326 for the paper's "10,000".
    variance_cells : int or None
        Cells over which the variance is taken: the first 100,000 of the file in the authors' code, all of them (None)
        in the paper's text.
    n_cells, n_test : int or None
        Size of the training and of the test set: the first so many cells of the shuffled 90% and 10% (None: all).
    seed : int
        Of the shuffle; 0 is the authors'.
    data_dir : str or Path, optional
    files : dict
        ``counts``.
    expect : dict, optional
        The paper's numbers.

    Returns
    -------
    anndata.AnnData, (n_cells + n_test) × n_genes
        ``obs``: ``split`` ("train" or "test"), ``row`` (place in the file), ``batch`` (day of the mouse) where the
        barcodes number the library. ``var["symbol"]``. With ``n_cells`` and ``n_test`` None the counts stay on disk,
        in the order of the file.
    """
    where, digest = gather(files, path, download, data_dir)["counts"]
    store = writable_folder(data_dir) / "cache" / f"brain_large-{digest[:16]}-{n_genes}-{variance_cells or 'all'}"
    if not store.exists():
        with readable(where):
            _convert(where, digest, store, n_genes, variance_cells)
    raw = json.loads((store / "about.json").read_text())["source"]
    # The split is one of the cells of the file, whether or not a cell has counts in the selected genes.
    train, test = train_test_split(np.arange(raw["file_cells"]), test_size=0.1, random_state=seed)
    chosen = None
    if n_cells is not None or n_test is not None:
        place = np.full(raw["file_cells"], -1)
        rows = np.load(store / "obs.row.npy")
        place[rows] = np.arange(len(rows))
        chosen = place[np.concatenate([train[:n_cells], test[:n_test]])]
        chosen = chosen[chosen >= 0]
    adata = open_store(store, chosen)
    in_test = np.zeros(raw["file_cells"], dtype=bool)
    in_test[test] = True
    adata.obs["split"] = pd.Categorical(np.where(in_test[adata.obs["row"]], "test", "train"))
    steps = [f"split the {raw['file_cells']} cells of the file 90/10 with train_test_split(random_state={seed})"]
    if chosen is not None:
        n_test = int((adata.obs["split"] == "test").sum())
        steps.append(f"took the first {adata.n_obs - n_test} training and the first {n_test} test cells")
    of_file = {key: adata.uns["source"].pop(key) for key in ("file_cells", "file_genes")}
    adata.uns["source"]["steps"] += steps
    return compare_with_paper(adata, expect, own_files=path is not None, files=files, **of_file)


def _convert(path, digest, folder, n_genes, variance_cells):
    with h5py.File(path, "r") as file:
        source = Tenx(file, path)
        columns = variable_genes(source, n_genes, variance_cells)
        suffixes = {name.rpartition("-")[2] for name in source.barcodes(0, source.n_cells)}
        numbered = suffixes <= {str(number) for number in range(1, len(DAY_OF_LIBRARY) + 1)}
        with create_store(folder, n_genes) as writer:
            dropped = convert(source, writer, columns, _day if numbered else None)
            over = "all cells" if variance_cells is None else f"the first {min(variance_cells, source.n_cells)} cells"
            writer.close(
                genes=source.genes[columns],
                var={"symbol": source.symbols[columns]},
                levels={"batch": DAYS} if numbered else {},
                source={
                    "name": "brain_large",
                    "origin": f"The filtered matrix {path.name} of 10x Genomics.",
                    "sha256": digest,
                    "steps": [
                        f"kept the {n_genes} genes with the highest variance of raw counts over {over}",
                        f"dropped {dropped} cells without counts in these genes",
                    ],
                    "file_genes": source.n_genes,
                    "file_cells": source.n_cells,
                },
            )


def _day(names):
    return {"batch": DAY_OF_LIBRARY[[int(name.rpartition("-")[2]) - 1 for name in names]].astype(np.int8)}
