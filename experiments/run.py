"""Run experiments: ``python -m experiments.run +exp=imputation``.

Enumerates the jobs (method × axes × seed), computes those that are not on record, then draws the table, the figures
and the report from the records.
"""

import importlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import hydra
from omegaconf import DictConfig

from .loop import names, spreadsheet
from .loop.collect import collect
from .loop.command_line import explain, speak, understood
from .loop.config import ERRORS, PLAIN, as_yaml, identify, only_shown, resolve
from .loop.growth import run_growing
from .loop.locks import alone
from .loop.outcome import not_converged, why
from .loop.paths import ROOT
from .loop.place import UNFINISHED, clear_unfinished, place
from .loop.prepare import check, prepare
from .loop.settings import executor
from .loop.store import Store, atomic, sweep
from .report import drawing, page, table
from .report.inventory import forecast, of_earlier_code
from .report.published import published_as
from .scores import published

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # configuration errors reach main(), which says them in one sentence

PROVENANCE = ("dataset_hash", "git_commit", "machine", "r_session", "threads", "versions")
FOR_PEOPLE = (ValueError, OSError)  # InvalidCounts and InvalidDataset are ValueErrors
ROOM = 2**20  # bytes that a results folder must take: some records, a table, a figure


def execute(config, identity=PLAIN):
    """Run one resolved configuration; return the number of jobs that failed.

    Parameters
    ----------
    config : dict
        Resolved configuration (``--cfg job`` prints it).
    identity : experiments.loop.config.Identity
        What tells the run from others of its experiment, data set and protocol.
    """
    check(config)
    results_dir = Path(config["results_dir"])
    require_writable(results_dir)
    run_jobs = executor(config["executor"])
    config, source, jobs = prepare(config)
    experiment = config["experiment"]
    store = Store(results_dir, experiment["name"])
    if config["dry_run"]:
        print(forecast(jobs, [job for job in jobs if config["fresh"] or not store.is_final(job.key)], store))
        return 0
    sweep(results_dir)
    with store.anew([job.key for job in jobs] if config["fresh"] else []) as kept:
        todo = [job for job in jobs if not store.is_final(job.key)]
        earlier = of_earlier_code(jobs, store.finished()) if todo else ""
        print(f"{len(jobs)} jobs, {len(jobs) - len(todo)} on record{earlier}, {len(todo)} to compute.")
        todo = sorted(todo, key=lambda job: job.seed)
        if experiment.get("grows_with"):
            run_growing(run_jobs, todo, results_dir, experiment["grows_with"])
        else:
            run_jobs(todo, results_dir)

    with alone(results_dir):
        n_failed = _draw(config, *collect(store, jobs), source, identity)
    for record in kept:
        where = ", ".join(map(str, [record["label"], *record["axes"].values(), f"seed {record['seed']}"]))
        print(f"{record['status']}: {where}: {record['reason']} (its earlier record stays)", file=sys.stderr)
    return n_failed + len(kept)


