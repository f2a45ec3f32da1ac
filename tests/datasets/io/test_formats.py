"""The one reader, on small files in every format, whole and damaged."""

import gzip

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from datasets import h5ad
from datasets.base import InvalidDataset
from datasets.io import formats

COUNTS = np.array([[1, 0, 20], [0, 3, 0], [4, 0, 9], [0, 0, 1]])
CELLS = ["AAAC-1", "AAAG-1", "AAAT-1", "AACC-1"]
IDS = ["ENSG1", "ENSG2", "ENSG3"]
SYMBOLS = ["A", "B", "A"]  # symbols repeat in real files, ids do not


def same(table, cells=CELLS, genes=IDS):
    np.testing.assert_array_equal(sp.csr_matrix(table.X).toarray(), COUNTS)
    assert list(table.cells) == list(cells)
    assert list(table.genes) == list(genes)


def test_10x_hdf5_of_both_generations(tmp_path, raw):
    same(formats.read(raw.tenx_h5(tmp_path / "old.h5", COUNTS, CELLS, IDS, SYMBOLS)))
    kinds = ["Gene Expression"] * 3
    table = formats.read(raw.tenx_h5(tmp_path / "new.h5", COUNTS, CELLS, IDS, SYMBOLS, kinds=kinds))
    same(table)
    assert list(table.var["symbol"]) == SYMBOLS


def test_antibodies_of_a_10x_file_become_proteins(tmp_path, raw):
    X = np.hstack([COUNTS, [[7], [8], [0], [9]]])
    kinds = ["Gene Expression"] * 3 + ["Antibody Capture"]
    path = raw.tenx_h5(tmp_path / "cite.h5", X, CELLS, [*IDS, "CD3"], [*SYMBOLS, "CD3"], kinds=kinds)
    table = formats.read(path)
    same(table)
    np.testing.assert_array_equal(table.obsm["protein"].ravel(), [7, 8, 0, 9])
    assert h5ad.load(path, protein_key="protein").obsm["protein"].shape == (4, 1)


def test_10x_folder_and_archive(tmp_path, raw):
    parts = raw.tenx_parts(COUNTS, CELLS, IDS, SYMBOLS)
    folder = tmp_path / "filtered" / "GRCh38"
    folder.mkdir(parents=True)
    for name, content in parts.items():
        (folder / name).write_bytes(content)
    same(formats.read(tmp_path / "filtered"))
    newer = tmp_path / "newer"
    newer.mkdir()
    for name, content in parts.items():
        name = name.replace("genes", "features")
        if name == "features.tsv":
            content = content.replace(b"\n", b"\tGene Expression\n")
        (newer / f"{name}.gz").write_bytes(gzip.compress(content))
    same(formats.read(newer))
    same(formats.read(raw.tenx_archive(tmp_path / "x.tar.gz", COUNTS, CELLS, IDS, SYMBOLS)))


def test_loom_with_annotations(tmp_path, raw):
    path = raw.loom(tmp_path / "x.loom", COUNTS, CELLS, IDS, {"ClusterID": np.array([1, 2, 1, 2])})
    table = formats.read(path)
    same(table)
    assert list(h5ad.load(path, label_key="ClusterID").obs["label"]) == ["1", "2", "1", "2"]


@pytest.mark.parametrize(("cells", "genes"), [(CELLS[1:], IDS), (CELLS, IDS[1:])])
def test_names_that_are_too_few_are_said(tmp_path, raw, cells, genes):
    path = raw.loom(tmp_path / "x.loom", COUNTS, cells, genes, {})
    with pytest.raises(InvalidDataset, match=rf"x\.loom holds 4 cells × 3 genes and names {len(cells)} cells and "):
        formats.read(path)


def test_anndata_under_another_name(tmp_path):
    adata = ad.AnnData(sp.csr_matrix(COUNTS), obs=pd.DataFrame(index=CELLS), var=pd.DataFrame(index=IDS))
    adata.write_h5ad(tmp_path / "x.hdf5")
    same(formats.read(tmp_path / "x.hdf5"))


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("corner", ["", "cell", None])  # None: R leaves the corner out altogether
def test_text_tables(tmp_path, raw, separator, quote, corner):
    def text(columns, rows, values):
        head = [] if corner is None else [corner]
        lines = [separator.join([f"{quote}{name}{quote}" for name in [*head, *columns]])]
        lines += [
            separator.join([f"{quote}{name}{quote}", *map(str, row)]) for name, row in zip(rows, values, strict=True)
        ]
        return "\n".join(lines)

    path = tmp_path / "x.csv"
    path.write_text(text(IDS, CELLS, COUNTS))
    same(formats.read(path))
    same(formats.read(raw.gzipped(tmp_path / "x.txt.gz", text(CELLS, IDS, COUNTS.T)), genes_in="rows"))


