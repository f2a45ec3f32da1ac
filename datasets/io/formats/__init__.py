"""One reader for the file formats that counts come in: every function returns a :class:`Table`, cells in rows."""

from pathlib import Path

import h5py

from ...base import InvalidDataset
from .foreign import foreign_hdf5, refuse_foreign, refuse_foreign_zip
from .h5ad import read_h5ad, read_h5mu, read_zarr
from .loom import read_loom
from .members import ZARR, archive_members, folder_members, is_zarr, read_member, refuse_part
from .mtx import matrix_groups, read_parts
from .table import Table, readable
from .tenx import read_10x_h5
from .text import read_text
from .unpack import in_memory, unpacked, without_ending

HDF5, ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"


def read(path, genes_in=None, part=None):
    """Read counts from a file or folder, whatever its format.

    Parameters
    ----------
    path : str or Path
        ``.h5ad``, ``.zarr``, ``.h5mu``; a 10x ``.h5`` (both generations); a MatrixMarket ``matrix.mtx`` with
        ``genes.tsv`` or ``features.tsv`` and ``barcodes.tsv`` beside it, or their folder; ``.loom``; ``.csv``, ``.tsv``
        or ``.txt``. Each may be compressed (gzip, bzip2, xz) or in a folder, a ``.tar`` or a ``.zip``. What is inside
        decides, not the ending of the name.
    genes_in : {"columns", "rows"}, optional
        How a text table is laid out. By default the names tell; the other formats say so themselves.
    part : str, optional
        Which matrix is meant where there are several: a folder or sample in a folder or archive, a genome in a 10x
        ``.h5``, a modality in an ``.h5mu``.

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

    def read_file(place, source, part):
        """A file: its path, or what an archive holds as bytes."""
        if isinstance(source, Path) and source.is_dir():
            return read_zarr(source, part)
        with unpacked(source) as stream:
            head = stream.read(512)
            refuse_foreign(head, place)
            if head.startswith(HDF5):
                return _read_hdf5(in_memory(source), place, part)
            if head.startswith(b"%%MatrixMarket"):
                refuse_part(part, place)
                return _read_beside(source, place)
            if not head.startswith(ZIP) and head[257:262] != b"ustar" and not _is_called_tar(place):
                refuse_part(part, place)
                _refuse_list_of_names(source, place)
                text = read_text(source, place, genes_in=genes_in)
                return Table(X=text.counts, cells=text.cells, genes=text.genes)
        with archive_members(source) as members:
            if head.startswith(ZIP):
                refuse_foreign_zip(members, place)
                if set(ZARR) & set(members) and isinstance(source, Path):
                    return read_zarr(source, part)
            if any(name.endswith(ZARR) for name in members):
                raise InvalidDataset(f"{place} holds a Zarr store in an archive: unpack it first.")
            return read_member(place, members, part, read_file)

    with readable(path):
        if path.is_dir() and not is_zarr(path):
            table = read_member(path, folder_members(path), part, read_file)
        else:
            table = read_file(path, path, part)
        table.check(path)
    table.files = table.files or [path]
    return table


def _is_called_tar(place):
    return without_ending(str(place)).endswith((".tar", ".tgz"))


def _read_beside(source, place):
    """A matrix.mtx with the names that are beside it."""
    files, group = _group_of(source)
    if group is None:
        raise InvalidDataset(f"{place} is a matrix without the names of its cells and genes: name the folder.")
    table = read_parts(source.parent, files, group)
    table.files = [files[name] for name in group.values()]
    return table


def _refuse_list_of_names(source, place):
    group = _group_of(source)[1]
    if group is not None:
        raise InvalidDataset(f"{place} names the cells or genes of a matrix: name the matrix, {group['matrix']}.")


def _group_of(source):
    """The files beside one, and the group of a matrix that it is part of."""
    files = {file.name: file for file in source.parent.iterdir()} if isinstance(source, Path) else {}
    return files, next((group for group in matrix_groups(files).values() if source.name in group.values()), None)


def _read_hdf5(source, place, part):
    with h5py.File(source, "r") as file:
        keys = set(file)
        is_loom = isinstance(file.get("matrix"), h5py.Dataset) and "row_attrs" in keys
    if foreign := foreign_hdf5(keys):
        raise InvalidDataset(f"{place} is {foreign[0]}, and holds no matrix of counts: {foreign[1]}.")
    if "mod" in keys:
        return read_h5mu(source, place, part)
    if is_loom:
        refuse_part(part, place)
        return read_loom(source, place)
    if {"X", "obs", "var"} <= keys or {"obs", "var", "layers"} <= keys:
        refuse_part(part, place)
        return read_h5ad(source)
    return read_10x_h5(source, place, part)
