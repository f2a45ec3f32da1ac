"""PBMC on small archives and a small metadata pickle in the formats of the originals."""

import os
from pathlib import Path

import numpy as np
import pytest

from datasets import pbmc, presets
from datasets.base import InvalidDataset, check_dataset

GENES = [f"ENSG{i:05d}" for i in range(6)]
SYMBOLS = ["CD4", "CD8A", "MS4A1", "TWIN", "TWIN", "OFF"]
CELLS_8K = ["AAAA-1", "CCCC-1", "GGGG-1", "TTTT-1"]  # GGGG fails the authors' filter
CELLS_4K = ["CCCC-1", "ACAC-1", "AAAA-1"]  # AAAA and CCCC are other cells than those of pbmc8k
QC = ["num_umi", "num_reads", "mean_reads_per_umi"]


def counts(cells, offset):
    return np.arange(len(cells) * 6).reshape(len(cells), 6) + offset


@pytest.fixture
def folder(tmp_path, raw):
    raw.tenx_archive(tmp_path / "8k.tar.gz", counts(CELLS_8K, 1), CELLS_8K, GENES, SYMBOLS)
    raw.tenx_archive(tmp_path / "4k.tar.gz", counts(CELLS_4K, 1000), CELLS_4K, GENES, SYMBOLS)
    names = ["AAAA-1", "TTTT-1", "CCCC-1", "AAAA-11", "CCCC-11", "ACAC-1"]
    batch = np.array([[1] * 6, [0, 0, 0, 1, 1, 1]])
    raw.old_pickle(
        tmp_path / "metadata.pickle",
        {
            "design": (["(Intercept)", "batchpbmc4k"], names, [(["(Intercept)", "batchpbmc4k"], batch)]),
            "raw_qc": (QC, names, [(QC, np.arange(18.0).reshape(3, 6))]),
            "barcodes": (["Unnamed: 0"], names, [(["Unnamed: 0"], np.zeros((1, 6), dtype=np.int64))]),
            "clusters": np.array([0, 1, 1, 0, 2, 2]),
            "list_clusters": np.array(["B cells", "CD4 T cells", "Other"], dtype=object),
        },
    )
    rows = [f"{i},{GENES[i]},{SYMBOLS[i]},0.{i},0.0{i}\n" for i in (4, 0, 2)]  # neither all genes nor their order
    (tmp_path / "gene_info.csv").write_text("".join([",ENSG,GS,CD_adj.P.Val,BDC_adj.P.Val\n", *rows]))
    return tmp_path


@pytest.fixture
def files(folder, raw):
    named = {"pbmc8k": "8k.tar.gz", "pbmc4k": "4k.tar.gz", "metadata": "metadata.pickle", "bulk": "gene_info.csv"}
    return {key: raw.file(folder / name) for key, name in named.items()}


def test_cells_are_joined_within_their_batch(folder, files):
    adata = check_dataset(pbmc.load(path=folder, data_dir=folder, files=files))
    assert list(adata.obs["batch"]) == ["pbmc8k"] * 3 + ["pbmc4k"] * 3
    assert list(adata.obs["label"]) == ["B cells", "CD4 T cells", "CD4 T cells", "B cells", "Other", "Other"]
    assert list(adata.var_names) == [GENES[4], GENES[0], GENES[2]]
    assert list(adata.var["symbol"]) == ["TWIN", "CD4", "MS4A1"]
    rows_8k, rows_4k = counts(CELLS_8K, 1)[[0, 3, 1]], counts(CELLS_4K, 1000)[[2, 0, 1]]
    np.testing.assert_array_equal(adata.X.toarray(), np.vstack([rows_8k, rows_4k])[:, [4, 0, 2]])
    assert list(adata.obs["qc_num_reads"]) == [6, 7, 8, 9, 10, 11]
    assert list(adata.var["CD_adj.P.Val"]) == [0.4, 0.0, 0.2]


def test_interleaved_batches_keep_their_order(folder, files, raw):
    names = ["AAAA-11", "AAAA-1", "ACAC-1", "TTTT-1"]
    batch = np.array([[1] * 4, [1, 0, 1, 0]])
    raw.old_pickle(
        folder / "metadata.pickle",
        {
            "design": (["(Intercept)", "batchpbmc4k"], names, [(["(Intercept)", "batchpbmc4k"], batch)]),
            "raw_qc": (QC, names, [(QC, np.arange(12.0).reshape(3, 4))]),
            "barcodes": (["x"], names, [(["x"], np.zeros((1, 4)))]),
            "clusters": np.array([0, 1, 1, 0]),
            "list_clusters": np.array(["B cells", "Other"], dtype=object),
        },
    )
    adata = pbmc.load(path=folder, data_dir=folder / "cache", files=files)
    assert list(adata.obs_names) == ["pbmc4k_AAAA-1", "pbmc8k_AAAA-1", "pbmc4k_ACAC-1", "pbmc8k_TTTT-1"]
    expected = np.vstack([counts(CELLS_4K, 1000)[[2, 1]], counts(CELLS_8K, 1)[[0, 3]]])[[0, 2, 1, 3]]
    np.testing.assert_array_equal(adata.X.toarray(), expected[:, [4, 0, 2]])