def test_values_that_are_not_integers_are_left_to_the_contract(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("cell,g1,g2\nc1,1,2\nc2,0.5,3\n")
    with pytest.raises(ValueError, match=r"not an integer at cell 'c2' \(row 1\), gene 'g1'"):
        h5ad.load(path)
    path.write_text("cell,g1,g2\nc1,1,2\nc2,1e2,3.0\n")
    np.testing.assert_array_equal(h5ad.load(path).X.toarray(), [[1, 2], [100, 3]])


def test_labels_from_a_table_beside_the_counts(tmp_path, raw):
    path = raw.tenx_h5(tmp_path / "x.h5", COUNTS, CELLS, IDS, SYMBOLS)
    (tmp_path / "labels.csv").write_text("barcode,type,n\nAACC,T,4\nAAAC,B,1\nAAAG,B,2\nAAAT,T,3\n")
    adata = h5ad.load(path, annotations=tmp_path / "labels.csv", label_key="type", obs_columns={"qc_n": "n"})
    assert list(adata.obs["label"]) == ["B", "B", "T", "T"]
    assert list(adata.obs["qc_n"]) == [1, 2, 3, 4]
    for columns, slots in (("n", {"n"}), (["n", "type"], {"n", "type"}), (None, set())):
        adata = h5ad.load(path, annotations=tmp_path / "labels.csv", obs_columns=columns)
        assert set(adata.obs) == slots
    (tmp_path / "labels.csv").write_text("barcode,type\nAACC,T\n")
    with pytest.raises(InvalidDataset, match=r"says nothing of 3 of the 4 cells \(the first is 'AAAC-1'\)"):
        h5ad.load(path, annotations=tmp_path / "labels.csv", label_key="type")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell,g1,g2\nc1,1,2\nc2,1\n", r"Line 3 .*row 'c2'\) has 1 counts where 2 are announced"),
        ("cell,g1,g2\nc1,1,2\nc2,1,x\n", r"Line 3 .*row 'c2', column 'g2'\) has 'x' where a count"),
        ("cell,g1,g2\nc1,1,2\nc2,,3\n", r"Line 3 .*row 'c2', column 'g1'\) has ''"),
        ("cell,g1,g2\n", "no rows of counts"),
        ("<html><body>Not found</body></html>", "is a web page"),
        ("", "is empty"),
        ("nothing here\nto see\n", r"Line 2 .*row 'to', column 'here'\) has 'see'"),
        ("nothing\nhere\n", "names 1 columns and its first row has 1 fields"),
    ],
)
def test_damaged_text_is_named_with_its_place(tmp_path, text, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InvalidDataset, match=message):
        formats.read(path)


def test_truncated_files(tmp_path, raw):
    whole = raw.tenx_h5(tmp_path / "whole.h5", np.tile(COUNTS, (50, 1)), [f"c{i}" for i in range(200)], IDS, SYMBOLS)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[:-600])
    with pytest.raises(InvalidDataset, match=r"cut\.h5 cannot be read"):
        formats.read(cut)
    archive = raw.tenx_archive(tmp_path / "whole.tar.gz", COUNTS, CELLS, IDS, SYMBOLS)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(archive.read_bytes()[:-80])
    with pytest.raises(InvalidDataset, match=r"cut\.tar\.gz is cut off or damaged"):
        formats.read(cut)
    table = raw.gzipped(tmp_path / "t.csv.gz", "cell,g\n" + "c,1\n" * 50)
    table.write_bytes(table.read_bytes()[:-9])
    with pytest.raises(InvalidDataset, match=r"t\.csv\.gz is cut off or damaged"):
        formats.read(table)
    (tmp_path / "noise.csv").write_bytes(bytes(range(128, 256)) * 20)
    with pytest.raises(InvalidDataset, match="neither text in UTF-8 nor a format this reader knows"):
        formats.read(tmp_path / "noise.csv")


