"""Several matrices in one place: read as they were written where one is meant, else listed; and what is no data."""

import bz2
import gzip
import io
import lzma
import tarfile
import warnings
import zipfile

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from datasets import h5ad
from datasets.base import InvalidDataset
from datasets.io import formats
from datasets.io.formats import mtx

COUNTS = np.array([[1, 0, 20], [0, 3, 0], [4, 0, 9], [0, 0, 1]])
OTHER = np.array([[7, 7, 0], [0, 1, 1], [2, 0, 2], [5, 0, 0]])
CELLS = ["AAACAAAC-1", "AAAGAAAC-1", "AAATAAAC-1", "AACCAAAC-1"]
IDS = ["ENSG1", "ENSG2", "ENSG3"]


def same(table, counts=COUNTS, cells=CELLS, genes=IDS):
    np.testing.assert_array_equal(sp.csr_matrix(table.X).toarray(), counts)
    assert list(table.cells) == list(cells)
    assert list(table.genes) == list(genes)


def put(folder, parts, prefix="", ending=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, "": bytes}[ending]
    for name, content in parts.items():
        (folder / f"{prefix}{name}{ending}").write_bytes(pack(content))
    return folder


def tar(path, folder, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        archive.add(folder, arcname=folder.name)
    return path


def zipped(path, folder):
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder.parent))
    return path


@pytest.fixture
def parts(raw):
    return raw.tenx_parts(COUNTS, CELLS, IDS, ["A", "B", "C"])


@pytest.fixture
def other(raw):
    return raw.tenx_parts(OTHER, CELLS, IDS, ["A", "B", "C"])


@pytest.fixture
def adata():
    return ad.AnnData(sp.csr_matrix(COUNTS), obs=pd.DataFrame(index=CELLS), var=pd.DataFrame(index=IDS))


@pytest.mark.parametrize(
    "pack", [lambda folder: folder, lambda f: tar(f.parent / "x.tgz", f), lambda f: zipped(f.parent / "x.zip", f)]
)
def test_of_filtered_and_raw_one_is_chosen_by_name(tmp_path, parts, other, pack):
    outs = tmp_path / "outs"
    put(outs / "filtered_feature_bc_matrix", parts)
    put(outs / "raw_feature_bc_matrix", other)
    (outs / "metrics_summary.csv").write_text("Estimated Number of Cells,Mean\n4,3\n")
    (outs / "._matrix.mtx").write_bytes(b"what macOS adds")
    where = pack(outs)
    with pytest.raises(
        InvalidDataset, match=r"2 matrices \(.*filtered_feature_bc_matrix, .*raw_.*\): choose one, e\.g\. data"
    ):
        formats.read(where)
    same(formats.read(where, part="filtered_feature_bc_matrix"))
    same(formats.read(where, part="raw_feature_bc_matrix"), OTHER)
    with pytest.raises(InvalidDataset, match=r"no one part 'feature' in .*; there are: .*filtered_feature_bc_matrix, "):
        formats.read(where, part="feature")
    with pytest.raises(InvalidDataset, match="no one part"):
        formats.read(where, part="filtered_feature_bc_matrix/deeper")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_samples_of_geo_are_told_apart_by_the_start_of_their_names(tmp_path, parts, other, mode):
    folder = put(tmp_path / "GSE1", parts, "GSM1_P1_")
    for where in (folder, tar(tmp_path / "RAW.tar", folder, mode), folder / "GSM1_P1_matrix.mtx.gz"):
        same(formats.read(where))
    put(folder, other, "GSM2_P2.", ".bz2")
    for where in (folder, tar(tmp_path / "RAW.tar", folder, mode)):
        same(formats.read(where, part="GSM1_P1"))
        same(formats.read(where, part="GSM2_P2"), OTHER)
        with pytest.raises(InvalidDataset, match=r"holds 2 matrices \(.*GSM1_P1, .*GSM2_P2\)"):
            formats.read(where)
    same(formats.read(folder / "GSM2_P2.matrix.mtx.bz2"), OTHER)
    (folder / "GSM2_P2.barcodes.tsv.bz2").unlink()
    with pytest.raises(
        InvalidDataset, match=r"has no barcodes\.tsv for GSM2_P2\.matrix\.mtx\.bz2 \(it has: .*GSM1_P1_"
    ):
        formats.read(folder, part="GSM2_P2")


def test_the_digest_is_that_of_what_was_read(tmp_path, parts, other):
    put(tmp_path / "a", parts)
    put(tmp_path / "b", other)
    digests = [h5ad.load(tmp_path, part=part).uns["source"]["sha256"] for part in "ab"]
    assert [set(digest) for digest in digests] == [{"matrix.mtx.gz", "barcodes.tsv.gz", "genes.tsv.gz"}] * 2
    assert digests[0]["matrix.mtx.gz"] != digests[1]["matrix.mtx.gz"]
    assert h5ad.load(tmp_path, part="b").uns["source"]["steps"] == [f"read {tmp_path.name}, of it b"]


