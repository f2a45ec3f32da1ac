"""Records folded into one file that travels: read where it lies, written by ``python -m experiments.pack``.

A zip with ``records.jsonl``, one record a line, and ``arrays/KEY/NAME.npy`` for the arrays that are kept. Many records
share nearly all of their text, so they are compressed together.
"""

import functools
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np

from scvi_core.files.atomic import writing

from .digest import check_arrays, digest_of_array, parsed, sealed

RECORDS = "records.jsonl"
ARRAY = re.compile(r"arrays/(\w+)/([\w.+=,~ -]+)\.npy")
LARGEST = 2**31  # bytes of what is in an archive: more would be a bomb
WHEN = (1980, 1, 1, 0, 0, 0)  # of every member: the same records give the same bytes


class Archive:
    """The records of one file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        In one sentence, by whatever asks for a record: the file is no archive of records, or damaged.
    """

    def __init__(self, path):
        self.path = Path(path)

    @functools.cached_property
    def lines(self):
        """{key: its record as JSON}, not yet held against its digest."""
        with self._opened() as file:
            content = file.read(RECORDS)
        try:
            text = content.decode("utf-8")
            return {json.loads(line)["key"]: line for line in text.split("\n")}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"The archive {self.path} is damaged ({error}).") from error

    def __iter__(self):
        """The keys of its records."""
        return iter(self.lines)

    def load(self, key):
        """The record of a key; KeyError where it is not here, ValueError where it is not as it was written."""
        return parsed(self.lines[key], key)

    def arrays(self, record):
        """Its arrays; ValueError where they are not those that it was written with."""
        with self._opened() as file:
            found = {}
            for name in record["arrays"]:
                with io.BytesIO(file.read(f"arrays/{record['key']}/{name}.npy")) as member:
                    found[name] = np.load(member, allow_pickle=False)
        check_arrays(record, found)
        return found

    def _opened(self):
        return _Opened(self.path)


class _Opened:
    """An archive held open; its troubles are ValueErrors in one sentence."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        try:
            self.file = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise ValueError(f"The archive {self.path} is damaged or none of ours ({error}).") from error
        odd = [name for name in self.file.namelist() if name != RECORDS and not ARRAY.fullmatch(name)]
        fault = f"it holds {odd[0]!r}, which is no record" if odd else None
        fault = fault or (RECORDS not in self.file.namelist() and f"it has no {RECORDS}")
        fault = fault or (sum(m.file_size for m in self.file.infolist()) > LARGEST and "it is too large")
        if fault:
            self.file.close()
            raise ValueError(f"The archive {self.path} is none of ours: {fault}.")
        return self

    def read(self, name):
        try:
            return self.file.read(name)
        except Exception as error:  # zlib, lzma, zipfile, KeyError, EOFError, NotImplementedError: any damage
            raise ValueError(f"The archive {self.path} is damaged ({name}: {error}).") from error

    def __exit__(self, *_):
        self.file.close()


def write(path, records):
    """Write records and their arrays in place of what the archive held.

    Parameters
    ----------
    path : Path
    records : iterable of (dict, dict)
        Records of `Store` with the arrays that are kept of each. They are kept in single precision: what draws them
        sees no difference, and they are half as large.
    """
    lines, members = [], []
    for record, arrays in sorted(records, key=lambda pair: pair[0]["key"]):
        arrays = {name: single(array) for name, array in sorted(arrays.items())}
        digests = {name: digest_of_array(array) for name, array in arrays.items()}
        record = record | {"arrays": digests, "packed": True}  # not all arrays, and not as precise as they were
        lines.append(json.dumps(sealed(record), sort_keys=True, allow_nan=True))
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            members.append((f"arrays/{record['key']}/{name}.npy", buffer.getvalue()))
    with writing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(_member(RECORDS), "\n".join(lines))
        for name, content in members:
            archive.writestr(_member(name), content)


def single(array):
    """An array in single precision where it is in double; counts and names stay."""
    array = np.asarray(array)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _member(name):
    info = zipfile.ZipInfo(name, WHEN)
    info.compress_type = zipfile.ZIP_LZMA
    info.external_attr = 0o644 << 16
    return info
