"""The count matrices of 10x Genomics: HDF5 of both generations, and folders or archives of MatrixMarket files."""

import gzip
import io
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from ...base import InvalidDataset
from ..fetch import looks_like_html
from .table import GZIP, Table, readable, strings

TENX_PARTS = ("matrix.mtx", "genes.tsv", "features.tsv", "barcodes.tsv")


def tenx_group(file, path):
    """The group with the matrix in a 10x HDF5 file: ``matrix`` (CellRanger 3 on) or named by the genome."""
    groups = [name for name in file if isinstance(file[name], h5py.Group) and "indptr" in file[name]]
    if len(groups) != 1:
        found = ", ".join(groups or file) or "nothing"
        raise InvalidDataset(f"{path} should hold one 10x count matrix and holds {found}: is it a 10x .h5 file?")
    group = file[groups[0]]
    missing = {"data", "indices", "shape", "barcodes"} - set(group)
    if missing:
        raise InvalidDataset(f"The 10x matrix of {path} lacks {', '.join(sorted(missing))}: the file is damaged.")
    return group


def tenx_genes(group):
    """Ids, symbols and kinds of the rows of a 10x matrix."""
    if "features" in group:
        features = group["features"]
        return tuple(strings(features[name][:]) for name in ("id", "name", "feature_type"))
    ids, symbols = strings(group["genes"][:]), strings(group["gene_names"][:])
    return ids, symbols, np.full(len(ids), "Gene Expression")


def check_tenx(group, path):
    """Refuse a 10x matrix whose parts do not fit together; return (n_genes, n_cells)."""
    n_genes, n_cells = (int(n) for n in group["shape"][:])
    lengths = {name: group[name].shape[0] for name in ("data", "indices", "indptr", "barcodes")}
    n_values = int(group["indptr"][-1]) if lengths["indptr"] else 0
    if lengths["data"] != lengths["indices"] or lengths["data"] < n_values:
        raise InvalidDataset(
            f"{path} has {lengths['data']} values and {lengths['indices']} indices where {n_values} are announced: "
            "the file is cut off."
        )
    if lengths["indptr"] != n_cells + 1 or lengths["barcodes"] != n_cells:
        raise InvalidDataset(
            f"{path} announces {n_cells} cells, but has {lengths['barcodes']} barcodes and "
            f"{lengths['indptr'] - 1} columns: are genes and cells swapped?"
        )
    if len(tenx_genes(group)[0]) != n_genes:
        raise InvalidDataset(f"{path} announces {n_genes} genes and names {len(tenx_genes(group)[0])}: it is damaged.")
    return n_genes, n_cells


def read_10x_h5(path):
    """A 10x HDF5 file; antibody features go to ``obsm["protein"]``."""
    with h5py.File(path, "r") as file:
        group = tenx_group(file, path)
        n_genes, n_cells = check_tenx(group, path)
        ids, symbols, kinds = tenx_genes(group)
        cells = strings(group["barcodes"][:])
        parts = tuple(group[name][:] for name in ("data", "indices", "indptr"))
    if parts[1].size and not 0 <= parts[1].min() <= parts[1].max() < n_genes:
        raise InvalidDataset(f"{path} has a gene index outside its {n_genes} genes: the file is damaged.")
    if parts[2][0] != 0 or (np.diff(parts[2].astype(np.int64)) < 0).any():
        raise InvalidDataset(f"The columns of {path} do not follow one another: the file is damaged.")
    # Columns of cells, stored column by column: the same three arrays are rows of cells.
    return _tenx_table(sp.csr_matrix(parts, shape=(n_cells, n_genes)), cells, ids, symbols, kinds)


def _tenx_table(X, cells, ids, symbols, kinds):
    expression = kinds == "Gene Expression"
    antibodies = kinds == "Antibody Capture"
    obsm = {"protein": np.asarray(X[:, antibodies].todense())} if antibodies.any() else {}
    var = pd.DataFrame({"symbol": symbols[expression]}, index=ids[expression])
    return Table(X=X[:, np.flatnonzero(expression)], cells=cells, genes=ids[expression], var=var, obsm=obsm)


def read_10x_folder(path):
    """A folder with ``matrix.mtx``, ``genes.tsv`` or ``features.tsv``, ``barcodes.tsv``."""
    files = {file.name: file for file in sorted(Path(path).rglob("*")) if file.is_file()}
    return _read_10x_parts(path, {name: lambda file=file: file.read_bytes() for name, file in files.items()})


