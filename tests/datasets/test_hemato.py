"""HEMATO on small tables in the formats of GSM2388072 and of the authors."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from datasets import hemato
from datasets.base import InvalidDataset, check_dataset

HEADER = "cell_id,barcode,library_id,seq_run_id,pass_filter,Gata1,Mpo,Elane,Hbb-bs"
ROWS = [
    "bBM1,bcA,basal_bm1,r1,1,9,9,9,9",  # the library that is left out
    "bBM2,bcB,basal_bm2,r1,1,0,3,1,0",
    "bBM3,bcC,basal_bm2,r1,0,4,0,0,2",  # without fates
    "bBM4,bcD,basal_bm3,r2,1,7,0,2,1",
    "bBM5,bcE,basal_bm3,r2,1,1,1,5,0",
]
FATES = """cell_id,x_spring,y_spring,Potential,Pr_Er,Pr_Gr,Pr_Ly,Pr_DC,Pr_Mk,Pr_Mo,Pr_Ba
bBM5,3,30,18.5,0.25,0.5,0,0,0,0,0.25
bBM1,1,10,18.4,0.5,0.5,0,0,0,0,0
bBM2,2,20,18.3,0,1,0,0,0,0,0
bBM4,4,40,18.2,0.8,0.1,0.1,0,0,0,0
"""


@pytest.fixture
def folder(tmp_path, raw):
    raw.gzipped(tmp_path / "counts.csv.gz", "\n".join([HEADER, *ROWS]) + "\n")
    (tmp_path / "fates.csv").write_text(FATES)
    (tmp_path / "genes.txt").write_text("Elane\nGata1\nMpo\n")
    return tmp_path


@pytest.fixture
def files(folder, raw):
    named = {"counts": "counts.csv.gz", "fates": "fates.csv", "genes": "genes.txt"}
    return {key: raw.file(folder / name) for key, name in named.items()}


def test_libraries_fates_and_genes(folder, files):
    adata = check_dataset(hemato.load(path=folder, data_dir=folder, files=files))
    assert list(adata.obs_names) == ["bBM2", "bBM4", "bBM5"]
    assert list(adata.var_names) == ["Elane", "Gata1", "Mpo"]
    np.testing.assert_array_equal(adata.X.toarray(), [[1, 0, 3], [2, 7, 0], [5, 1, 1]])
    assert list(adata.obs["library"]) == ["basal_bm2", "basal_bm3", "basal_bm3"]
    np.testing.assert_array_equal(adata.obsm["spring"], [[2, 20], [4, 40], [3, 30]])

    def logit(p):
        return np.log(p / (1 - p))

    # Pr_Er = 0 takes 0.25, the lowest inside (0, 1); Pr_Gr = 1 takes 0.5, the highest.
    expected = [logit(0.5) - logit(0.25), logit(0.1) - logit(0.8), logit(0.5) - logit(0.25)]
    np.testing.assert_allclose(adata.obs["fate_contrast"], expected)


def test_the_filtered_genes_equal_the_authors_recipe_on_dense_counts():
    rng = np.random.default_rng(0)
    X = rng.negative_binomial(0.2, 0.2 / (0.2 + np.geomspace(0.01, 5, 300)), size=(400, 300))
    dense = X.astype(float)
    index = np.arange(300)[dense.mean(axis=0) > 0.05]
    index = index[dense[:, index].std(axis=0) / dense[:, index].mean(axis=0) > 2]
    expected = index[np.argsort(-dense[:, index].std(axis=0), kind="stable")][:50]
    np.testing.assert_array_equal(hemato.filtered_genes(sp.csr_matrix(X), 50), expected)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("genes.txt", "Elane\nOther\n", r"lacks 1 of the 2 genes of .*genes\.txt \(the first is 'Other'\)"),
        ("genes.txt", "Elane\nElane\n", "not a list of distinct gene names"),
        ("genes.txt", "<html>\n", r"genes\.txt is a web page"),
        ("genes.txt", "", r"genes\.txt is empty"),
        ("fates.csv", FATES[:-9], r"fates\.csv has no fate for cell 'bBM4': it is cut off"),
        ("fates.csv", FATES.replace("Pr_Ba", "Pr_X"), "lacks the column Pr_Ba"),
        ("fates.csv", FATES.replace("bBM", "P9A_"), "No cell of .* is in .*other data"),
        ("counts.csv", "\n".join([HEADER, *ROWS])[:-2], r"Line 6 .*row 'bBM5'\) has 3 counts where 4"),
        ("counts.csv", "\n".join([HEADER.replace("library_id", "lib"), *ROWS]), "has no column 'library_id'"),
    ],
)
def test_foreign_and_damaged_files(folder, files, name, text, message):
    (folder / f"{name}.gz").unlink(missing_ok=True)
    (folder / name).write_text(text)
    with pytest.raises(InvalidDataset, match=message):
        hemato.load(path=folder, data_dir=folder, files=files)


def test_other_numbers_and_other_hashes_than_the_published_are_told(folder, files):
    files["genes"]["sha256"] = "0" * 64
    origin = hemato.load(path=folder, data_dir=folder, files=files, expect={"genes": 7397}).uns["source"]["origin"]
    assert "not the paper's data: 3 genes where the paper has 7397; genes.txt has another sha256" in origin
    with pytest.raises(InvalidDataset, match=r"genes\.txt is not the file it should be"):
        hemato.load(data_dir=folder, files=files)


def test_the_real_tables_with_drawn_counts(tmp_path, raw):
    data = Path(os.environ.get("SCVI_REPRO_DATA", "/nowhere")) / "raw"
    if not (data / "bBM.spring_and_pba.csv").exists():
        pytest.skip("bBM.spring_and_pba.csv is not in $SCVI_REPRO_DATA/raw")
    genes = (data / "bBM.filtered_gene_list.paper.txt").read_text().split()
    assert len(genes) == 7397
    lines = (data / "bBM.spring_and_pba.csv").read_text().splitlines()
    cells = [line.split(",")[0] for line in lines[1:]][:20]
    ones = ",".join("1" * len(genes))
    text = ",".join(["cell_id,barcode,library_id,seq_run_id,pass_filter", *genes[::-1]])
    text += "".join(f"\n{cell},bc,basal_bm2,r,1,{ones}" for cell in cells)
    (tmp_path / "counts.csv").write_text(text)
    files = {"counts": raw.file(tmp_path / "counts.csv")}
    for key, name in (("fates", "bBM.spring_and_pba.csv"), ("genes", "bBM.filtered_gene_list.paper.txt")):
        (tmp_path / name).write_bytes((data / name).read_bytes())
        files[key] = raw.file(tmp_path / name)
    adata = hemato.load(path=tmp_path, data_dir=tmp_path, files=files)
    assert adata.shape == (20, 7397)
    assert np.isfinite(adata.obs["fate_contrast"]).all()
