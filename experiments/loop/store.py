"""The record store: one atomic JSON per job, arrays beside it in .npz (design: results/records/<experiment>/<key>)."""

import contextlib
import fnmatch
import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np

from scvi_core.files import atomic as files

from .claims import Claims

ASIDE = ".earlier"  # ending of a finished record while its job is computed again
FINAL = ("done",)  # a job with another status is computed again at the next run


class Store:
    """Records of one experiment under ``results_dir/records/<experiment>``."""

    def __init__(self, results_dir, experiment):
        self.folder = Path(results_dir) / "records" / experiment
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, key, suffix=".json"):
        return self.folder / f"{key}{suffix}"

    def write(self, record, arrays):
        """Write arrays, then the record that makes them count and knows what is in them; nobody sees half of either."""
        record = record | {"arrays": {name: _digest_of_array(array) for name, array in arrays.items()}}
        buffer_path = self.path(record["key"], ".npz")
        if arrays:
            with atomic(buffer_path, "wb") as file:
                np.savez_compressed(file, **arrays)
        else:
            buffer_path.unlink(missing_ok=True)
        with atomic(self.path(record["key"]), "w") as file:
            json.dump(record | {"digest": _digest(record)}, file, indent=1, sort_keys=True, allow_nan=True)

    def load(self, key):
        """Return the record; FileNotFoundError where there is none, ValueError where it is not as it was written."""
        try:
            record = json.loads(self.path(key).read_text())
            if record["key"] != key or not isinstance(record["status"], str):
                raise ValueError("its key or status is wrong")
            if record.pop("digest") != _digest(record):
                raise ValueError("its content is not what was written")
            return record
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is missing") from error
        except (TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error

    def read(self, key):
        """Return the record, or None; one that is not as it was written is set aside with a warning."""
        path = self.path(key)
        try:
            return self.load(key)
        except FileNotFoundError:
            return None
        except ValueError as error:
            aside = path.with_suffix(".json.damaged")
            with contextlib.suppress(FileNotFoundError):  # another run was first
                os.replace(path, aside)
            message = f"The record {path} is damaged ({error}): set aside as {aside.name}, to be computed again."
            warnings.warn(message, stacklevel=2)
            return None

    def is_final(self, key):
        """Whether the job is finished: its record says so and its arrays can be read."""
        record = self.read(key)
        if record is None or record["status"] not in FINAL:
            return False
        try:
            self.arrays(record)
        except Exception as error:  # zipfile, zlib, OSError, ValueError: any damage means computing again
            message = f"The arrays {self.path(key, '.npz')} cannot be read ({error}): to be computed again."
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
            for key in filter(self.is_final, filter(claims.take, keys)):
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
        return failed

    def arrays(self, record):
        """The arrays of a record; ValueError where they are not those that it was written with."""
        if not record["arrays"]:
            return {}
        path = self.path(record["key"], ".npz")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in record["arrays"]}
        if isinstance(record["arrays"], dict):  # records of earlier versions have the names alone
            for name, array in arrays.items():
                if _digest_of_array(array) != record["arrays"][name]:
                    raise ValueError(f"{name} is not what the record was written with")
        return arrays


def _digest(record):
    """sha256 of a record as JSON gives it back: a value changed by hand is not a result."""
    content = json.dumps(json.loads(json.dumps(record)), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _digest_of_array(array):
    """sha256 of type, shape and values."""
    array = np.asarray(array)
    return hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()).hexdigest()


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
