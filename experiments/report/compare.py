"""Two sets of results side by side: what is equal, what is within the interval, what is neither, what verdict turns."""

import argparse
import math
import subprocess
import tempfile
from pathlib import Path

import pandas as pd

from ..loop.paths import ROOT
from . import claims, results
from .intervals import interval
from .numbers import number, to_float

PROTOCOLS = ROOT / "conf" / "protocol"
EQUAL, WITHIN, NEITHER = "equal", "within", "neither"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m experiments.compare", description=__doc__)
    what = "a folder with results, a commit of this project, or a protocol (of --results)"
    parser.add_argument("a", help=what)
    parser.add_argument("b", help="the same")
    parser.add_argument("--results", default="results", help="folder of a commit and of protocols (results)")
    parser.add_argument("--all", action="store_true", help="list equal scores as well")
    parser.add_argument("--csv", help="write all rows to this file")
    options = parser.parse_args(arguments)
    try:
        a, b = (runs(source, options.results) for source in (options.a, options.b))
    except ValueError as error:
        parser.error(str(error))
    by_protocol = not (is_protocol(options.a) or is_protocol(options.b))
    rows = differences(a, b, by_protocol)
    if options.csv:
        pd.DataFrame(rows).to_csv(options.csv, index=False)
    print(as_text(rows, turned(a, b, by_protocol), options.all))
    return 0


def is_protocol(source):
    """Whether a source is the name of a protocol, and no folder."""
    return not Path(source).is_dir() and (PROTOCOLS / f"{source}.yaml").is_file()


def runs(source, folder="results"):
    """The runs of a folder, a commit or a protocol.

    Parameters
    ----------
    source : str
    folder : path
        The results folder in which the runs of a protocol are; its path in the project is where those of a commit are.

    Returns
    -------
    list of dict
        Of `experiments.report.results.read_runs`.

    Raises
    ------
    ValueError
        In one sentence: there is no such thing, or it holds no run.
    """
    if is_protocol(source):
        found = [run for run in results.read_runs(folder) if run["protocol"] == source]
    elif Path(source).is_dir():
        found = results.read_runs(source)
    else:
        with tempfile.TemporaryDirectory() as copy:
            _write_commit(source, folder, Path(copy))
            found = results.read_runs(copy)
    if not found:
        raise ValueError(f"There is no run in {source}: name a folder with results, a commit or a protocol.")
    return found


def differences(a, b, by_protocol=True):
    """One row for each score of a method at a setting that both have.

    Parameters
    ----------
    a, b : list of dict
        Of `runs`.
    by_protocol : bool
        Set runs of one protocol side by side; otherwise those of whatever protocol.

    Returns
    -------
    list of dict
        ``experiment, dataset, protocol, setting, method, score, a, b`` (means over the seeds that both finished),
        ``difference`` (b minus a, seed by seed), ``low, high`` (its 95% interval), ``seeds`` and ``outcome``: "equal"
        to the last digit on every seed, "within" the 95% interval of the mean of all seeds of a, or "neither". What
        two tables have of the same jobs, as those of a run and of the run with one method more, is listed once.
    """
    rows = [row for one, other in _pairs(a, b, by_protocol) for row in _rows(one, other, by_protocol)]
    return list({repr(row): row for row in rows}.values())


def turned(a, b, by_protocol=True):
    """The statements of the paper whose verdict is another: (statement, data set, protocol, verdict of a, of b)."""
    before, after = (_verdicts(source, by_protocol) for source in (a, b))
    return [(*what, before[what], after[what]) for what in before if after.get(what, before[what]) != before[what]]