def _draw(config, records, arrays, source, identity):
    """Table, figures, run summary and report from the records of this run; return how much failed."""
    experiment, results_dir = config["experiment"], Path(config["results_dir"])
    module = importlib.import_module(experiment["module"])
    axes = list(experiment.get("axes") or {})
    jobs = table.frame(records)
    if any(record.get("convergence") for record in records):
        jobs["converged"] = [(record.get("convergence") or {}).get("converged") for record in records]
    scores = published(module.SCORES, jobs)
    summary = table.summarise(jobs, axes, scores, published_as(config), source["origin"])
    called = [config[block]["name"] for block in ("experiment", "dataset", "protocol")]
    changes, lost = place(results_dir, called, identity, source, _distinct(records, "dataset_hash"), jobs, axes)
    if lost:
        which = "; ".join([*lost[:3], *["…"][: len(lost) - 3]])
        print(
            f"error: {len(lost)} jobs that tables/{names.stem(called, changes)}.csv has finished are not finished now "
            f"({which}): it stays, and what there is now is beside it, called “unfinished”. The same command tries "
            "them again; remove that table to do without them.",
            file=sys.stderr,
        )
        changes = sorted([*changes, UNFINISHED])
    stem = names.stem(called, changes)
    for name, content in {stem: summary, f"{stem}_jobs": jobs}.items():
        if identity.own_file:
            content = content.assign(file=_file(config))
        with atomic(results_dir / "tables" / f"{name}.csv", "w") as file:
            spreadsheet.write(content, file)
    done = jobs.assign(arrays=arrays)
    done = done[done["status"] == "done"]
    said = {"changed": ", ".join(change.word for change in changes if change.alters)}  # captions have it
    figures, not_drawn = drawing.draw(module.__name__, summary.assign(**said), done.assign(**said), results_dir, stem)
    run = {"stem": stem, "config": _for_report(config), "axes": axes, "source": source, "figures": figures}
    run["notes"] = [*not_drawn, *(too_short := not_converged(records))]
    beside = [change for change in changes if not change.word.startswith("flip=")]  # config["flip"] has those
    run |= said | {
        "tag": ", ".join(change.word for change in changes),
        "alters": any(change.alters for change in beside),
    }
    if identity.own_file:
        run["file"] = _file(config)
    run["provenance"] = {name: _distinct(records, name) for name in PROVENANCE}
    with atomic(results_dir / "runs" / f"{stem}.json", "w") as file:
        json.dump(run, file, indent=1, sort_keys=True, default=str)
    if not lost:
        clear_unfinished(results_dir, called, changes)
    path = page.write(results_dir)

    print("\n" + table.as_text(summary, axes))
    print(f"Data:   {source['origin']}")
    print(f"Table:  {results_dir / 'tables' / stem}.csv")
    for name in figures:
        print(f"Figure: {results_dir / 'figures' / name}.png (and .pdf, .csv)")
    print(f"Report: {path}")
    differing = table.differing(jobs, axes)
    for sentence in too_short:
        print(f"warning: {sentence}", file=sys.stderr)
    for sentence in [*not_drawn, *differing]:
        print(f"error: {sentence}", file=sys.stderr)
    for reason, rows in jobs[jobs["status"] == "skipped"].groupby("reason", sort=False):  # whole, unlike in the table
        print(f"skipped: {', '.join(rows['label'].unique())}: {reason}")
    failed = jobs[jobs["status"].isin(["failed", "timeout"])]
    for (status, reason), rows in failed.groupby(["status", "reason"], sort=False):
        print(f"{status}: {', '.join(rows['label'].unique())}: {reason}", file=sys.stderr)
    is_empty = not (jobs["status"] == "done").any()
    if is_empty and failed.empty:
        print("error: this run has no result: every job of it was skipped, for the reason above.", file=sys.stderr)
    return len(failed) + len(differing) + len(not_drawn) + is_empty


def _file(config):
    """The user's file and its folder: enough to know it among others of its name, and not where it lies."""
    return "/".join(Path(config["dataset"]["path"]).absolute().parts[-2:])


def _for_report(config):
    """What was computed, without where files lie on this machine: the summary of a run can be handed on."""
    kept = {name: config[name] for name in ("experiment", "protocol", "flip", "methods", "seeds", "scale")}
    dataset = {name: config["dataset"].get(name) for name in ("name", "published_as", "stand_in_for")}
    return kept | {"dataset": dataset}


def _distinct(records, name):
    """The different values that the records of a run have for ``name``."""
    values = []
    for record in records:
        if record.get(name) is not None and record[name] not in values:
            values.append(record[name])
    return values


def require_writable(folder):
    """Fail before any training where results could not be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # it has no name that another run could meet
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise PermissionError(
            f"Results cannot be written to {folder} ({error.strerror}): make room there or set results_dir=FOLDER."
        ) from error


failures = []


def _show(config: DictConfig):
    print(as_yaml(resolve(config)), end="")


def _task(config: DictConfig):
    try:
        failures.append(execute(resolve(config), identify(config)))
    except FOR_PEOPLE as error:  # the other jobs of a sweep go on
        print(f"error: {why(error)}", file=sys.stderr)
        failures.append(1)


def main():
    speak()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave through the same door as Ctrl-C: children stop
    asked, sys.argv[1:] = only_shown(understood(sys.argv[1:]))
    task = hydra.main(version_base=None, config_path=str(ROOT / "conf"), config_name="config")
    try:
        task(_show if asked else _task)()
    except KeyboardInterrupt:
        print("\nInterrupted: finished jobs are on record, the same command resumes.", file=sys.stderr)
        return 130
    except (*ERRORS, ValueError) as error:  # a ValueError of ours is said in _task
        print(f"error: {explain(error)}", file=sys.stderr)
        return 1
    return 1 if sum(failures) else 0


if __name__ == "__main__":
    sys.exit(main())