def test_a_matrix_that_does_not_fit_its_names(tmp_path, raw):
    parts = raw.tenx_parts(COUNTS, CELLS, IDS, SYMBOLS)
    swapped = dict(parts)
    swapped["genes.tsv"], swapped["barcodes.tsv"] = parts["barcodes.tsv"], parts["genes.tsv"]
    archive = tmp_path / "x.tar.gz"
    with pytest.raises(InvalidDataset, match="genes and cells are swapped"):
        formats.read(raw.tenx_archive(archive, None, None, None, None, parts=swapped))
    short = parts | {"barcodes.tsv": b"AAAC-1\n"}
    with pytest.raises(InvalidDataset, match="3 genes and 1 barcodes: a file is cut off"):
        formats.read(raw.tenx_archive(archive, None, None, None, None, parts=short))
    cut = parts | {"matrix.mtx": parts["matrix.mtx"].rstrip().rpartition(b"\n")[0] + b"\n"}
    with pytest.raises(InvalidDataset, match=r"x\.tar\.gz"):
        formats.read(raw.tenx_archive(archive, None, None, None, None, parts=cut))
    page = parts | {"matrix.mtx": b"<!DOCTYPE html><html></html>"}
    with pytest.raises(InvalidDataset, match=r"x\.tar\.gz/.*/matrix\.mtx is a web page"):
        formats.read(raw.tenx_archive(archive, None, None, None, None, parts=page))
    gone = parts | {"genes.tsv": b""}
    with pytest.raises(InvalidDataset, match=r"x\.tar\.gz/.*/genes\.tsv is empty"):
        formats.read(raw.tenx_archive(archive, None, None, None, None, parts=gone))
    del parts["matrix.mtx"]
    with pytest.raises(InvalidDataset, match=r"has no matrix\.mtx \(it has: barcodes\.tsv, genes\.tsv\)"):
        formats.read(raw.tenx_archive(archive, None, None, None, None, parts=parts))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"3 4 6", b"3 4 5", "has 6 of 5 entries: it is cut off or damaged"),
        (b"3 4 6", b"3 4 7", "has 6 of 7 entries: it is cut off or damaged"),
        (b"3 4 6", b"2 4 6", "has an entry outside its 2 × 4"),
        (b"3 4 6", b"3 4", r"cannot be read \("),
        (b"\n1 1 1\n", b"\n1 1\n", "has 5 of 6 entries"),
        (b"\n1 1 1\n", b"\n1 1 1 7\n", r"cannot be read \("),
        (b"\n1 1 1\n", b"\n0 1 1\n", "has an entry outside its 3 × 4"),
        (b"\n1 1 1\n", b"\n1 1 x\n", r"cannot be read \("),
        (b"coordinate integer general", b"array integer general", "is 'matrix array integer general', where 10x"),
        (b"coordinate integer general", b"coordinate integer symmetric", "symmetric', where 10x writes"),
    ],
)
def test_a_matrix_market_file_that_contradicts_itself(tmp_path, raw, old, new, message):
    for name, content in raw.tenx_parts(COUNTS, CELLS, IDS, SYMBOLS).items():
        assert name != "matrix.mtx" or old in content
        (tmp_path / name).write_bytes(content.replace(old, new) if name == "matrix.mtx" else content)
    with pytest.raises(InvalidDataset, match=message):
        formats.read(tmp_path)


def test_the_damaged_part_of_a_folder_is_named(tmp_path, raw):
    parts = raw.tenx_parts(COUNTS, CELLS, IDS, SYMBOLS)
    for name, content in parts.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    np.testing.assert_array_equal(formats.read(tmp_path).X.toarray(), COUNTS)
    for name in parts:
        path = tmp_path / f"{name}.gz"
        whole = path.read_bytes()
        for damaged, problem in (
            (whole[:-6], r"is cut off or damaged \(.*\): download it again\.$"),
            (whole[:-8] + bytes(8), r"is cut off or damaged \(.*\): download it again\.$"),
            (b"<html>404</html>", "is a web page"),
        ):
            path.write_bytes(damaged)
            with pytest.raises(InvalidDataset, match=rf"{name}\.gz {problem}"):
                formats.read(tmp_path)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"x\.tar\.gz is empty"),
        (b"<!DOCTYPE html><html></html>", r"x\.tar\.gz is a web page"),
        (gzip.compress(b"<html></html>", mtime=0), r"x\.tar\.gz is a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            r"x\.tar\.gz is a pointer that Git LFS left .*: fetch the content with git lfs pull",
        ),
    ],
)
def test_an_archive_that_is_none_is_said_in_one_line(tmp_path, content, message):
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(InvalidDataset, match=message) as error:
        formats.read(tmp_path / "x.tar.gz")
    assert "\n" not in str(error.value)


def test_the_last_bytes_of_an_archive_are_missed(tmp_path, raw):
    """The parts are all there, the checksum of the whole is not."""
    path = raw.tenx_archive(tmp_path / "x.tar.gz", COUNTS, CELLS, IDS, SYMBOLS)
    np.testing.assert_array_equal(formats.read(path).X.toarray(), COUNTS)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InvalidDataset, match=r"x\.tar\.gz is cut off or damaged"):
        formats.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.__delitem__("indices"), "lacks indices"),
        (lambda g: g["shape"].write_direct(np.array([4, 3], dtype=np.int32)), "are genes and cells swapped"),
        (lambda g: g["indices"].write_direct(np.full(g["indices"].shape, 9)), "index outside its 3 genes"),
        (lambda g: g["indptr"].write_direct(np.array([0, 2, 3, 5, 60])), "6 values and 6 indices where 60"),
        (lambda g: g["indptr"].write_direct(np.array([0, 5, 3, 5, 6])), "do not follow one another"),
        (lambda g: g["indptr"].write_direct(np.array([1, 2, 3, 5, 6])), "do not follow one another"),
    ],
)
def test_a_10x_file_whose_parts_disagree(tmp_path, raw, change, message):
    path = raw.tenx_h5(tmp_path / "x.h5", COUNTS, CELLS, IDS, SYMBOLS)
    with h5py.File(path, "a") as file:
        change(file["mm10"])
    with pytest.raises(InvalidDataset, match=message):
        formats.read(path)


def test_hdf5_of_something_else_and_a_missing_file(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["numbers"] = np.arange(3)
    with pytest.raises(InvalidDataset, match="should hold a 10x count matrix and holds numbers"):
        formats.read(tmp_path / "x.h5")
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.h5"):
        formats.read(tmp_path / "none.h5")