def as_text(rows, changes, whole=False):
    """Both as people read them on a terminal, ending with the line that counts."""
    lines, shown = [], rows if whole else [row for row in rows if row["outcome"] != EQUAL]
    if shown:
        table = pd.DataFrame(shown)
        for name, sign in {"a": "", "b": "", "difference": "+", "low": "+", "high": "+"}.items():
            table[name] = [number(value, sign) or "–" for value in table[name]]
        lines += [table.to_string(index=False, justify="left"), ""]
    for says, dataset, protocol, before, after in changes:
        lines.append(f"Turned: {says} ({', '.join(filter(None, [dataset, protocol]))}): {before} → {after}")
    n = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in (EQUAL, WITHIN, NEITHER)}
    lines.append(
        f"{len(rows)} means: {n[EQUAL]} equal to the last digit on every seed, {n[WITHIN]} more within the 95% "
        f"interval of the first, {n[NEITHER]} neither."
    )
    return "\n".join(lines)


def _pairs(a, b, by_protocol):
    """Runs of the same; one that is a part of the plain run (some seeds, say) beside that where there is no other."""

    def told_apart(run):
        return run["experiment"], run["dataset"], run["protocol"] if by_protocol else "", run["tag"]

    mine, others = ({told_apart(run): run for run in source} for source in (a, b))
    for what, run in mine.items():
        if what in others:
            yield run, others[what]
        elif not run["alters"] and (plain := others.get((*what[:-1], ""))):
            yield run, plain
    for what, run in others.items():
        if what not in mine and not run["alters"] and (plain := mine.get((*what[:-1], ""))):
            yield plain, run


def _rows(one, other, by_protocol):
    axes = [axis for axis in one["axes"] if axis in other["axes"]]
    left, right = _finished(one["jobs"], axes), _finished(other["jobs"], axes)
    for (setting, method), own in left.items():
        seeds = [seed for seed in own if seed in right.get((setting, method), {})]
        for score in dict.fromkeys(row["score"] for row in one["table"]):
            values = [(own[s].get(score, ""), right[setting, method][s].get(score, "")) for s in seeds]
            values = [(to_float(x), to_float(y)) for x, y in values]
            values = [(x, y) for x, y in values if math.isfinite(x) and math.isfinite(y)]
            if not values:
                continue
            a, b = zip(*values, strict=True)
            mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
            low, high = interval([y - x for x, y in values])
            bounds = interval([value for job in own.values() if math.isfinite(value := to_float(job.get(score, "")))])
            yield {
                "experiment": one["experiment"],
                "dataset": one["dataset"],
                "protocol": one["protocol"] if by_protocol else f"{one['protocol']} → {other['protocol']}",
                "setting": ", ".join(filter(None, [*setting, one["tag"] if one["tag"] == other["tag"] else ""])),
                "method": method,
                "score": score,
                "a": mean_a,
                "b": mean_b,
                "difference": mean_b - mean_a,
                "low": low,
                "high": high,
                "seeds": len(values),
                "outcome": EQUAL if a == b else WITHIN if bounds[0] <= mean_b <= bounds[1] else NEITHER,
            }


def _finished(jobs, axes):
    """{(setting, label): {seed: job}}."""
    found = {}
    for job in jobs:
        if job["status"] == "done":
            setting = tuple(job.get(axis, "") for axis in axes)
            found.setdefault((setting, job["label"]), {})[job["seed"]] = job
    return found


def _verdicts(source, by_protocol):
    found = {}
    for claim in claims.answered(results.fullest(source)):
        for answer in claim["answers"]:
            run = answer["run"]
            found[claim["says"], run["dataset"], run["protocol"] if by_protocol else ""] = answer["verdict"]
    return found


def _write_commit(name, folder, copy):
    """Write the runs and tables that a results folder has in a commit of this project."""

    def git(*arguments):
        call = ["git", "-C", str(ROOT), "-c", "core.quotepath=off", *arguments]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout

    try:
        commit = git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(f"{name} is no folder, no protocol and no commit of this project.") from error
    for room in ("runs", "tables"):
        (copy / room).mkdir()
        for file in git("ls-tree", "--name-only", commit, f"{Path(folder).as_posix()}/{room}/").splitlines():
            (copy / room / Path(file).name).write_text(git("show", f"{commit}:{file}"), encoding="utf-8")