def test_matrices_that_share_their_names_and_those_of_kallisto(tmp_path, parts, other):
    velocyto = put(tmp_path / "Velocyto", parts | {"spliced.mtx": other["matrix.mtx"]}, ending="")
    (velocyto / "matrix.mtx").rename(velocyto / "unspliced.mtx")
    same(formats.read(velocyto, part="spliced"), OTHER)
    same(formats.read(velocyto, part="unspliced"))
    entries = parts["matrix.mtx"].decode().splitlines()
    start = next(i for i, line in enumerate(entries) if not line.startswith("%"))
    turned = [" ".join([*line.split()[1::-1], line.split()[2]]) for line in entries[start:]]
    kallisto = {"mtx": "\n".join([*entries[:start], *turned]).encode(), "barcodes.txt": parts["barcodes.tsv"]}
    kallisto["genes.txt"] = "".join(f"{gene}\n" for gene in IDS).encode()
    same(formats.read(put(tmp_path / "kb", kallisto, "cells_x_genes.", "")))


def test_lists_of_names_with_quotes_numbers_or_another_third_column(tmp_path, parts):
    for number, (name, content) in enumerate(
        {
            "barcodes.tsv": "".join(f'"{cell}"\n' for cell in CELLS),
            "genes.tsv": "".join(f'"{i}"\t"{gene}"\t"S{i}"\n' for i, gene in enumerate(IDS, 1)),
            "features.tsv": "".join(f"{gene}\tS\tchr1\t+\n" for gene in IDS),
        }.items()
    ):
        files = {key: value for key, value in parts.items() if not (name == "features.tsv" and key == "genes.tsv")}
        same(formats.read(put(tmp_path / str(number), files | {name: content.encode()})))
    names = [str(i) for i in range(4)]  # as scanpy calls cells, which is no header above row numbers
    same(formats.read(put(tmp_path / "0", parts | {"barcodes.tsv": "\n".join(names).encode()})), cells=names)
    numbered = "x\n" + "".join(f'"{i}"\t"{cell}"\n' for i, cell in enumerate(CELLS, 1))
    same(formats.read(put(tmp_path / "n", parts | {"barcodes.tsv": numbered.encode()})))
    with pytest.raises(InvalidDataset, match=r"names the cells or genes of a matrix: name the matrix, matrix\.mtx\.gz"):
        formats.read(tmp_path / "n" / "barcodes.tsv.gz")
    swapped = put(tmp_path / "h", parts | {"barcodes.tsv": b"x\n" + parts["barcodes.tsv"]})
    with pytest.raises(InvalidDataset, match="a list of names has a line too many, remove it where it is a header"):
        formats.read(swapped)
    peaks = "".join(f"{gene}\tS\tPeaks\n" for gene in IDS).encode()
    with pytest.raises(
        InvalidDataset, match=r"counts no genes \('Gene Expression'\), but Peaks: name a file with genes"
    ):
        formats.read(put(tmp_path / "p", {**parts, "genes.tsv": peaks}))


def test_files_are_read_through_compression_and_archives(tmp_path, adata, raw):
    adata.write_h5ad(tmp_path / "x.h5ad")
    for ending, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)):
        (tmp_path / f"GSE1.h5ad{ending}").write_bytes(pack((tmp_path / "x.h5ad").read_bytes()))
        same(formats.read(tmp_path / f"GSE1.h5ad{ending}"))
    folder = tmp_path / "more"
    folder.mkdir()
    raw.tenx_h5(folder / "GSM1_filtered.h5", COUNTS, CELLS, IDS, IDS)
    (folder / "molecule_info.h5").write_bytes(b"not looked at")
    same(formats.read(zipped(tmp_path / "x.zip", folder)))
    (folder / "GSM2_counts.csv.gz").write_bytes(gzip.compress(b"cell,g1\nc1,1\n"))  # beside matrices, a summary
    same(formats.read(folder))
    inner = tmp_path / "inner"
    inner.mkdir()
    tar(inner / "GSM1.tar.gz", folder)
    same(formats.read(tar(tmp_path / "RAW.tar", inner, "w")))
    raw.tenx_h5(folder / "GSM3_filtered.h5", OTHER, CELLS, IDS, IDS)
    tar(inner / "GSM3.tar.gz", folder)
    same(formats.read(inner, part="GSM3.tar.gz/GSM3_filtered.h5"), OTHER)


