"""Tables from what is left of a run without its records: the table with one row per job.

``python -m experiments.redraw`` summarises again every ``results/tables/*_jobs.csv`` that a run of ``results/runs/``
speaks of, after a change of what a table says (intervals, published values), and writes the page. Nothing is computed;
figures stay as they are.
"""

import argparse
import importlib
import json
from pathlib import Path

import pandas as pd

from ..loop import spreadsheet
from ..loop.store import atomic
from ..scores import published
from . import page
from .published import published_as
from .table import summarise


def main():
    about = __doc__.split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m experiments.redraw", description=about)
    parser.add_argument("--results", default="results", help="folder with the runs (results)")
    results_dir = Path(parser.parse_args().results)
    for file in sorted((results_dir / "runs").glob("*.json")):
        print(f"Table: {write(file, results_dir)}")
    print(f"Report: {page.write(results_dir)}")


def write(file, results_dir):
    """Write the table of one run, whose summary is ``file``; return its path."""
    run = json.loads(file.read_text(encoding="utf-8"))
    path = results_dir / "tables" / f"{run['stem']}.csv"
    table = summary(run, read_jobs(results_dir / "tables" / f"{run['stem']}_jobs.csv"))
    with atomic(path, "w") as target:
        spreadsheet.write(table, target)
    return path


def read_jobs(path):
    """The jobs of a run as text; scores become numbers in `summary`."""
    return pd.DataFrame(spreadsheet.read(path))


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
    jobs = jobs.assign(**{name: pd.to_numeric(jobs[name]) for name in scores if name in jobs})
    return summarise(jobs, run["axes"], scores, published_as(config), (run.get("source") or {}).get("origin", ""))