def read_10x_archive(path):
    """The same folder inside a ``.tar.gz``, read in memory: nothing is unpacked onto the disk."""
    parts = {}
    with open(path, "rb") as stream:
        zipped = stream.read(2) == GZIP
    with (gzip.open if zipped else open)(path, "rb") as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = Path(member.name).name
                if member.isfile() and name.removesuffix(".gz") in TENX_PARTS:
                    parts[name] = archive.extractfile(member).read()
        while stream.read(1 << 20):  # gzip keeps its checksum at the very end
            pass
    return _read_10x_parts(path, {name: lambda name=name: parts.pop(name) for name in parts})


def _read_10x_parts(path, files):
    """``files`` maps names to functions that return the bytes."""

    def part(read, *names):
        name = next((name for name in (*names, *(f"{name}.gz" for name in names)) if name in files), None)
        if name is None:
            found = ", ".join(sorted(files)[:8]) or "nothing"
            raise InvalidDataset(
                f"{path} has no {' or '.join(names)} (it has: {found}): it is not a 10x matrix folder."
            )
        with readable(f"{path}/{name}"):
            content = files[name]()
            content = gzip.decompress(content) if name.endswith(".gz") else content
            if not content or looks_like_html(content[:512]):
                problem = "a web page" if content else "empty"
                raise InvalidDataset(f"{path}/{name} is {problem}: download it again.")
            return read(content)

    cells = part(_lines, "barcodes.tsv")
    features = [line.split("\t") for line in part(_lines, "genes.tsv", "features.tsv")]
    X = part(lambda content: read_mtx(content, path), "matrix.mtx")
    if X.shape != (len(features), len(cells)):
        swapped = X.shape == (len(cells), len(features))
        raise InvalidDataset(
            f"The matrix of {path} is {X.shape[0]} × {X.shape[1]}, but there are {len(features)} genes and "
            f"{len(cells)} barcodes: "
            + ("genes and cells are swapped." if swapped else "a file is cut off or foreign, download them again.")
        )
    ids = np.array([fields[0] for fields in features])
    symbols = np.array([fields[min(1, len(fields) - 1)] for fields in features])
    kinds = np.array([fields[2] if len(fields) > 2 else "Gene Expression" for fields in features])
    return _tenx_table(X.T.tocsr(), np.array(cells), ids, symbols, kinds)


def read_mtx(content, path):
    """A MatrixMarket file as a sparse matrix of the shape it states."""
    header, _, body = content.partition(b"\n")
    words = header.decode("latin-1").lower().split()
    if words[:1] != ["%%matrixmarket"]:
        raise InvalidDataset(f"The matrix.mtx of {path} is not a MatrixMarket file: download it again.")
    if words[1:3] != ["matrix", "coordinate"] or words[3:] not in (["integer", "general"], ["real", "general"]):
        raise InvalidDataset(
            f"The matrix.mtx of {path} is '{' '.join(words[1:])}', where 10x writes 'matrix coordinate integer "
            "general': convert it, or download it again."
        )
    while body.startswith(b"%"):
        body = body.partition(b"\n")[2]
    announced, _, body = body.partition(b"\n")
    n_rows, n_columns, n_entries = (int(word) for word in announced.split())
    # Not scipy's mmread: it writes past its arrays where a damaged file has more entries than it announces.
    names = ["row", "column", "value"]
    entries = pd.read_csv(io.BytesIO(body), sep=r"\s+", header=None, names=names, index_col=False, comment="%")
    if len(entries) != n_entries or entries.isna().to_numpy().any():
        raise InvalidDataset(
            f"The matrix.mtx of {path} has {len(entries.dropna())} of {n_entries} entries: it is cut off or damaged, "
            "download it again."
        )
    row, column = (entries[name].to_numpy() for name in names[:2])
    for index, n in ((row, n_rows), (column, n_columns)):
        if index.dtype.kind != "i" or (index.size and not 1 <= index.min() <= index.max() <= n < 2**31):
            raise InvalidDataset(f"The matrix.mtx of {path} has an entry outside its {n_rows} × {n_columns}: damaged.")
    values = pd.to_numeric(entries["value"]).to_numpy()
    return sp.coo_matrix((values, (row - 1, column - 1)), shape=(n_rows, n_columns))


def _lines(content):
    return [line for line in content.decode().splitlines() if line.strip()]
