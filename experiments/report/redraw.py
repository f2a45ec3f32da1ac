"""Tables from what is left of a run without its records, the table with one row per job; figures where those are here.

``python -m experiments.redraw`` summarises again every ``results/tables/*_jobs.csv`` that a run of ``results/runs/``
speaks of, after a change of what a table says (intervals, published values), draws the figures of runs whose records
are all at hand, and writes the page. Nothing is computed; other figures stay as they are.
"""

import argparse
import contextlib
import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ..loop import command_line, spreadsheet
from ..loop.store import Store, atomic
from ..scores import published
from . import drawing, page
from .numbers import to_float
from .published import published_as
from .table import frame as table_of_jobs
from .table import summarise


def main():
    command_line.speak()
    about = __doc__.split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m experiments.redraw", description=about)
    parser.add_argument("--results", default="results", help="folder with the runs (results)")
    results_dir = Path(parser.parse_args().results)
    for file in sorted((results_dir / "runs").glob("*.json")):
        print(f"Table: {write(file, results_dir)}")
    print(f"Report: {page.write(results_dir)}")


def write(file, results_dir):
    """Write the table of one run, whose summary is ``file``, and what figures can be drawn; return the table's path."""
    run = json.loads(file.read_text(encoding="utf-8"))
    path = results_dir / "tables" / f"{run['stem']}.csv"
    jobs = read_jobs(results_dir, run)
    table = summary(run, jobs)
    with atomic(path, "w") as target:
        spreadsheet.write(table.assign(file=run["file"]) if run.get("file") else table, target)
    records = on_record(results_dir, run, jobs)
    if records and None not in records:
        module, done = run["config"]["experiment"]["module"], finished(run, records)
        figures, failures = drawing.draw(module, table.assign(changed=changed(run)), done, results_dir, run["stem"])
        for sentence in failures:
            print(f"error: {sentence}", file=sys.stderr)
        with atomic(file, "w") as target:
            json.dump(run | {"figures": figures}, target, indent=1, sort_keys=True)
    return path


def read_jobs(results_dir, run):
    """The jobs of a run as text; scores become numbers in `summary`."""
    return pd.DataFrame(spreadsheet.read(results_dir / "tables" / f"{run['stem']}_jobs.csv"))


def on_record(results_dir, run, jobs):
    """The records of the jobs of a run under the names that it gives them; None for each that is not here."""
    if not (results_dir / "records" / run["config"]["experiment"]["name"]).is_dir():
        return [None] * len(jobs)
    store = Store(results_dir, run["config"]["experiment"]["name"])
    found = []
    for job in jobs.itertuples():
        record = store.read(job.key)
        named = {"method": job.method, "label": job.label, "role": job.role}
        found.append(record and record | named | {"arrays": Arrays(store, record)})
    return found


def finished(run, records):
    """The frame of finished jobs that figures are drawn from; their arrays are read as they are asked for."""
    done = [record for record in records if record and record["status"] == "done"]
    frame = table_of_jobs(done) if done else pd.DataFrame({"key": []})
    return frame.assign(arrays=[record["arrays"] for record in done], changed=changed(run))


def changed(run):
    """What captions say that a run has changed: none of what only leaves out jobs or adds some."""
    return run.get("changed", run["tag"] if run.get("alters") else "")


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


def summary(run, jobs):
    """The table of a run.

    Parameters
    ----------
    run : dict
        Its summary, as ``results/runs/*.json`` have it.
    jobs : pandas.DataFrame
        From `read_jobs`.

    Returns
    -------
    pandas.DataFrame
        That of `report.table.summarise`.
    """
    config = run["config"]
    scores = published(importlib.import_module(config["experiment"]["module"]).SCORES, jobs)
    exact = {name: jobs[name].map(to_float) for name in scores if name in jobs}  # pandas is off by a last digit
    jobs = jobs.assign(**exact, **{axis: _typed(jobs[axis]) for axis in run["axes"]})
    return summarise(jobs, run["axes"], scores, published_as(config), (run.get("source") or {}).get("origin", ""))


def _typed(values):
    """The values of an axis as the numbers that they are where all are; figures have them in the order of numbers."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return values.map(kind)
    return values
