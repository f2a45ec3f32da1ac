"""Data of the user's own."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from datasets import h5ad
from datasets.base import InvalidDataset
from scvi_core.data.counts import InvalidCounts

COUNTS = np.array([[1, 0, 20], [0, 3, 0], [4, 0, 9]])


@pytest.fixture
def path(tmp_path):
    adata = ad.AnnData(
        sp.csc_matrix(np.log1p(COUNTS)),
        obs=pd.DataFrame({"type": ["T", "B", "T"], "donor": [1, 2, 2]}, index=["a", "b", "c"]),
        var=pd.DataFrame(index=["g1", "g2", "g3"]),
        layers={"counts": COUNTS.astype(float)},
        obsm={"adt": np.arange(6.0).reshape(3, 2)},
    )
    adata.write_h5ad(tmp_path / "my.h5ad")
    return tmp_path / "my.h5ad"


def test_the_slots_are_filled_from_the_keys(path):
    adata = h5ad.load(path, label_key="type", batch_key="donor", layer="counts", protein_key="adt")
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS)
    assert adata.X.format == "csr"
    assert list(adata.obs["label"]) == ["T", "B", "T"]
    assert list(adata.obs["batch"]) == ["1", "2", "2"]
    np.testing.assert_array_equal(adata.obsm["protein"], [[0, 1], [2, 3], [4, 5]])
    assert adata.uns["source"]["origin"] == "The file my.h5ad given by the user."


def test_genes_are_chosen_by_spread(path):
    adata = h5ad.load(path, layer="counts", n_genes=2, drop_empty_cells=True)
    assert list(adata.var_names) == ["g3", "g1"]
    assert list(adata.obs_names) == ["a", "c"]  # cell b has counts in g2 alone
    assert "dropped 1 cells without counts" in adata.uns["source"]["steps"]
    with pytest.raises(
        InvalidDataset, match=r"None of the 2 genes kept is counted in cell 'b' .*: set dataset.drop_empty"
    ):
        h5ad.load(path, layer="counts", n_genes=2)


def test_the_name_of_a_stand_in_travels_with_it(path):
    line = "A stand-in for the paper's PBMC: three cells"
    source = h5ad.load(path, name="my_pbmc", layer="counts", stand_in_for=line).uns["source"]
    assert source["name"] == "my_pbmc"
    assert source["origin"] == f"{line}."


def test_cells_and_genes_can_be_chosen_by_a_column(tmp_path):
    adata = ad.AnnData(
        sp.csr_matrix(COUNTS),
        obs=pd.DataFrame({"good": [True, False, True], "type": ["T", None, "B"]}, index=["a", "b", "c"]),
        var=pd.DataFrame({"p": [0.1, np.nan, 0.3]}, index=["g1", "g2", "g3"]),
    )
    adata.write_h5ad(tmp_path / "x.h5ad")
    chosen = h5ad.load(
        tmp_path / "x.h5ad", keep_cells="good", genes_with="p", label_key="type", var_columns={"bulk_p": "p"}
    )
    np.testing.assert_array_equal(chosen.X.toarray(), COUNTS[[0, 2]][:, [0, 2]])
    assert list(chosen.var["bulk_p"]) == [0.1, 0.3]
    assert list(h5ad.load(tmp_path / "x.h5ad", cells_with="type", label_key="type").obs_names) == ["a", "c"]
    with pytest.raises(InvalidDataset, match=r"label of cell 'b' \(row 1\) is missing"):
        h5ad.load(tmp_path / "x.h5ad", label_key="type")


def test_comparisons_with_bulk_references(tmp_path):
    adata = ad.AnnData(
        sp.csr_matrix(COUNTS),
        obs=pd.DataFrame({"type": ["T", "B", "B"]}, index=["a", "b", "c"]),
        var=pd.DataFrame(
            {f"TB_{part}": [0.1, 0.2, 0.3] for part in ("logFC", "P.Value", "adj.P.Val")}, index=list("xyz")
        ),
    )
    adata.write_h5ad(tmp_path / "x.h5ad")
    settings = {"label_key": "type", "var_columns": list(adata.var), "comparisons": {"TB": ["T", "B"]}}
    loaded = h5ad.load(tmp_path / "x.h5ad", **settings)
    assert loaded.uns["comparisons"] == {"TB": ["T", "B"]}
    assert list(loaded.var["TB_logFC"]) == [0.1, 0.2, 0.3]
    with pytest.raises(InvalidDataset, match="TB names 'NK', which is not a label: the labels are B, T"):
        h5ad.load(tmp_path / "x.h5ad", **settings | {"comparisons": {"TB": ["T", "NK"]}})
    with pytest.raises(InvalidDataset, match="no var column 'TB_logFC'"):
        h5ad.load(tmp_path / "x.h5ad", **settings | {"var_columns": []})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "donors/a", "layer": "counts"}, "'donors/a' of the dataset cannot be part of a file name"),
        ({}, r"not an integer at cell 'a' \(row 0\), gene 'g1' .*layer=counts"),
        ({"layer": "raw"}, "no layer 'raw' in my.h5ad; there are: counts"),
        ({"layer": "counts", "label_key": "cell_type"}, "no label column 'cell_type'; the columns are: type, donor"),
        ({"layer": "counts", "batch_key": "batch"}, "no batch column 'batch'"),
        ({"layer": "counts", "protein_key": "protein"}, "no obsm 'protein' in my.h5ad; there are: adt"),
        ({"layer": "counts", "n_genes": 4}, "n_genes=4 is asked for and the data have 3"),
    ],
)
def test_a_wrong_key_lists_the_keys_there_are(path, arguments, message):
    with pytest.raises(InvalidCounts, match=message):
        h5ad.load(path, **arguments)


def test_files_that_are_not_there_or_not_anndata(tmp_path):
    with pytest.raises(InvalidDataset, match=r"set dataset\.path"):
        h5ad.load(None)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        h5ad.load(tmp_path / "none.h5ad")
    (tmp_path / "page.h5ad").write_text("<html>not found</html>")
    with pytest.raises(InvalidDataset, match=r"page\.h5ad is a web page"):
        h5ad.load(tmp_path / "page.h5ad")


def test_names_that_are_not_unique_are_named(tmp_path):
    adata = ad.AnnData(COUNTS.astype(np.float32))
    adata.var_names = ["g1", "g2", "g2x"]
    adata.write_h5ad(tmp_path / "twice.h5ad")
    with h5py.File(tmp_path / "twice.h5ad", "a") as file:
        file["var/_index"][2] = "g2"
    with pytest.raises(InvalidCounts, match="gene name 'g2' appears twice"):
        h5ad.load(tmp_path / "twice.h5ad")


def test_counts_that_are_kept_aside_in_raw(tmp_path):
    adata = ad.AnnData(
        sp.csr_matrix(COUNTS.astype(float)), obs=pd.DataFrame({"type": ["T", "B", "T"]}, index=list("abc"))
    )
    adata.var_names = ["g1", "g2", "g3"]
    adata.raw = adata.copy()
    adata = adata[:, :2].copy()
    adata.X = sp.csr_matrix(np.log1p(adata.X.toarray() / 7))
    adata.write_h5ad(tmp_path / "x.h5ad")
    for layer in ("raw", "raw.X"):
        loaded = h5ad.load(tmp_path / "x.h5ad", layer=layer, label_key="type")
        np.testing.assert_array_equal(loaded.X.toarray(), COUNTS)
        assert list(loaded.var_names) == ["g1", "g2", "g3"]
        assert list(loaded.obs["label"]) == ["T", "B", "T"]
    with pytest.raises(InvalidDataset, match=r"counts are in dataset\.layer=raw"):
        h5ad.load(tmp_path / "x.h5ad")
    adata.layers["raw"] = sp.csr_matrix(COUNTS[:, :2] + 1)  # a layer of that name is what is named
    adata.write_h5ad(tmp_path / "x.h5ad")
    np.testing.assert_array_equal(h5ad.load(tmp_path / "x.h5ad", layer="raw").X.toarray(), COUNTS[:, :2] + 1)


def test_proteins_are_read_from_whatever_holds_them(tmp_path):
    proteins = np.array([[1, 0], [0, 3], [5, 0]])
    adata = ad.AnnData(sp.csr_matrix(COUNTS.astype(np.float32)), obs=pd.DataFrame(index=list("abc")))
    adata.obsm["sparse"] = sp.csr_matrix(proteins)
    adata.obsm["frame"] = pd.DataFrame(proteins, index=list("abc"), columns=["CD3", "CD4"])
    adata.obsm["words"] = pd.DataFrame({"CD3": ["x", "y", "z"]}, index=list("abc"))
    adata.write_h5ad(tmp_path / "x.h5ad")
    for key in ("sparse", "frame"):
        loaded = h5ad.load(tmp_path / "x.h5ad", protein_key=key)
        np.testing.assert_array_equal(loaded.obsm["protein"], proteins)
    with pytest.raises(InvalidDataset, match=r"obsm\['words'\] does not hold numbers"):
        h5ad.load(tmp_path / "x.h5ad", protein_key="words")


def test_names_that_are_numbers_and_labels_that_are_empty(tmp_path):
    obs = pd.DataFrame({"0": ["T", "B", "T"], "true": ["x", "y", "y"], "gap": ["T", " ", "B"]}, index=list("abc"))
    ad.AnnData(sp.csr_matrix(COUNTS), obs=obs).write_h5ad(tmp_path / "x.h5ad")
    loaded = h5ad.load(tmp_path / "x.h5ad", label_key=0, batch_key=True, obs_columns=[0])
    assert list(loaded.obs["label"]) == list(loaded.obs["0"]) == ["T", "B", "T"]
    assert list(loaded.obs["batch"]) == ["x", "y", "y"]
    with pytest.raises(InvalidDataset, match=r"label of cell 'b' \(row 1\) is missing"):
        h5ad.load(tmp_path / "x.h5ad", label_key="gap")
    kept = h5ad.load(tmp_path / "x.h5ad", label_key="gap", cells_with="gap")
    assert list(kept.obs["label"]) == ["T", "B"]


def test_the_layers_of_velocyto_and_genes_of_one_symbol(tmp_path, raw):
    path = raw.loom(tmp_path / "x.loom", COUNTS, list("abc"), ["5S", "5S", "g"])
    with h5py.File(path, "a") as file:
        file["row_attrs/Accession"] = np.array(["ENSG1", "ENSG2", "ENSG3"], "S")
        file["layers/spliced"] = (COUNTS * 2).T
    loaded = h5ad.load(path, layer="spliced", var_columns=["Gene"])
    np.testing.assert_array_equal(loaded.X.toarray(), COUNTS * 2)
    assert list(loaded.var_names) == ["ENSG1", "ENSG2", "ENSG3"]
    assert list(loaded.var["Gene"]) == ["5S", "5S", "g"]
    np.testing.assert_array_equal(h5ad.load(path).X.toarray(), COUNTS)
    with pytest.raises(InvalidDataset, match=r"no layer 'unspliced' in x\.loom; there are: spliced"):
        h5ad.load(path, layer="unspliced")
