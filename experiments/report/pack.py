"""Fold the records of the runs on display into archives that travel with the repository."""

import argparse
import json
from pathlib import Path

from matplotlib import pyplot as plt

from ..loop import archive, command_line
from ..loop.names import as_file_name
from ..loop.store import Store
from . import drawing, redraw


def main(arguments=None):
    command_line.speak()
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
        names = tuple(run["config"][block]["name"] for block in ("experiment", "dataset", "protocol"))
        jobs = redraw.read_jobs(results_dir, run)
        records = redraw.on_record(results_dir, run, jobs)
        done = redraw.finished(run, records)
        if len(done):
            summary = redraw.summary(run, jobs).assign(changed=redraw.changed(run))
            figures = drawing.figures_of(run["config"]["experiment"]["module"], summary, done) or {}
            for figure in figures.values():
                plt.close(figure)
        missing[names] = missing.get(names, 0) + records.count(None)
        drawn = {row.key: row.arrays.read for row in done.itertuples()}
        for record in filter(None, records):
            of_record = kept.setdefault(names, {}).setdefault(record["key"], set())
            of_record |= drawn.get(record["key"], set())
    for names, records in kept.items():
        experiment, *rest = names
        path = results_dir / "records" / experiment / f"{as_file_name('_'.join(rest))}.zip"
        store = Store(results_dir, experiment)
        content = [(store.read(key), drawn) for key, drawn in records.items()]
        archive.write(path, [(record, _some(store.arrays(record), drawn)) for record, drawn in content])
        packed = archive.Archive(path)
        for key in records:
            packed.arrays(packed.load(key))  # what cannot be read back is not removed
            store.remove(key)
        yield path, len(records), missing[names]


def _some(arrays, names):
    return {name: array for name, array in arrays.items() if name in names}
