"""One reader for the file formats that counts come in: every function returns a :class:`Table`, cells in rows."""

import contextlib
import gzip
import io
import tarfile
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from .base import InvalidDataset
from .fetch import looks_like_html
from .text_table import read_text

GZIP = b"\x1f\x8b"
TENX_PARTS = ("matrix.mtx", "genes.tsv", "features.tsv", "barcodes.tsv")


@dataclass
class Table:
    """Counts as a file holds them: ``X`` (n_cells, n_genes), names, and what annotates rows and columns."""

    X: sp.csr_matrix
    cells: np.ndarray
    genes: np.ndarray
    obs: pd.DataFrame = field(default_factory=pd.DataFrame)
    var: pd.DataFrame = field(default_factory=pd.DataFrame)
    obsm: dict = field(default_factory=dict)
    layers: dict = field(default_factory=dict)


def read(path, genes_in="columns"):
    """Read counts from a file or folder, whatever its format.

    Parameters
    ----------
    path : str or Path
        ``.h5ad``; a 10x ``.h5`` (both generations); a 10x folder, or ``.tar.gz`` of one, with ``matrix.mtx``,
        ``genes.tsv`` or ``features.tsv`` and ``barcodes.tsv`` (each may be gzipped); ``.loom``; ``.csv``, ``.tsv``
        or ``.txt``, gzipped or not. What is inside decides, not the ending of the name.
    genes_in : {"columns", "rows"}
        How a text table is laid out; the other formats say so themselves.

    Returns
    -------
    Table

    Raises
    ------
    FileNotFoundError, InvalidDataset
        With one sentence on what is wrong with the file.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}: correct dataset.path.")
    with readable(path):
        if path.is_dir():
            return read_10x_folder(path)
        with open(path, "rb") as stream:
            if stream.read(8) == b"\x89HDF\r\n\x1a\n":
                return _read_hdf5(path)
        if path.name.endswith((".tar.gz", ".tgz", ".tar")):
            return read_10x_archive(path)
        return _from_text(read_text(path, genes_in))


@contextlib.contextmanager
def readable(path):
    """Refuse empty files and web pages, and turn the many errors of damaged files into one sentence."""
    try:
        if Path(path).is_file():
            _refuse_what_is_no_data(path)
        yield
    except InvalidDataset:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise InvalidDataset(f"{path} is cut off or damaged ({_reason(error)}): download it again.") from error
    except UnicodeDecodeError:
        raise InvalidDataset(
            f"{path} is neither text nor a format this reader knows (10x .h5, 10x folder, .h5ad, .loom, .csv, .tsv): "
            "download it again, or convert it to one of these."
        ) from None
    except FileNotFoundError:
        raise
    except Exception as error:  # the libraries behind the formats raise nearly anything over a damaged file
        raise InvalidDataset(
            f"{path} cannot be read ({_reason(error)}): check that it is the whole, right file."
        ) from error


def _reason(error):
    return str(error).splitlines()[0].rstrip(".:") if str(error) else type(error).__name__


def _refuse_what_is_no_data(path):
    with open(path, "rb") as stream:
        head = stream.read(512)
    if not head:
        raise InvalidDataset(f"{path} is empty: download it again.")
    if head.startswith(GZIP):
        with gzip.open(path) as stream:
            head = stream.read(512)
    if looks_like_html(head):
        raise InvalidDataset(f"{path} is a web page, not data: download the file itself again.")


def _from_text(text):
    return Table(X=sp.csr_matrix(text.counts), cells=text.cells, genes=text.genes)


def _read_hdf5(path):
    with h5py.File(path, "r") as file:
        keys = set(file)
        is_loom = isinstance(file.get("matrix"), h5py.Dataset) and "row_attrs" in keys
        is_anndata = {"X", "obs", "var"} <= keys or {"obs", "var", "layers"} <= keys
    if is_loom:
        return read_loom(path)
    if is_anndata:
        return read_h5ad(path)
    return read_10x_h5(path)


def read_h5ad(path):
    """An AnnData file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names that are not unique: the contract names the first
        adata = ad.read_h5ad(path)
    return Table(
        X=adata.X,
        cells=adata.obs_names.to_numpy(),
        genes=adata.var_names.to_numpy(),
        obs=adata.obs,
        var=adata.var,
        obsm={key: np.asarray(value) for key, value in adata.obsm.items()},
        layers=dict(adata.layers),
    )


# ---- 10x -------------------------------------------------------------------------------------------------------


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
        return tuple(_strings(features[name][:]) for name in ("id", "name", "feature_type"))
    ids, symbols = _strings(group["genes"][:]), _strings(group["gene_names"][:])
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
        cells = _strings(group["barcodes"][:])
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


# ---- loom ------------------------------------------------------------------------------------------------------


def read_loom(path, block=512):
    """A loom file: a dense matrix of genes × cells, annotations in ``row_attrs`` and ``col_attrs``."""
    with h5py.File(path, "r") as file:
        matrix = file["matrix"]
        n_cells = matrix.shape[1]
        rows = [sp.csr_matrix(matrix[:, i : i + block].T) for i in range(0, n_cells, block)]
        var, obs = (
            {key: _values(group[key][:]) for key in group if isinstance(group[key], h5py.Dataset)}
            for group in (file["row_attrs"], file["col_attrs"])
        )
    genes = next((var[key] for key in ("Gene", "var_names", "Accession", "gene") if key in var), None)
    cells = next((obs[key] for key in ("CellID", "obs_names", "cell_id", "Barcode") if key in obs), None)
    if genes is None:
        raise InvalidDataset(f"The loom file {path} names no genes (row_attrs: {', '.join(var) or 'none'}).")
    if cells is None:
        cells = np.array([f"cell_{row}" for row in range(n_cells)])
    tables = [
        pd.DataFrame({key: column for key, column in columns.items() if column.ndim == 1}, index=names)
        for columns, names in ((obs, cells), (var, genes))
    ]
    return Table(X=sp.vstack(rows, format="csr"), cells=cells, genes=genes, obs=tables[0], var=tables[1])


def _values(array):
    array = np.asarray(array)
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    return _strings(array) if array.dtype.kind in "SO" else array


def _strings(array):
    return np.array([item.decode() if isinstance(item, bytes) else str(item) for item in array])


def _lines(content):
    return [line for line in content.decode().splitlines() if line.strip()]
