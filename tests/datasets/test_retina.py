"""RETINA on small tables in the formats of GSE81904 and of the cluster file, and on the h5ad of scvi-tools."""

import os
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from datasets import presets, retina
from datasets.base import InvalidDataset, check_dataset


@pytest.fixture(scope="module")
def drawn():
    """120 cells × 700 genes around every threshold of the original filter."""
    rng = np.random.default_rng(0)
    X = rng.poisson(3.0, size=(120, 700))
    genes = np.array([f"Gene{i}" for i in range(695)] + ["mt-Nd1", "mt-Co1", "Rare", "Few", "Huge"])
    X[:, -5:] = 0
    X[:, -5] = 20  # mitochondrial: about 1%
    X[0, -4] = 300  # … over 10% in the first cell
    X[1, 450:695] = 0  # under 500 genes
    X[10:40, -3] = 9  # in 30 cells only
    X[10:60, -2] = 1  # 50 counts only
    X[10:, -1] = 1
    X[20, -1] = 5000
    cells = [f"Bipolar{1 + i % 6}_{'ACGT'[i % 4]}{i:03d}" for i in range(120)]
    return X, cells, genes


@pytest.fixture
def folder(tmp_path, raw, drawn):
    X, cells, genes = drawn
    header = "\t".join(f'"{cell}"' for cell in cells)  # R leaves out the corner
    rows = ["\t".join([f'"{gene}"', *map(str, row)]) for gene, row in zip(genes, X.T, strict=True)]
    raw.gzipped(tmp_path / "geo.txt.gz", "\n".join([header, *rows]) + "\n")
    order = [*range(119, 1, -1), 0, 1]
    lines = [f"{cells[i]}\t{i % 17 + 1}\t{i % 17 + 1}" for i in order]
    (tmp_path / "clusters.txt").write_text("\n".join(["CELL_NAME\tCLUSTER\tSUB-CLUSTER", *lines]) + "\n")
    return tmp_path


@pytest.fixture
def files(folder, raw):
    named = {"geo": "geo.txt.gz", "clusters": "clusters.txt", "h5ad": "retina.h5ad"}
    return {key: raw.file(folder / name) for key, name in named.items()}


def test_the_original_filter_clusters_and_batches(folder, files, drawn):
    X, cells, genes = drawn
    adata = check_dataset(retina.load(path=folder, data_dir=folder, files=files))
    rows = [i for i in range(119, 1, -1) if i % 17 < 15]  # the order of the cluster file; clusters 16, 17 are no type
    assert list(adata.obs_names) == [cells[i] for i in rows]
    assert list(adata.var_names) == list(genes[:696])  # mt-Nd1 stays, mt-Co1 is in no kept cell
    np.testing.assert_array_equal(adata.X.toarray(), X[rows][:, :696])
    assert list(adata.obs["label"]) == [retina.TYPES[i % 17] for i in rows]
    assert list(adata.obs["batch"]) == ["Bipolar5-6" if i % 6 in (4, 5) else "Bipolar1-4" for i in rows]


def test_the_filter_equals_its_definition_on_dense_counts(drawn):
    X, _, genes = drawn
    cells = (X[:, [695, 696]].sum(axis=1) / X.sum(axis=1) < 0.1) & ((X > 0).sum(axis=1) > 500)
    kept = X[cells]
    columns = ((kept > 0).sum(axis=0) > 30) & (kept.sum(axis=0) > 60) & (kept.max(axis=0) < 5000)
    found = retina.original_filter(sp.csr_matrix(X), genes)
    np.testing.assert_array_equal(found[0], np.flatnonzero(cells))
    np.testing.assert_array_equal(found[1], np.flatnonzero(columns))


def test_the_h5ad_of_scvi_tools(folder, files):
    counts = np.array([[1.0, 0, 3], [2, 5, 0]], dtype=np.float32)
    obs = pd.DataFrame({"labels": ["RBC", "BC8_9"], "batch": [0, 1]}, index=["a", "b"])
    ad.AnnData(counts, obs=obs).write_h5ad(folder / "retina.h5ad")
    adata = check_dataset(retina.load(origin="h5ad", path=folder / "retina.h5ad", data_dir=folder, files=files))
    np.testing.assert_array_equal(adata.X.toarray(), counts)
    assert list(adata.obs["label"]) == ["RBC", "BC8_9"]
    assert "training part" in adata.uns["source"]["origin"]


def test_a_public_h5ad_with_another_hash_is_refused(folder, files):
    files["h5ad"]["sha256"] = presets.preset("retina")["files"]["h5ad"]["sha256"]
    (folder / "retina.h5ad").write_bytes(b"not that file")
    with pytest.raises(InvalidDataset, match=r"its sha256 is .*, the one published for it is 5363642ff"):
        retina.load(origin="h5ad", data_dir=folder, files=files)


def test_foreign_files(folder, files):
    (folder / "clusters.txt").write_text("CELL_NAME\tCLUSTER\nelse\t1\n")
    with pytest.raises(InvalidDataset, match="one belongs to other data"):
        retina.load(path=folder, data_dir=folder, files=files)
    (folder / "clusters.txt").write_text("cell,type\na,b\n")
    with pytest.raises(InvalidDataset, match=r"clusters\.txt does not give one cluster number per cell"):
        retina.load(path=folder, data_dir=folder, files=files)


def test_the_real_cluster_file_has_the_paper_s_cells(tmp_path):
    path = Path(os.environ.get("SCVI_REPRO_DATA", "/nowhere")) / "raw" / "ClustAssignFile.txt"
    if not path.exists():
        pytest.skip("ClustAssignFile.txt is not in $SCVI_REPRO_DATA/raw")
    clusters = retina._clusters(path)
    sizes = {name: int((clusters == i).sum()) for i, name in enumerate(retina.TYPES, start=1)}
    expect = presets.preset("retina")["expect"]["geo"]
    assert len(clusters) == 27499
    assert sizes == expect["label_sizes"]
    assert sum(sizes.values()) == expect["cells"] == 26439
