"""Fold the records of the runs on display into archives that travel with the repository."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from matplotlib import pyplot as plt

from ..loop import archive
from ..loop.names import as_file_name
from ..loop.store import Store
from . import drawing, redraw, table


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m experiments.pack", description=__doc__)
    parser.add_argument("--results", default="results", help="folder with the runs and their records (results)")
    results_dir = Path(parser.parse_args(arguments).results)
    files = sorted((results_dir / "runs").glob("*.json"))
    if not files:
        parser.error(f"There is no run in {results_dir}: name the folder with --results.")
    for path, n, missing in pack(results_dir, files):
        said = f"; {missing} jobs of its tables have no record" if missing else ""
        print(f"{path}: {n} records, {path.stat().st_size / 2**10:,.0f} KiB{said}." if n else f"{path}: none{said}.")


def pack(results_dir, files):
    """Write one archive for each experiment, data set and protocol; records in files of their own that are in it go.

    An archive holds the records of the jobs in the tables of ``files``, whatever their status, and of their arrays
    those that the figures of these runs read, in single precision. Records of no table stay as they are.

    Parameters
    ----------
    results_dir : Path
    files : list of Path
        Summaries of runs, ``results/runs/*.json``.

    Yields
    ------
    path : Path
        Of an archive.
    n : int
        How many records it has.
    missing : int
        How many jobs of the tables are not on record here.
    """
    kept, missing = {}, {}
    for file in files:
        run = json.loads(file.read_text(encoding="utf-8"))
        names = [run["config"][block]["name"] for block in ("experiment", "dataset", "protocol")]
        store = Store(results_dir, names[0])
        jobs = redraw.read_jobs(results_dir / "tables" / f"{run['stem']}_jobs.csv")
        found = [
            record and record | {"method": job.method, "label": job.label, "role": job.role}
            for job, record in ((job, store.read(job.key)) for job in jobs.itertuples())
        ]
        missing[tuple(names)] = missing.get(tuple(names), 0) + found.count(None)
        for record, drawn in arrays_drawn(run, jobs, list(filter(None, found)), store):
            names_of = kept.setdefault(tuple(names), {}).setdefault(record["key"], (store, set()))[1]
            names_of |= drawn
    for names, records in kept.items():
        experiment, *rest = names
        path = results_dir / "records" / experiment / f"{as_file_name('_'.join(rest))}.zip"
        content = [(store.read(key), store, drawn) for key, (store, drawn) in records.items()]
        archive.write(path, [(record, _some(store.arrays(record), drawn)) for record, store, drawn in content])
        packed = archive.Archive(path)
        for key, (store, _) in records.items():
            packed.arrays(packed.load(key))  # what cannot be read back is not removed
            store.remove(key)
        yield path, len(records), missing[names]


def arrays_drawn(run, jobs, records, store):
    """(record, names of the arrays that the figures of its run read), for each record."""
    arrays = [Arrays(store, record) for record in records]
    done = [
        record | {"arrays": seen} for record, seen in zip(records, arrays, strict=True) if record["status"] == "done"
    ]
    if done:
        done = table.frame(done).assign(arrays=[record["arrays"] for record in done], changed=run["tag"])
        summary = redraw.summary(run, jobs).assign(changed=run["tag"])
        figures = drawing.figures_of(run["config"]["experiment"]["module"], summary, done) or {}
        for figure in figures.values():
            plt.close(figure)
    return [(record, seen.read) for record, seen in zip(records, arrays, strict=True)]


class Arrays(Mapping):
    """The arrays of a record, read as they are asked for; ``read`` has the names of those that were."""

    def __init__(self, store, record):
        self.names, self.read = tuple(record["arrays"]), set()
        self._store, self._record = store, record

    def __getitem__(self, name):
        if name not in self.names:
            raise KeyError(name)
        self.read.add(name)
        if not hasattr(self, "_arrays"):
            self._arrays = self._store.arrays(self._record)
        return self._arrays[name]

    def __contains__(self, name):
        return name in self.names

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)


def _some(arrays, names):
    return {name: array for name, array in arrays.items() if name in names}
