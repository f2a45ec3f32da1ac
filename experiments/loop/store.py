"""The record store: one atomic JSON per job, arrays beside it in .npz (design: results/records/<experiment>/<key>).

Beside them lie archives, of which a record is read where there is none of its own (`experiments.loop.archive`).
"""

import contextlib
import fnmatch
import functools
import json
import os
import warnings
from pathlib import Path

import numpy as np

from scvi_core.files import atomic as files

from .archive import Archive
from .digest import check_arrays, digest_of_array, parsed, sealed
from .locks import Claims

ASIDE = ".earlier"  # ending of a finished record while its job is computed again
FINAL = ("done",)  # a job with another status is computed again at the next run


class Store:
    """Records of one experiment under ``results_dir/records/<experiment>``."""

    def __init__(self, results_dir, experiment):
        self.folder = Path(results_dir) / "records" / experiment
        self.folder.mkdir(parents=True, exist_ok=True)
        self.damaged = []  # a sentence for each archive that cannot be read, as soon as records were asked for
        self._passed_over = set()  # keys whose archived record does not count while their jobs are computed anew

    def path(self, key, suffix=".json"):
        return self.folder / f"{key}{suffix}"

    def __iter__(self):
        """The keys of all records, in files of their own and in archives."""
        return iter(sorted({path.stem for path in self.folder.glob("*.json")} | self._archived.keys()))

    def write(self, record, arrays):
        """Write arrays, then the record that makes them count and knows what is in them; nobody sees half of either."""
        record = record | {"arrays": {name: digest_of_array(array) for name, array in arrays.items()}}
        buffer_path = self.path(record["key"], ".npz")
        if arrays:
            with atomic(buffer_path, "wb") as file:
                np.savez_compressed(file, **arrays)
        else:
            buffer_path.unlink(missing_ok=True)
        with atomic(self.path(record["key"]), "w") as file:
            json.dump(sealed(record), file, indent=1, sort_keys=True, allow_nan=True)

    def load(self, key):
        """Return the record; FileNotFoundError where there is none, ValueError where it is not as it was written."""
        try:
            text = self.path(key).read_text()
        except FileNotFoundError:
            if key not in self._archived or key in self._passed_over:
                raise
            return self._archived[key].load(key)
        return parsed(text, key)

    def read(self, key):
        """Return the record, or None; one that is not as it was written is set aside with a warning."""
        path = self.path(key)
        try:
            return self.load(key)
        except FileNotFoundError:
            return None
        except ValueError as error:
            aside = path.with_suffix(".json.damaged")
            what = f"{path} is damaged ({error}): set aside as {aside.name}"
            try:
                os.replace(path, aside)
            except FileNotFoundError:  # another run was first, or it is in an archive
                what = f"{key} in {self.folder} is damaged ({error})"
            warnings.warn(f"The record {what}, to be computed again.", stacklevel=2)
            return None

    def finished(self):
        """The finished records that are as they were written; their arrays are not looked at."""
        for key in self:
            with contextlib.suppress(ValueError, FileNotFoundError):
                record = self.load(key)
                if record["status"] in FINAL:
                    yield record

    def is_final(self, key):
        """Whether the job is finished: its record says so and its arrays can be read."""
        record = self.read(key)
        if record is None or record["status"] not in FINAL:
            return False
        try:
            self.arrays(record)
        except Exception as error:  # zipfile, zlib, OSError, ValueError: any damage means computing again
            what = "are gone" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
            message = f"The arrays of {key} in {self.folder} {what}: to be computed again."
            warnings.warn(message, stacklevel=2)
            return False
        return True

    @contextlib.contextmanager
    def anew(self, keys):
        """Put finished records aside while their jobs are computed again; one that is not finished anew comes back.

        Yields a list, filled in the end with the records of what did not finish. The next run brings them back where
        this one was killed; while it goes on, no other does.
        """
        kept = []
        with contextlib.closing(Claims(self.folder.parents[1], ASIDE)) as claims:  # on what was put aside
            self._bring_back(claims)
            for key in list(filter(self.is_final, filter(claims.take, keys))):
                self._passed_over.add(key)
                for suffix in (".json", ".npz"):  # the record first: it makes the arrays count
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(self.path(key, suffix), self.path(key, f"{suffix}{ASIDE}"))
            try:
                yield kept
            finally:
                kept += self._bring_back(claims)

    def _bring_back(self, claims):
        failed = []
        for aside in self.folder.glob(f"*.json{ASIDE}"):
            key = aside.name.split(".")[0]
            if not claims.take(key):  # of another run, which is at it
                continue
            if self.is_final(key):
                aside.unlink()
                self.path(key, f".npz{ASIDE}").unlink(missing_ok=True)
                continue
            failed += filter(None, [self.read(key)])
            for suffix in (".npz", ".json"):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self.path(key, f"{suffix}{ASIDE}"), self.path(key, suffix))
        for key in self._passed_over & self._archived.keys():
            if self.path(key).exists() and not self.is_final(key):
                failed += filter(None, [self.read(key)])
                self.remove(key)  # what is in the archive counts again
        self._passed_over.clear()
        return failed

    def remove(self, key):
        """Remove the files of a record; one of its key in an archive stays."""
        for suffix in (".json", ".npz"):  # the record first: it makes the arrays count
            self.path(key, suffix).unlink(missing_ok=True)

    def arrays(self, record):
        """The arrays of a record; ValueError where they are not those that it was written with."""
        key = record["key"]
        if not record["arrays"]:
            return {}
        if not self.path(key).exists() and key in self._archived:
            return self._archived[key].arrays(record)
        with open(self.path(key, ".npz"), "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in record["arrays"]}
        check_arrays(record, arrays)
        return arrays

    @functools.cached_property
    def _archived(self):
        """{key: the archive that has it}."""
        found = {}
        for path in sorted(self.folder.glob("*.zip")):
            try:
                archive = Archive(path)
                found |= dict.fromkeys(archive, archive)
            except ValueError as error:
                self.damaged.append(str(error))
                warnings.warn(f"{error} What it held is computed again.", stacklevel=2)
        return found


def stores(results_dir):
    """The `Store` of every experiment on record, in the order of their names."""
    return [Store(results_dir, path.name) for path in sorted(Path(results_dir, "records").glob("*")) if path.is_dir()]


def sweep(results_dir):
    """Remove the temporary files of writers that were killed; one that is being written stays."""
    for folder, _, names in os.walk(results_dir):  # a folder that goes away meanwhile is no error
        files.sweep(Path(folder, name) for name in fnmatch.filter(names, ".*.tmp"))


@contextlib.contextmanager
def atomic(path, mode):
    """Open a file that takes the place of ``path`` when the block ends without an error; make the folder for it.

    Raises
    ------
    scvi_core.files.atomic.NotWritten
        An OSError whose text is one sentence.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with files.writing(path, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as file:
        yield file
