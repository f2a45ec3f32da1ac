"""Every published number with ours beside it, or the reason why there is none.

``python -m experiments.ledger`` prints it and writes ``results/ledger.csv``. Ours is found as tables find a published
number, the other way round: by the names that experiments declare for their scores (`scores.Score`). What those cannot
say is in ``results/ledger.yaml``.
"""

import argparse
import csv
import functools
import importlib
import math
from collections import Counter
from pathlib import Path

import numpy as np
import yaml

from .. import scores
from ..loop.paths import ROOT
from ..loop.protocol import RUN, WRITTEN
from ..loop.store import atomic
from . import published
from .intervals import interval
from .numbers import number, to_float
from .results import command, read_runs

PROTOCOLS = (WRITTEN, RUN)
OF_PROTOCOL = ("value", "low", "high", "seeds", "verdict", "why", "data", "run", "command", "note")
COLUMNS = ["row", "figure", "dataset", "method", "metric", "setting", "published"]
COLUMNS += [f"{protocol}_{name}" for protocol in PROTOCOLS for name in OF_PROTOCOL] + ["reason"]


def main():
    about = __doc__.split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m experiments.ledger", description=about)
    parser.add_argument("--results", default="results", help="folder with the runs (results)")
    results_dir = Path(parser.parse_args().results)
    rows = ledger(read_runs(results_dir))
    for row in rows:
        print(as_line(row))
    print(f"\n{summary(rows)}\nWritten: {write(rows, results_dir)}")


def ledger(runs):
    """The ledger of runs.

    Parameters
    ----------
    runs : list of dict
        From `report.results.read_runs`.

    Returns
    -------
    list of dict
        One for each row of results/published.json, with `COLUMNS` as keys: ``published`` and ``…_value`` as the paper
        prints them, ``…_data`` the name of the data that ours are of, ``reason`` where neither protocol has a number.
    """
    known = rules()
    ours = _by_declared_names(runs, known["same"])
    rows = []
    for entry in published.read():
        row = dict.fromkeys(COLUMNS, "")
        row |= {name: entry[name] for name in ("row", "figure", "dataset", "method", "metric")}
        row |= {"published": entry["value"], "setting": _setting(entry)}
        found = ours.get(entry["row"]) or _by_rule(entry, runs, known["ours"])
        for protocol in PROTOCOLS if entry["value"] is not None else ():
            candidates = [each for each in found if each["run"]["protocol"] == protocol]
            if candidates:
                best = max(candidates, key=_rank)
                row |= {f"{protocol}_{name}": value for name, value in _told(entry, best).items()}
        if entry["value"] is None:
            row["reason"] = "the paper has no number here: the method could not be run"
        elif not is_told(row):
            missing = (rule["missing"] for rule in known["missing"] if applies(rule["published"], entry))
            row["reason"] = next(missing, "no run has it yet")
        rows.append(row)
    return rows


@functools.cache
def rules():
    """What results/ledger.yaml says: ``same``, ``ours`` and ``missing``."""
    return yaml.safe_load((ROOT / "results" / "ledger.yaml").read_text(encoding="utf-8"))


def is_told(row):
    """Whether a row of the ledger has a number of ours."""
    return any(row[f"{protocol}_value"] != "" for protocol in PROTOCOLS)


def summary(rows):
    """How many published numbers have one of ours beside them, in a sentence."""
    known = [row for row in rows if row["published"] is not None]
    told = [row for row in known if is_told(row)]
    verdicts = Counter(verdict_of(row) for row in told)
    words = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    own = sum(verdicts[verdict] for verdict in ("reproduced", "undecided", "differs"))
    return (
        f"{len(told)} of {len(known)} published numbers have one of ours beside them: {words}. "
        f"{own} were judged on the paper's own data."
    )


def verdict_of(row):
    """One verdict for a row: reproduced where either protocol reproduces it."""
    verdicts = {row[f"{protocol}_verdict"] for protocol in PROTOCOLS} - {""}
    order = ("reproduced", "undecided", "differs", "not judged", "other data")
    return next((verdict for verdict in order if verdict in verdicts), "not run")


def as_line(row):
    """A row as it is printed."""
    what = f"{row['figure']} · {row['dataset']} · {row['method']} · {row['metric']}"
    what += f" ({row['setting']})" if row["setting"] else ""
    if not is_told(row):
        return f"{what}: {_plain(row['published'])}; ours: none, {row['reason']}"
    parts = [
        f"{protocol} {_plain(row[f'{protocol}_value'])} on {row[f'{protocol}_data']} ({row[f'{protocol}_verdict']})"
        for protocol in PROTOCOLS
        if row[f"{protocol}_value"] != ""
    ]
    return f"{what}: {_plain(row['published'])}; {'; '.join(parts)}"


