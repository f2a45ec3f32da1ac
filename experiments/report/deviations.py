"""What the paper's text and the authors' code do differently, and what each difference moves.

``python -m experiments.deviations`` writes ``results/DEVIATIONS.md`` from conf/protocol/ and the runs on record, and
says how to measure what has not been measured. A choice is measured by runs that follow the text in all but this one
choice: ``python -m experiments.run -m +exp=imputation 'flip=[],[scvi.init]'``, both computed with one state of the
code, which would otherwise show as an effect.
"""

import argparse
import math
from pathlib import Path

import numpy as np

from ..loop.paths import ROOT
from ..loop.protocol import RUN, WRITTEN, choices
from ..loop.registry import METRICS
from ..loop.store import atomic
from .intervals import interval
from .numbers import interval_words, number
from .results import fullest, read_runs

NOT_ABOUT_RESULTS = {"tables", "speed", "parity", "scalability", "scalability_10k"}


def main():
    about = __doc__.split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m experiments.deviations", description=about)
    parser.add_argument("--results", default="results", help="folder with the runs (results)")
    arguments = parser.parse_args()
    path, missing = write(arguments.results)
    print(f"Written: {path}")
    for experiment, keys in missing.items():
        flips = ",".join(["[]", *(f"[{key}]" for key in keys)])
        print(f"Not measured yet: python -m experiments.run -m +exp={experiment} dataset=NAME 'flip={flips}'")


def write(results_dir):
    """Write ``results_dir/DEVIATIONS.md``; return its path, and by experiment the choices that no run has measured."""
    written, run = choices(WRITTEN), choices(RUN)
    different = [key for key in written if values(written[key]) != values(run[key])]
    runs = fullest(_runs(results_dir))
    lines, missing = [*HEAD], {}
    for key in different:
        lines += [f"## {key}", "", "| | value | source |", "|---|---|---|"]
        for name, choice in ((WRITTEN, written[key]), (RUN, run[key])):
            lines.append(f"| {name} | `{choice.value}` | {choice.source or '–'} |")
            lines += [f"| {name}, {data} | `{value}` | {source} |" for data, value, source in choice.data_sets]
        measured, methods = {}, {}
        for reference, flipped in _pairs(key, runs):
            measured.setdefault(flipped["of"], []).extend(_effects(reference, flipped))
            methods.setdefault(flipped["of"], {}).update(dict.fromkeys(label for label, *_ in flipped["scores"]))
        effects = [line for found in measured.values() for line in found]
        lines += ["", *EFFECT_HEAD, *effects] if effects else []
        unmoved = [f"{of} ({', '.join(methods[of])})" for of, found in measured.items() if not found]
        lines += ["", f"Beside the text's other choices it moves no score of {', '.join(unmoved)}."] if unmoved else []
        lines += [""] if measured else ["", "Not measured yet.", ""]
        for experiment in () if measured else _concerned(key, runs):
            missing.setdefault(experiment, []).append(key)
    path = Path(results_dir) / "DEVIATIONS.md"
    with atomic(path, "w") as file:
        file.write("\n".join(lines).rstrip() + "\n")
    return path, missing


def values(choice):
    """What a choice is, whatever it is from."""
    return choice.value, [(name, value) for name, value, _ in choice.data_sets]


def _concerned(key, runs):
    """The experiments that a choice may move: the one that its block is named after, else all that were run."""
    block = {"corruption": "imputation"}.get(key.split(".")[0], key.split(".")[0])
    own = (ROOT / "conf" / "exp" / f"{block}.yaml").exists()
    return [block] if own else sorted({run["experiment"] for run in runs} - NOT_ABOUT_RESULTS)


HEAD = (
    "# Where the paper's text and its code part",
    "",
    "Written by `python -m experiments.deviations` from `conf/protocol/` and the runs on record. Each effect is the",
    "difference between runs that follow the text and runs that follow it in all but this one choice, seed by seed,",
    "with its 95% interval. Methods and scores that a choice leaves as they were are not listed.",
    "",
)
EFFECT_HEAD = (
    "| experiment | method | score | as written | with the code's choice | effect | seeds |",
    "|---" * 7 + "|",
)


def _runs(results_dir):
    """Runs of the text's protocol with at most one choice flipped, their scores by method, axes, score and seed."""
    for run in read_runs(results_dir, flipped=True):
        if not (run["table"] and run["jobs"]):
            print(f"Passed over: {' '.join(run['notes']) or run['stem']}")
        elif run["protocol"] == WRITTEN and len(run["flip"]) < 2 and not run["alters"]:
            rows, jobs = ([row for row in run[name] if row.get("role") != "control"] for name in ("table", "jobs"))
            shown = [score for score in METRICS if any(row["score"] == score for row in rows)]
            scores = dict(_scores(jobs, run["axes"], shown))
            yield run | {"of": f"{run['experiment']} · {run['dataset']}", "jobs": jobs, "scores": scores}


def _scores(jobs, axes, shown):
    for row in jobs:
        setting = ", ".join(f"{axis}: {row[axis]}" for axis in axes)
        for score in shown:
            if row["status"] == "done" and row.get(score):
                yield (row["label"], setting, score, row["seed"]), float(row[score])


def _pairs(key, runs):
    """The runs that follow the text, each with the run on the same data that has the choice ``key`` alone otherwise."""
    flipped = [run for run in runs if run["flip"] == [key]]
    for reference in [run for run in runs if not run["flip"]]:
        for run in flipped:
            alike = all(run[name] == reference[name] for name in ("of", "data"))
            if alike and run["scores"].keys() & reference["scores"].keys():
                yield reference, run


def _effects(reference, run):
    """Lines of the table of effects: what ``run`` has of other scores than ``reference``."""
    groups, lines = {}, []
    for (*what, seed), before in reference["scores"].items():
        after = run["scores"].get((*what, seed), math.nan)
        if math.isfinite(after):
            groups.setdefault(tuple(what), []).append((before, after))
    for (label, setting, score), pairs in groups.items():
        before, after = np.array(pairs).T
        if np.array_equal(before, after):
            continue
        around = interval_words(*interval(after - before), "+")
        around = f" ({around})" if around else ""
        what, name = " · ".join(filter(None, [run["of"], setting])), METRICS[score].label.replace("|", r"\|")
        lines.append(
            f"| {what} | {label} | {name} | {number(before.mean())} | {number(after.mean())} "
            f"| {number((after - before).mean(), '+')}{around} | {len(pairs)} |"
        )
    return lines