def test_the_compared_groups_are_those_of_the_bulk_references():
    """CD8A is more in CD8 T cells, FCER1A more in dendritic cells: logFC > 0 in the authors' table of both."""
    path = Path(os.environ.get("SCVI_REPRO_DATA", "/nowhere")) / "raw" / "gene_info.csv"
    if not path.exists():
        pytest.skip("gene_info.csv is not in $SCVI_REPRO_DATA/raw")
    bulk = pbmc._bulk(path).set_index("GS")
    for name, gene in (("CD", "CD8A"), ("BDC", "FCER1A"), ("BDC2", "FCER1A")):
        assert bulk.loc[gene, f"{name}_logFC"] > 1
        marker = {"CD8A": "CD8 T cells", "FCER1A": "Dendritic Cells"}[gene]
        assert pbmc.COMPARISONS[name][0] == marker
    assert bulk.loc["CD79A", "BDC_logFC"] < -1
    assert pbmc.COMPARISONS["BDC"][1] == "B cells"


def test_swapped_archives_are_noticed(folder, files):
    files["pbmc8k"], files["pbmc4k"] = files["pbmc4k"], files["pbmc8k"]
    with pytest.raises(InvalidDataset, match=r"4k\.tar\.gz has 3 cells, and 1 of the 3 cells of pbmc8k .*other batch"):
        pbmc.load(path=folder, data_dir=folder, files=files)


def test_foreign_genes_and_foreign_tables(folder, files, raw):
    raw.tenx_archive(
        folder / "4k.tar.gz", counts(CELLS_4K, 1), CELLS_4K, [g.replace("G0", "H") for g in GENES], SYMBOLS
    )
    with pytest.raises(InvalidDataset, match=r"lacks 3 of the 3 genes .*not the GRCh38 matrix of pbmc4k"):
        pbmc.load(path=folder, data_dir=folder, files=files)
    (folder / "gene_info.csv").write_text((folder / "gene_info.csv").read_text()[:-5])
    with pytest.raises(InvalidDataset, match=r"gene_info\.csv has rows without all their values: it is cut off"):
        pbmc._bulk(folder / "gene_info.csv")
    (folder / "gene_info.csv").write_text("gene,p\nA,0.1\n")
    with pytest.raises(InvalidDataset, match=r"lacks the columns of gene_info\.csv"):
        pbmc.load(path=folder, data_dir=folder, files=files)


def test_files_that_pass_for_the_originals_must_have_their_numbers(folder, files):
    expect = {"cells": 12039, "labels": 9}
    with pytest.raises(InvalidDataset, match=r"pbmc are not the published ones \(6 cells where the paper has 12039"):
        pbmc.load(data_dir=folder, files=files, expect=expect)
    own = pbmc.load(path=folder, data_dir=folder, files=files, expect=expect)
    assert "6 cells where the paper has 12039; 3 labels where the paper has 9" in own.uns["source"]["origin"]


def test_the_real_metadata_with_drawn_counts(tmp_path, raw):
    """The true cells, labels, batches and genes; only the counts are drawn, for want of the archives."""
    data = Path(os.environ.get("SCVI_REPRO_DATA", "/nowhere")) / "raw"
    if not (data / "pbmc_metadata.pickle").exists():
        pytest.skip("pbmc_metadata.pickle is not in $SCVI_REPRO_DATA/raw")
    block = presets.preset("pbmc")
    metadata = pbmc.read_metadata(data / "pbmc_metadata.pickle")
    genes = [line.split(",")[1] for line in (data / "gene_info.csv").read_text().splitlines()[1:]]
    barcodes = np.array([f"{name.split('-')[0]}-1" for name in metadata["barcodes"].index])
    rng, drawn = np.random.default_rng(0), {}
    for key, cells in (("pbmc8k", barcodes[:8030]), ("pbmc4k", barcodes[8030:])):
        entries = (rng.integers(len(genes), size=len(cells)), np.arange(len(cells)))
        drawn[key] = np.zeros((len(cells), len(genes)), dtype=np.int8)
        drawn[key][entries[1], entries[0]] = rng.integers(1, 100, size=len(cells))
        order = rng.permutation(len(cells))
        parts = _sparse_parts(raw, drawn[key][order], cells[order], genes)
        raw.tenx_archive(tmp_path / block["files"][key]["name"], None, None, None, None, parts=parts)
    for key in ("metadata", "bulk"):
        name = block["files"][key]["name"]
        (tmp_path / name).write_bytes((data / name).read_bytes())
    adata = pbmc.load(path=None, data_dir=tmp_path, files=block["files"], expect=block["expect"])  # Table 4 is checked
    assert adata.shape == (12039, 3346)
    np.testing.assert_array_equal(adata.X.toarray(), np.vstack([drawn["pbmc8k"], drawn["pbmc4k"]]))
    assert adata.uns["comparisons"] == pbmc.COMPARISONS
    assert (adata.var["CD_adj.P.Val"] < 0.05).sum() == 111
    assert (adata.var["BDC_adj.P.Val"] < 0.05).sum() == 879


def _sparse_parts(raw, X, cells, genes):
    parts = raw.tenx_parts(X[:1, :1], cells[:1], genes[:1], genes[:1])
    rows, columns = np.nonzero(X)
    lines = [f"{g + 1} {c + 1} {X[c, g]}" for c, g in zip(rows.tolist(), columns.tolist(), strict=True)]
    head = f"%%MatrixMarket matrix coordinate integer general\n%\n{len(genes)} {len(cells)} {len(lines)}\n"
    return parts | {
        "matrix.mtx": (head + "\n".join(lines) + "\n").encode(),
        "genes.tsv": "".join(f"{gene}\tsymbol\n" for gene in genes).encode(),
        "barcodes.tsv": "".join(f"{cell}\n" for cell in cells).encode(),
    }