def test_several_genomes_and_modalities(tmp_path, adata, raw):
    path = raw.tenx_h5(tmp_path / "hgmm.h5", COUNTS, CELLS, IDS, IDS, genome="hg19")
    with h5py.File(path, "a") as file, h5py.File(raw.tenx_h5(tmp_path / "m.h5", OTHER, CELLS, IDS, IDS), "r") as mouse:
        mouse.copy("mm10", file)
    same(formats.read(path, part="hg19"))
    same(formats.read(path, part="mm10"), OTHER)
    with pytest.raises(
        InvalidDataset, match=r"hgmm\.h5 holds 2 matrices \(hg19, mm10\): choose one, e\.g\. dataset\.part=hg19"
    ):
        formats.read(path)
    newer = raw.tenx_h5(tmp_path / "new.h5", COUNTS, CELLS, IDS, IDS, kinds=["Gene Expression"] * 3)
    with h5py.File(newer, "a") as file:
        file["matrix/features/genome"] = np.array(["hg38", "mm10", "hg38"], "S")
    same(formats.read(newer, part="matrix"))
    with pytest.raises(InvalidDataset, match=r"new\.h5 holds 3 matrices \(hg38, mm10, matrix\): choose one"):
        formats.read(newer)
    same(formats.read(newer, part="hg38"), COUNTS[:, [0, 2]], genes=["ENSG1", "ENSG3"])
    with pytest.raises(InvalidDataset, match=r"no one part 'hg19' in .*; there are: hg38, mm10, matrix\."):
        formats.read(newer, part="hg19")
    adata.write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5mu", "w") as file, h5py.File(tmp_path / "x.h5ad", "r") as rna:
        for name in ("rna", "prot"):
            rna.copy("/", file.require_group("mod"), name)
    same(formats.read(tmp_path / "x.h5mu", part="rna"))
    with pytest.raises(InvalidDataset, match=r"holds 2 matrices \(prot, rna\)"):
        formats.read(tmp_path / "x.h5mu")
    with pytest.raises(InvalidDataset, match=r"x\.h5ad holds one matrix and no part 'rna': leave dataset\.part out"):
        formats.read(tmp_path / "x.h5ad", part="rna")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_stores(tmp_path, adata, version):
    with ad.settings.override(zarr_write_format=version), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other versions of anndata will write
        adata.write_zarr(tmp_path / "deep" / "my.zarr")
    store = tmp_path / "deep" / "my.zarr"
    for where in (store, store.parent):
        same(formats.read(where))
    with zipfile.ZipFile(tmp_path / "my.zarr.zip", "w") as archive:
        for file in (file for file in store.rglob("*") if file.is_file()):
            archive.write(file, file.relative_to(store))
    same(formats.read(tmp_path / "my.zarr.zip"))
    with pytest.raises(InvalidDataset, match=r"x\.tgz holds a Zarr store in an archive: unpack it first"):
        formats.read(tar(tmp_path / "x.tgz", store))
    loaded = [h5ad.load(store).uns["source"]["sha256"] for _ in range(2)]
    assert loaded[0] == loaded[1]
    assert len(loaded[0]) == 64
    zarr.open_group(str(tmp_path / "empty.zarr"), mode="w", zarr_format=version).create_group("images")
    with pytest.raises(InvalidDataset, match=r"empty\.zarr holds images and no AnnData"):
        formats.read(tmp_path / "empty.zarr")


def npz():
    content = io.BytesIO()
    np.savez(content, x=np.arange(3))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            gzip.compress(b"X\n\x00\x00\x00\x03\x00\x04\x03\x01" + bytes(99), mtime=0),
            r"an R object \(\.rds\).*: open it in R and",
        ),
        (bz2.compress(b"RDX3\nX\n" + bytes(99)), "a workspace of R"),
        (b"PAR1" + bytes(99), "a Parquet table"),
        (b"\x80\x04\x95" + bytes(99), "a Python pickle"),
        (npz(), r"an archive of NumPy arrays"),
        (b"\xd0\xcf\x11\xe0" + bytes(99), r"an Excel workbook, .*: save the sheet as \.csv"),
        (b"\x28\xb5\x2f\xfd" + bytes(99), "compressed by Zstandard"),
        (
            b"%%MatrixMarket matrix coordinate integer general\n",
            r"has no barcodes\.tsv for my\.mtx \(it has: my\.mtx\)",
        ),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_name_and_not_damaged(tmp_path, content, said):
    (tmp_path / "my.mtx").write_bytes(content)
    with pytest.raises(InvalidDataset, match=said) as error:
        formats.read(tmp_path / "my.mtx")
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            ("barcode_idx", "umi", "count"),
            r"molecule_info\.h5, a list of molecules.*name filtered_feature_bc_matrix\.h5",
        ),
        (("assays", "cell.names", "reductions"), "an h5Seurat file"),
    ],
)
def test_hdf5_of_other_programs(tmp_path, keys, said):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for key in keys:
            file[key] = np.arange(3)
    with pytest.raises(InvalidDataset, match=said):
        formats.read(tmp_path / "x.h5")


def test_a_folder_without_a_matrix_says_what_it_has(tmp_path):
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(InvalidDataset, match=r"has no matrix of counts \(it has: notes\.md\)"):
        formats.read(tmp_path)


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_a_comma_in_a_list_of_one_column_is_part_of_the_name(ending):
    assert mtx._lines(b"a,1\nb,2\n", f"x/barcodes.tsv{ending}") == [["a,1", "b,2"]]
    assert mtx._lines(b"a,1\nb,2\n", f"x/barcodes.csv{ending}") == [["a", "b"], ["1", "2"]]
