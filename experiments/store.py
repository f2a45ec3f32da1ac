"""The record store: one atomic JSON per cell, arrays beside it in .npz (design: results/records/<experiment>/<key>)."""

import contextlib
import json
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

FINAL = ("done",)  # a cell with another status is computed again at the next run


class Store:
    """Records of one experiment under ``results_dir/records/<experiment>``."""

    def __init__(self, results_dir, experiment):
        self.folder = Path(results_dir) / "records" / experiment
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, key, suffix=".json"):
        return self.folder / f"{key}{suffix}"

    def write(self, record, arrays):
        """Write arrays, then the record that makes them count; a reader never sees half of either."""
        buffer_path = self.path(record["key"], ".npz")
        if arrays:
            with atomic(buffer_path, "wb") as file:
                np.savez_compressed(file, **arrays)
        else:
            buffer_path.unlink(missing_ok=True)
        with atomic(self.path(record["key"]), "w") as file:
            json.dump(record, file, indent=1, sort_keys=True, allow_nan=True)

    def read(self, key):
        """Return the record, or None; a record that cannot be read is set aside with a warning."""
        path = self.path(key)
        try:
            record = json.loads(path.read_text())
            if record["key"] != key or not isinstance(record["status"], str):
                raise ValueError("its key or status is wrong")
            return record
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
            aside = path.with_suffix(".json.damaged")
            os.replace(path, aside)
            message = f"The record {path} is damaged ({error}): set aside as {aside.name}, to be computed again."
            warnings.warn(message, stacklevel=2)
            return None

    def is_final(self, key):
        """Whether the cell is finished: its record says so and its arrays can be read."""
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

    def arrays(self, record):
        if not record["arrays"]:
            return {}
        with open(self.path(record["key"], ".npz"), "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in record["arrays"]}

    def sweep(self, older_than=3600.0):
        """Remove temporary files that a killed run left behind."""
        for path in self.folder.glob(".*.tmp"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > older_than:
                    path.unlink()


@contextlib.contextmanager
def atomic(path, mode):
    """Open a temporary file beside ``path``; on success flush it to disk and rename it into place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        os.fchmod(handle, 0o644)
        with os.fdopen(handle, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
