"""The tables and figures of the paper in its order, each with the runs that show it and what they found."""

import functools
import math
import re
import statistics

import yaml

from .. import titles
from ..loop.paths import ROOT
from ..loop.registry import METRICS
from . import published
from .numbers import duration, interval_words, number, to_float
from .results import command


@functools.cache
def read():
    """The exhibits of results/exhibits.yaml.

    Each has ``id``, ``title``, ``says`` and ``experiment``; ``scores`` and ``figures``, patterns of names, say what of
    a run belongs to it, ``where`` at which settings, ``published`` under which names results/published.json has it.
    """
    return yaml.safe_load((ROOT / "results" / "exhibits.yaml").read_text(encoding="utf-8"))


def is_own(run):
    """Whether a run is of data that are neither the paper's, nor in place of them, nor simulated here: the user's."""
    return bool(run["dataset"]) and run["dataset"] not in _data_sets() and not run["stand_in_for"]


def sections(runs, picture):
    """What the page shows of runs, exhibit by exhibit.

    Parameters
    ----------
    runs : list of dict
        From `report.results.read_runs`, those that speak for the settings as they stand.
    picture : callable
        (run, name of a figure) -> what the page shows of it, or None.

    Returns
    -------
    list of dict
        The exhibits that some run has something for, with ``blocks``, one for each data set.
    """
    shown = []
    for exhibit in read():
        those = [run for run in runs if run["experiment"] in exhibit["experiment"]]
        blocks = [block(group, exhibit, picture) for group in _by_data(those)]
        blocks = [each for each in blocks if each["tables"] or each["pictures"]]
        if blocks:
            _tell_apart(blocks)
            shown.append(exhibit | {"blocks": blocks, "published": exhibit.get("published", [])})
    return shown


def the_rest(runs, picture, prefix):
    """Sections for runs that are in no exhibit, one per experiment; ``prefix`` begins their addresses."""
    shown = []
    for experiment in dict.fromkeys(run["experiment"] for run in runs):
        those = [run for run in runs if run["experiment"] == experiment]
        whole = {"id": f"{prefix}-{_slug(experiment)}", "scores": ".*", "figures": ".*"}
        groups = _by_data([run for run in those if not run["tag"]]) + [[run] for run in those if run["tag"]]
        blocks = [block(group, whole, picture) for group in groups]
        _tell_apart(blocks)
        title = titles.experiment(experiment)
        shown.append(whole | {"title": title[:1].upper() + title[1:], "says": "", "blocks": blocks, "published": []})
    return shown


def block(runs, exhibit, picture):
    """What runs of one data set, side by side, show of an exhibit."""
    first = runs[0]
    return {
        "dataset": first["dataset"],
        "title": ", ".join(filter(None, [first["title"], first["file"], first["tag"]])) or first["name"],
        "stand_in_for": first["stand_in_for"],
        "origin": first["origin"] if first["origin"] != first["stand_in_for"] else "",
        "runs": [run | {"called": _called(run, runs)} for run in runs],
        "pictures": [p for run in runs for p in _pictures(run, exhibit, picture)],
        "tables": _tables(runs, exhibit),
        "commands": [(_called(run, runs), command(run), _took(run)) for run in runs],
        "notes": [note for run in runs for note in run["notes"]],
        "remarks": list(dict.fromkeys(remark for run in runs for remark in run["remarks"])),
    }


def _tell_apart(blocks):
    """Give blocks of one title, as of two experiments in one section, the names of their runs as well."""
    names = [each["title"] for each in blocks]
    for each in blocks:
        if names.count(each["title"]) > 1:
            each["title"] += f" ({each['runs'][0]['stem'].replace('_', ' ')})"


def _by_data(runs):
    """Runs of one experiment and data set together."""
    groups = {}
    for run in runs:
        groups.setdefault((run["dataset"], run["experiment"], run["stand_in_for"]), []).append(run)
    ordered = sorted(groups.items(), key=lambda item: bool(item[0][2]))  # the paper's own data first
    return [sorted(group, key=lambda run: run["protocol"] != "as_written") for _, group in ordered]


def _called(run, runs):
    """What tells a run from those beside it."""
    beside = [other for other in runs if other["protocol"] == run["protocol"]]
    parts = (titles.protocol(run["protocol"]), run["file"] if len(beside) > 1 else None, run["tag"])
    return ", ".join(filter(None, parts)) or run["name"]


def _pictures(run, exhibit, picture):
    wanted = re.compile(exhibit.get("figures") or "(?!)")
    for name in run["figures"]:
        if wanted.fullmatch(name.removeprefix(run["stem"]).removeprefix("_")):
            yield from filter(None, [picture(run, name)])


