"""The matrices in a folder or an archive, and which of them is meant."""

import contextlib
import io
import os
import re
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from ...base import InvalidDataset
from ..names import named
from .mtx import is_part, matrix_groups, read_parts
from .unpack import unpacked, without_ending

BINARY = (".h5ad", ".h5mu", ".h5", ".hdf5", ".loom", ".zarr", ".tar", ".tgz", ".zip")
TEXT = (".csv", ".tsv", ".txt", ".tab")
ZARR = (".zgroup", "zarr.json")  # one of them is in a store, of version 2 or 3
NO_MATRIX = ("molecule_info.h5", "readme.txt", "README.txt", "filelist.txt")  # what comes with matrices and is none


def choose(candidates, part, place, *, is_last=True):
    """The one of several that is meant.

    Parameters
    ----------
    candidates : collection of str
        Their names, paths inside ``place``.
    part : str, int, float, bool or None
        What the user named: one of them, the end of its path, or its path and a part inside it. A configuration may
        have taken its name for a number.
    place : str or Path
        What the sentence calls the file or folder.
    is_last : bool
        None of them has parts of its own.

    Returns
    -------
    (str, str or None)
        The name, and the part inside it that is asked for.

    Raises
    ------
    InvalidDataset
        There are several, or none by that name; the sentence lists them.
    """
    names = list(candidates)
    listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    if part is None:
        if len(names) == 1:
            return names[0], None
        raise InvalidDataset(
            f"{place} holds {len(names)} matrices ({listed}): choose one, e.g. dataset.part={names[0]}."
        )
    part = named({PurePosixPath(name).name for name in names}, part)
    for matches in (
        [name for name in names if name == part],
        [name for name in names if name.endswith(f"/{part}")],
    ):
        if len(matches) == 1:
            return matches[0], None
    inside = [name for name in names if part.startswith(f"{name}/")]
    if inside and not is_last:
        name = max(inside, key=len)
        return name, part.removeprefix(f"{name}/")
    if len(names) == 1 and not is_last:
        return names[0], part
    raise InvalidDataset(f"There is no one part {part!r} in {place}; there are: {listed}.")


def refuse_part(part, place):
    """Raise InvalidDataset where a part of something that has none is asked for."""
    if part is not None:
        raise InvalidDataset(f"{place} holds one matrix and no part {part!r}: leave dataset.part out.")


def is_zarr(folder):
    """Whether a folder is a Zarr store, of either version."""
    return any((folder / name).is_file() for name in ZARR)


def folder_members(folder):
    """``{path inside the folder: Path}`` of its files; a Zarr store is one."""
    members = {}
    for where, folders, files in os.walk(folder):
        stores = [name for name in folders if is_zarr(Path(where, name))]
        folders[:] = sorted(name for name in folders if name not in stores)
        for name in [*stores, *sorted(files)]:
            path = Path(where, name)
            members[path.relative_to(folder).as_posix()] = path
    return _without_litter(members)


@contextlib.contextmanager
def archive_members(source):
    """``{path inside: function that gives the bytes}`` of a tar or zip archive: nothing is unpacked onto the disk."""
    with unpacked(source) as stream:
        if zipfile.is_zipfile(stream):
            with zipfile.ZipFile(stream) as archive:
                names = [info.filename for info in archive.infolist() if not info.is_dir()]
                yield _without_litter({name: lambda name=name: archive.read(name) for name in names})
        else:
            stream.seek(0)
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                files = {entry.name.removeprefix("./"): entry for entry in archive if entry.isfile()}
                while stream.read(1 << 20):  # a compressed file keeps its checksum at the very end
                    pass
                yield _without_litter(
                    {name: lambda entry=entry: archive.extractfile(entry).read() for name, entry in files.items()}
                )


def _without_litter(members):
    """Without hidden files, but for those of Zarr, and the copies that macOS adds to archives."""
    return {
        name: member
        for name, member in members.items()
        if not any(re.match(r"\.(?!z(group|array|attrs))|__MACOSX", part) for part in PurePosixPath(name).parts)
    }


def read_member(place, members, part, read_file):
    """Read the one matrix among the members of a folder or an archive that is meant.

    Parameters
    ----------
    place : Path
    members : dict
        ``{name: Path, or function that gives the bytes}``
    part : str or None
        Which matrix is meant.
    read_file : callable
        ``read_file(place, Path or BytesIO, part)`` reads what is no MatrixMarket matrix.
    """
    groups = matrix_groups(members)
    others = [name for name in members if not is_part(name) and not without_ending(name).endswith(NO_MATRIX)]
    files = [name for name in others if without_ending(name).endswith(BINARY)]
    if not groups and not files:  # beside matrices, text is a summary, a table of clusters, …
        files = [name for name in others if without_ending(name).endswith(TEXT)]
    if not groups and not files:
        found = ", ".join(sorted({PurePosixPath(name).name for name in members})[:8]) or "nothing"
        missing = "matrix.mtx" if any(map(is_part, members)) else "matrix of counts"
        raise InvalidDataset(f"{place} has no {missing} (it has: {found}): name a folder or an archive with one.")
    name, part = choose(sorted([*groups, *files]), part, place, is_last=not files)
    if name in groups:
        refuse_part(part, f"{place}/{name}")
        table, used = read_parts(place, members, groups[name]), [used for used in groups[name].values() if used]
    else:
        member, used = members[name], [name]
        table = read_file(f"{place}/{name}", member if isinstance(member, Path) else io.BytesIO(member()), part)
    table.files = table.files or [members[name] for name in used if isinstance(members[name], Path)]
    return table