def write(rows, results_dir):
    """Write ``results_dir/ledger.csv``; return its path."""
    path = Path(results_dir) / "ledger.csv"
    with atomic(path, "w") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{v:.10g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    return path


def _by_declared_names(runs, same):
    """{row of results/published.json: what runs have for it}, found by what experiments declare."""
    entries = {}
    for entry in published.read():
        known, notes = dict(entry), []
        for rule in same:
            if applies(rule["published"], entry):
                known |= rule["as"]
                notes.append(rule["note"])
        key = tuple(str(known[name]) for name in ("dataset", "method", "metric"))
        entries.setdefault(key, []).append((known, "; ".join(notes)))
    found = {}
    for run in runs:
        wanted = _wanted(run)
        for row in run["table"]:
            for sign, address in _addresses(run, row, wanted.get(row["score"])):
                key = tuple(str(address[name]) for name in ("dataset", "method", "metric"))
                for entry, note in entries.get(key, ()):
                    if published.matches(entry, address) and math.isfinite(to_float(row["mean"])):
                        ends = [sign * to_float(row[end]) for end in ("mean", "ci_low", "ci_high")]
                        what = {"run": run, "value": ends[0], "ends": sorted(ends[1:]), "seeds": row["n_seeds"]}
                        found.setdefault(entry["row"], []).append(what | {"note": note})
    return found


def _wanted(run):
    """{score: where it stands in results/published.json} of a run; none of an experiment that is not of this suite."""
    package, _, name = run["module"].rpartition(".")
    if package != "experiments" or not name.isidentifier() or not (ROOT / "experiments" / f"{name}.py").is_file():
        return {}
    declared = getattr(importlib.import_module(run["module"]), "SCORES", {})
    return scores.published(declared, {row["score"] for row in run["table"]})


def _addresses(run, row, wanted):
    """Where a line of a table may stand in results/published.json; nowhere if a column of it is lost."""
    try:
        return list(published.addresses(run["published_as"], row, wanted))
    except KeyError:
        return []


def _by_rule(entry, runs, rules):
    """What runs have for a published number in a column of their jobs that a rule names."""
    found = []
    for rule in rules:
        if not applies(rule["published"], entry):
            continue
        filled = {key: entry.get(key, "") for key in (*published.QUALIFIERS, "method", "dataset")}
        label = str(rule.get("label", "{method}")).format(**filled)
        where = {axis: str(value).format(**filled) for axis, value in rule.get("where", {}).items()}
        for run in runs:
            if run["experiment"] not in rule["experiment"] or run["dataset"].removeprefix("standin_") != rule["data"]:
                continue
            jobs = [job for job in run["jobs"] if job["status"] == "done" and (label == "*" or job["label"] == label)]
            jobs = [job for job in jobs if all(job.get(axis) == value for axis, value in where.items())]
            values = {job["seed"]: _value(job, rule) for job in jobs}
            values = np.array([value for value in values.values() if math.isfinite(value)])
            if values.size:
                what = {"run": run, "value": float(values.mean()), "ends": interval(values), "seeds": str(values.size)}
                found.append(what | {"note": rule.get("note", "")})
    return found


def _value(job, rule):
    """The number that a rule takes from a job."""
    value = to_float(job.get(rule["column"])) / rule.get("per", 1)
    return value / math.prod(to_float(job.get(name)) for name in rule.get("over", ()))


def applies(pattern, entry):
    """Whether a published number has all that a pattern asks for; a list names any of several, null what is absent."""
    return all(entry.get(key) in (wanted if isinstance(wanted, list) else [wanted]) for key, wanted in pattern.items())


def _rank(found):
    """Of several runs that have a number: the paper's own data, the settings as they stand, the most seeds."""
    run = found["run"]
    return not run["stand_in_for"], not found["note"], not run["alters"], not run["tag"], to_float(found["seeds"])


def _told(entry, found):
    """What the ledger says of one protocol."""
    run, (low, high) = found["run"], found["ends"]
    within, _ = published.tolerance(entry["metric"], entry["value"])
    verdict, why = published.verdict(found["value"], low, high, entry["value"], within)
    is_other = run["stand_in_for"] or run["published_as"] is None
    return {
        "value": found["value"],
        "low": low if math.isfinite(low) else "",
        "high": high if math.isfinite(high) else "",
        "seeds": found["seeds"],
        "verdict": "other data" if is_other and verdict != "not judged" else verdict,
        "why": why,
        "data": run["title"],
        "run": run["stem"],
        "command": command(run),
        "note": found["note"],
    }


def _setting(entry):
    return ", ".join(f"{name} {entry[name]}" for name in published.QUALIFIERS if name in entry)


def _plain(value):
    return "NA" if value is None else number(float(value))
