"""Writers of small files in the raw formats of the public data sets."""

import gzip
import io
import pickle
import tarfile
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp


def tenx_parts(X, barcodes, ids, symbols):
    """The three files of a CellRanger 2 folder, as bytes; ``X`` is cells × genes."""
    matrix = io.BytesIO()
    scipy.io.mmwrite(matrix, sp.coo_matrix(np.asarray(X).T), field="integer")
    return {
        "matrix.mtx": matrix.getvalue(),
        "genes.tsv": "".join(f"{i}\t{s}\n" for i, s in zip(ids, symbols, strict=True)).encode(),
        "barcodes.tsv": "".join(f"{b}\n" for b in barcodes).encode(),
    }


def tenx_archive(path, X, barcodes, ids, symbols, genome="GRCh38", parts=None):
    """A ``.tar.gz`` as 10x Genomics deposits it."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (parts or tenx_parts(X, barcodes, ids, symbols)).items():
            member = tarfile.TarInfo(f"filtered_gene_bc_matrices/{genome}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def tenx_h5(path, X, barcodes, ids, symbols, genome="mm10", kinds=None):
    """A 10x HDF5 file: of CellRanger 1 and 2 (a group named by the genome), or 3 if ``kinds`` of features are given."""
    X = sp.csr_matrix(X)  # rows of cells = columns of cells of the transposed matrix
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if kinds is not None else genome)
        options = {"compression": "gzip", "chunks": True} if X.nnz else {}
        group.create_dataset("data", data=X.data.astype(np.int32), **options)
        group.create_dataset("indices", data=X.indices.astype(np.int64), **options)
        group.create_dataset("indptr", data=X.indptr.astype(np.int64))
        group.create_dataset("shape", data=np.array(X.shape[::-1], dtype=np.int32))
        group.create_dataset("barcodes", data=np.array(barcodes, dtype="S"))
        names = {"genes": ids, "gene_names": symbols}
        if kinds is not None:
            group = group.create_group("features")
            names = {"id": ids, "name": symbols, "feature_type": kinds}
        for key, values in names.items():
            group.create_dataset(key, data=np.array(values, dtype="S"))
    return path


def loom(path, X, cells, genes, col_attrs=None):
    """A loom file: genes × cells."""
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", data=np.asarray(X).T.astype(np.float32), compression="gzip")
        text = h5py.string_dtype()
        file.create_group("row_attrs").create_dataset("Gene", data=np.array(genes, dtype=object), dtype=text)
        attributes = file.create_group("col_attrs")
        attributes.create_dataset("CellID", data=np.array(cells, dtype=object), dtype=text)
        for key, values in (col_attrs or {}).items():
            attributes.create_dataset(key, data=values)
        file.create_group("layers")
    return path


def gzipped(path, text):
    """A gzipped text file."""
    path.write_bytes(gzip.compress(text.encode()))
    return path


def old_pickle(path, tables):
    """A pickle as pandas 0.2x under Python 3 wrote it; values are arrays, or ``(columns, index, {dtype: block})``."""

    def fragment(value):
        return pickle.dumps(value, 3)[2:-1].replace(b"numpy._core", b"numpy.core")

    def index(values):
        return (
            b"cpandas.core.indexes.base\n_new_Index\ncpandas.core.indexes.base\nIndex\n}(U\x04data"
            + fragment(np.array(values, dtype=object))
            + b"U\x04nameNu\x86R"
        )

    def frame(columns, rows, blocks):
        items = [names for names, _ in blocks]
        state = (
            b"(](" + index(columns) + index(rows) + b"e]("
            + b"".join(fragment(np.ascontiguousarray(values)) for _, values in blocks) + b"e]("
            + b"".join(index(names) for names in items) + b"e}t"
        )  # fmt: skip
        manager = b"cpandas.core.internals\nBlockManager\n)\x81" + state + b"b"
        return b"cpandas.core.frame\nDataFrame\n)\x81}(U\x05_data" + manager + b"U\x04_typU\tdataframeub"

    content = b"\x80\x03}("
    for key, value in tables.items():
        content += fragment(key) + (frame(*value) if isinstance(value, tuple) else fragment(value))
    path.write_bytes(content + b"u.")
    return path


def file(path, sha256=None):
    """An entry of a ``files`` block for a file that is there."""
    return {"name": path.name, "urls": [], "sha256": sha256, "bytes": None}


@pytest.fixture
def raw():
    """The writers."""
    return SimpleNamespace(
        tenx_parts=tenx_parts,
        tenx_archive=tenx_archive,
        tenx_h5=tenx_h5,
        loom=loom,
        gzipped=gzipped,
        old_pickle=old_pickle,
        file=file,
    )


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Nothing a test does may leave a trace in the user's cache."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
