"""CBMC on small tables in the formats of GSE100866."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from datasets import cbmc, presets
from datasets.base import InvalidDataset, check_dataset

CELLS = ["CTGT", "CTCT", "AGCA", "GAAT"]
RNA = {"MOUSE_Actb": [0, 0, 900, 0], "HUMAN_CD4": [5, 0, 1, 9], "HUMAN_FLAT": [2, 2, 2, 2], "HUMAN_CD8A": [0, 40, 0, 1]}
ADT = {"CD3": [60, 52, 89, 55], "CD4": [72, 49, 112, 66]}
CLR = {"CD3": [-0.64, -0.84, -0.17, -0.27], "CD4": [-0.46, -0.9, 0.05, -0.09]}
TYPES = ["CD4 T", "CD8 T", "Mouse", "CD4 T"]


def table(rows, cells=CELLS, quote=""):
    lines = [",".join([f"{quote}{name}{quote}" for name in ["", *cells]])]
    return (
        "\n".join([*lines, *(",".join([f"{quote}{name}{quote}", *map(str, row)]) for name, row in rows.items())]) + "\n"
    )


@pytest.fixture
def folder(tmp_path, raw):
    raw.gzipped(tmp_path / "rna.csv.gz", table(RNA))
    raw.gzipped(tmp_path / "adt.csv.gz", table(ADT))
    raw.gzipped(tmp_path / "clr.csv.gz", table(CLR, quote='"'))
    # The deposited file has bare carriage returns, another order and no header.
    raw.gzipped(tmp_path / "clusters.csv.gz", "\r".join(f"{CELLS[i]},{TYPES[i]}" for i in (3, 1, 0, 2)))
    return tmp_path


@pytest.fixture
def files(folder, raw):
    return {key: raw.file(folder / f"{key}.csv.gz") for key in ("rna", "adt", "clr", "clusters")}


def test_counts_proteins_and_types(folder, files):
    adata = check_dataset(cbmc.load(path=folder, data_dir=folder, files=files, n_genes=3))
    assert list(adata.var_names) == ["MOUSE_Actb", "HUMAN_CD8A", "HUMAN_CD4"]
    np.testing.assert_array_equal(adata.X.toarray(), np.array([RNA[gene] for gene in adata.var_names]).T)
    assert list(adata.obs["label"]) == TYPES
    np.testing.assert_array_equal(adata.obsm["protein"], np.array(list(CLR.values())).T)
    np.testing.assert_array_equal(adata.obsm["protein_counts"], np.array(list(ADT.values())).T)
    assert adata.uns["proteins"] == ["CD3", "CD4"]
    raw_proteins = cbmc.load(path=folder, data_dir=folder, files=files, n_genes=3, protein="counts")
    np.testing.assert_array_equal(raw_proteins.obsm["protein"], raw_proteins.obsm["protein_counts"])


def test_mouse_cells_and_genes_can_go(folder, files):
    adata = cbmc.load(path=folder, data_dir=folder, files=files, n_genes=3, keep_mouse_cells=False)
    assert list(adata.obs_names) == ["CTGT", "CTCT", "GAAT"]
    assert list(adata.var_names) == ["HUMAN_CD8A", "HUMAN_CD4", "HUMAN_FLAT"]
    assert adata.obsm["protein"].shape == (3, 2)
    assert "dropped 1 mouse cells and 1 mouse genes" in adata.uns["source"]["steps"]


def test_tables_that_do_not_belong_together(folder, files, raw):
    raw.gzipped(folder / "adt.csv.gz", table(ADT, cells=["CTGT", "CTCT", "AGCA", "XXXX"]))
    with pytest.raises(InvalidDataset, match=r"adt\.csv\.gz says nothing of 1 of the 4 cells \(the first is GAAT\)"):
        cbmc.load(path=folder, data_dir=folder, files=files)
    raw.gzipped(folder / "adt.csv.gz", table({"CD3": ADT["CD3"], "CD19": ADT["CD4"]}))
    with pytest.raises(InvalidDataset, match="name other proteins"):
        cbmc.load(path=folder, data_dir=folder, files=files)


def test_swapped_protein_tables(folder, files):
    files["adt"], files["clr"] = files["clr"], files["adt"]
    with pytest.raises(InvalidDataset, match="are the two protein tables swapped"):
        cbmc.load(path=folder, data_dir=folder, files=files)


def test_damaged_tables(folder, files, raw):
    (folder / "clr.csv.gz").write_bytes((folder / "clr.csv.gz").read_bytes()[:-12])
    with pytest.raises(InvalidDataset, match=r"clr\.csv\.gz is cut off"):
        cbmc.load(path=folder, data_dir=folder, files=files)
    raw.gzipped(folder / "rna.csv.gz", table(RNA).replace("900", "9.5e"))
    with pytest.raises(InvalidDataset, match=r"Line 2 .*row 'MOUSE_Actb', column 'AGCA'\) has '9.5e'"):
        cbmc.load(path=folder, data_dir=folder, files=files)
    (folder / "rna.csv.gz").write_text("<!DOCTYPE html>")
    with pytest.raises(InvalidDataset, match=r"rna\.csv\.gz is a web page"):
        cbmc.load(path=folder, data_dir=folder, files=files)


def test_the_real_proteins_and_types_with_drawn_counts(tmp_path):
    data = Path(os.environ.get("SCVI_REPRO_DATA", "/nowhere")) / "raw"
    files = presets.preset("cbmc")["files"]
    if not (data / files["adt"]["name"]).exists():
        pytest.skip("the protein tables of GSE100866 are not in $SCVI_REPRO_DATA/raw")
    with gzip.open(data / files["adt"]["name"], "rt") as stream:
        cells = stream.readline().strip().split(",")[1:]
    ones = ",".join("1" * len(cells))
    (tmp_path / files["rna"]["name"].removesuffix(".gz")).write_text(f",{','.join(cells)}\nHUMAN_A,{ones}\n")
    for key in ("adt", "clr", "clusters"):
        (tmp_path / files[key]["name"]).write_bytes((data / files[key]["name"]).read_bytes())
    adata = cbmc.load(path=tmp_path, data_dir=tmp_path, files=files, n_genes=None)
    assert adata.obsm["protein"].shape == (8617, 13)
    sizes = adata.obs["label"].value_counts()
    assert (sizes["CD4 T"], sizes["Mouse"], sizes["pDC"], len(sizes)) == (3086, 607, 50, 13)
    logged = np.log1p(adata.obsm["protein_counts"])  # rows of both tables are the same cells
    np.testing.assert_allclose(adata.obsm["protein_clr"], logged - logged.mean(axis=1, keepdims=True), atol=1e-12)
