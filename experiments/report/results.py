"""What lies in a results folder: its runs, each with its tables. What is missing or damaged is noted, never fatal."""

import json
import re
from pathlib import Path
from urllib.parse import quote

from .. import titles
from ..loop import spreadsheet
from ..loop.names import override
from ..loop.paths import ROOT
from .published import published_as

JOBS = {"label", "status", "seed", "seconds", "peak_memory_mb"}
ROWS = {"label", "score", "status", "mean", "ci_low", "ci_high", "n_seeds", "vs_scvi", "vs_scvi_low", "vs_scvi_high"}
CONFIGURATION = ("experiment", "protocol", "methods", "seeds")  # the rest is where files are, not what is computed


def read_runs(results_dir, flipped=False):
    """The runs in a results folder.

    Parameters
    ----------
    results_dir : path
    flipped : bool
        Those with a choice of the protocol flipped as well, which only DEVIATIONS.md speaks of.

    Returns
    -------
    list of dict
        ``stem``, ``experiment``, ``module``, ``dataset``, ``title`` (what people call the data), ``published_as`` (None
        for a part of the data), ``protocol``, ``tag``, ``alters``, ``flip``, ``axes``, ``table`` and ``jobs`` (lines of
        the two tables, numbers as text), and what the page says of it; ``notes`` says what cannot be read.
    """
    results_dir = Path(results_dir)
    runs = [_run(file, results_dir) for file in sorted((results_dir / "runs").glob("*.json"))]
    return [run for run in runs if flipped or not run["flip"]]


def fullest(runs):
    """The runs that speak for the settings as they stand: of those that only leave jobs out or add some, the plain one.

    Where there is none, of one experiment, data set and protocol that with the most finished jobs.
    """
    speak = {}
    for run in runs:
        if not run["alters"]:
            what = (run["experiment"], run["dataset"], run["protocol"], run["data"], *run["flip"])
            before, size = speak.get(what), (not run["tag"], sum(job.get("status") == "done" for job in run["jobs"]))
            if before is None or size > before[0]:
                speak[what] = size, run
    return [run for _, run in speak.values()]


def command(run):
    """The command that makes a run; "" where its data set is in no yaml any more."""
    dataset = run["dataset"]
    if dataset.startswith("standin_"):
        dataset = f"standin/{dataset.removeprefix('standin_')}"
    if not (ROOT / "conf" / "dataset" / f"{dataset}.yaml").exists():
        return ""
    words = [f"+exp={run['experiment']}", f"dataset={dataset}", f"protocol={run['protocol']}"]
    words += [override(word) for word in run["tag"].split(", ") if word]
    return " ".join(["python -m experiments.run", *filter(None, words)])


def link(results_dir, path):
    """Address relative to the page, or None where there is no such file."""
    return "../" + quote(path) if (Path(results_dir) / path).is_file() else None


def _run(file, results_dir):
    """Everything that is known of one run; of one that is damaged, that it is."""
    try:
        return _summary(file, results_dir)
    except Exception as error:  # whatever a hand or a disk has left in the place of a summary
        note = f"runs/{file.name} cannot be read ({type(error).__name__}: {error}): run the experiment again."
        return _empty(file.stem, experiment="unreadable", dataset="", protocol="", notes=[note])


def _summary(path, results_dir):
    run = json.loads(path.read_text(encoding="utf-8"))
    stem, config, axes = run["stem"], run["config"], [str(axis) for axis in run["axes"]]
    if stem != path.stem or any(Path(name).name != name for name in run.get("figures") or []):
        raise ValueError("it speaks of files that are not its own")
    names = {key: str(config[key]["name"]) for key in ("experiment", "dataset", "protocol")}
    notes, tag = [str(note) for note in run.get("notes") or []], str(run.get("tag") or "")
    source, provenance = dict(run.get("source") or {}), dict(run.get("provenance") or {})
    stand_in_for = config["dataset"].get("stand_in_for") or source.get("stand_in_for")
    title = config["dataset"].get("title") or titles.data(names["dataset"])
    file = str(run.get("file") or "")
    known = _empty(stem, **names, tag=tag, file=file, stand_in_for=str(stand_in_for or ""))
    jobs, table = _table(results_dir, f"{stem}_jobs", JOBS, notes), _table(results_dir, stem, ROWS, notes)
    known_as = published_as(config)
    return known | {
        "title": str(title),
        "module": str(config["experiment"].get("module", "")),
        "published_as": str(known_as) if known_as else None,
        "origin": str(source.get("origin", "")),
        "alters": bool(run.get("alters", tag)),
        "flip": list(config.get("flip") or []),
        "data": str(provenance.get("dataset_hash")),
        "axes": axes,
        "figures": list(run.get("figures") or []),
        "table": table,
        "jobs": jobs,
        "remarks": [(m.get("_label_", name), m["_note_"]) for name, m in config["methods"].items() if m.get("_note_")],
        "provenance": {str(name): list(values or []) for name, values in provenance.items()},
        "steps": [str(step) for step in source.get("steps") or []],
        "sha256": str(source.get("sha256") or ""),
        "config": json.dumps({key: config.get(key) for key in CONFIGURATION}, indent=1, ensure_ascii=False),
        "csv": [link(results_dir, f"tables/{name}.csv") for name in (stem, f"{stem}_jobs")],
        "notes": notes,
    }


def _empty(stem, *, experiment, dataset, protocol, tag="", file="", stand_in_for="", notes=()):
    """A run of which nothing but its names is known."""
    variant = ", ".join(filter(None, [protocol, file, tag]))
    empty = dict.fromkeys(("axes", "figures", "table", "jobs", "remarks"), ())
    return empty | {
        "id": re.sub(r"\s", "-", f"run-{stem}"),
        "stem": stem,
        "title": dataset,
        "experiment": experiment,
        "module": "",
        "dataset": dataset,
        "published_as": None,
        "protocol": protocol,
        "variant": variant,
        "file": file,
        "tag": tag,
        "alters": True,
        "flip": [],
        "data": "",
        "name": ", ".join(filter(None, [dataset, variant])) or stem,
        "stand_in_for": stand_in_for,
        "origin": "",
        "provenance": {},
        "steps": [],
        "sha256": "",
        "config": "",
        "csv": (None, None),
        "notes": notes,
    }


def _table(results_dir, name, columns, notes):
    """The lines of a table, none with a note where it is not whole."""
    path = results_dir / "tables" / f"{name}.csv"
    try:
        rows = spreadsheet.read(path)
        if any(not columns <= row.keys() for row in rows):
            raise ValueError("a column is missing")
        return rows
    except (OSError, ValueError) as error:
        notes.append(f"tables/{path.name} cannot be read ({type(error).__name__}).")
        return []