def _tables(runs, exhibit):
    """One table per score, with a row per setting and method and a group of columns per run."""
    wanted = re.compile(exhibit.get("scores") or "(?!)")
    where = exhibit.get("where", {})
    tables = {}
    for n, run in enumerate(runs):
        seeds = _seeds(run)
        for line in run["table"]:
            if not wanted.fullmatch(line["score"]) or any(line.get(axis) != value for axis, value in where.items()):
                continue
            setting = setting_of(line, [axis for axis in run["axes"] if axis not in where], run["dataset"])
            rows = tables.setdefault(line["score"], {}).setdefault(setting, {})
            row = rows.setdefault((line.get("method"), line["label"]), _row(line, exhibit, runs[0], setting))
            row["cells"][n] = _cell(line, run, seeds)
            row["published"] = row["published"] or number(to_float(line.get("published")))
            row["published_in"] = row["published_in"] or line.get("published_in", "")
    found = []
    for score, settings in tables.items():
        for rows in settings.values():
            for row in rows.values():
                row["cells"] = [row["cells"].get(n, NOTHING) for n in range(len(runs))]
        metric = METRICS.get(score)
        groups = [(setting, list(rows.values())) for setting, rows in settings.items()]
        found.append({"score": metric.title if metric else score, "groups": groups})
    return found


NOTHING = dict.fromkeys(("ours", "interval", "versus", "versus_interval", "seeds", "n", "verdict", "why"), "")


def _row(line, exhibit, run, setting):
    address = "-".join(
        filter(None, map(_slug, (exhibit["id"], run["dataset"], run["tag"], line["score"], setting, line["label"])))
    )
    return {
        "id": address,
        "label": line["label"],
        "role": line.get("role", ""),
        "published": "",
        "published_in": "",
        "cells": {},
    }


def _cell(line, run, seeds):
    """What one run found for one row."""
    ours, low, high = (to_float(line.get(name)) for name in ("mean", "ci_low", "ci_high"))
    n, missing = (to_float(line.get(name)) for name in ("n_seeds", "n_missing"))
    n, missing = (int(value) if math.isfinite(value) else 0 for value in (n, missing))
    verdict, why = judged(line, run["stand_in_for"])
    key = (line["label"], *(line.get(axis) for axis in run["axes"]))
    return {
        "ours": number(ours),
        "interval": interval_words(low, high),
        "versus": number(to_float(line.get("vs_scvi")), "+"),
        "versus_interval": interval_words(to_float(line.get("vs_scvi_low")), to_float(line.get("vs_scvi_high")), "+"),
        "n": f"{n} of {n + missing}" if missing else n,
        "seeds": ", ".join(number(job[1]) for job in seeds.get((line["score"], *key), ())) if n > 1 else "",
        "verdict": verdict,
        "why": why,
    }


def judged(line, stand_in_for):
    """The verdict on the published value of a line of a table, and why."""
    ours, low, high, value = (to_float(line.get(name)) for name in ("mean", "ci_low", "ci_high", "published"))
    if not math.isfinite(ours):
        return "not run", line.get("status") or "no result"
    if not math.isfinite(value):
        return ("control" if line.get("role") == "control" else "no published value"), ""
    verdict, why = published.verdict(ours, low, high, value, to_float(line.get("tolerance")))
    if verdict == "not judged":
        return verdict, "time of another machine"
    metric = METRICS.get(line["score"])
    if verdict == "differs" and metric and metric.better:
        why += ", better" if (ours < value) == (metric.better == "lower") else ", worse"
    return ("other data" if stand_in_for else verdict), why


def setting_of(line, axes, dataset):
    """The values that a line of a table has of some axes, in words."""
    return ", ".join(titles.setting(dataset, axis, line.get(axis, "")) for axis in axes)


def _seeds(run):
    """{(score, label, settings): [(seed, value)]} of the finished jobs of a run."""
    values = {}
    scores = {line["score"] for line in run["table"]}
    for job in run["jobs"]:
        if job["status"] == "done":
            for score in scores & job.keys():
                value = to_float(job[score])
                if math.isfinite(value):
                    key = (score, job["label"], *(job.get(axis) for axis in run["axes"]))
                    values.setdefault(key, []).append((job.get("seed"), value))
    return values


def _took(run):
    """How long the jobs of a run took, all together."""
    seconds = _finite(job["seconds"] for job in run["jobs"])
    return f"{len(seconds)} jobs, {duration(sum(seconds))} in all" if seconds else ""


def times(jobs):
    """Wall time and peak memory of the finished jobs of each method."""
    groups = {}
    for job in jobs:
        if job.get("status") == "done":
            groups.setdefault(job["label"], []).append(job)
    found = []
    for label, group in groups.items():
        seconds, memory = (_finite(job.get(name) for job in group) for name in ("seconds", "peak_memory_mb"))
        row = {"label": label, "n": len(group), "memory": f"{max(memory):,.0f}" if memory else ""}
        if seconds:
            found.append(row | {"median": duration(statistics.median(seconds)), "longest": duration(max(seconds))})
    return found


def _finite(texts):
    """The numbers among fields of a table."""
    return [value for value in map(to_float, texts) if math.isfinite(value)]


@functools.cache
def _data_sets():
    """The names of the data sets of conf/dataset/."""
    files = (ROOT / "conf" / "dataset").rglob("*.yaml")
    return {yaml.safe_load(file.read_text(encoding="utf-8")).get("name") for file in files}


def with_addresses(sections):
    """The sections with an address for each row that no other row has."""
    taken = set()
    for row in (
        row for s in sections for b in s["blocks"] for t in b["tables"] for _, rows in t["groups"] for row in rows
    ):
        name, n = row["id"], 1
        while row["id"] in taken:
            n += 1
            row["id"] = f"{name}-{n}"
        taken.add(row["id"])
    return sections


def _slug(words):
    return re.sub(r"[^\w]+", "-", str(words).lower()).strip("-")
