"""The paper's statements about scVI beside other methods, held against the differences that runs have measured."""

import math

import yaml

from ..loop.provenance import ROOT
from ..loop.registry import METRICS
from .numbers import to_float
from .table import REFERENCE, interval


def read():
    """The statements of results/claims.yaml.

    Each has ``says``, ``section``, ``experiment``, ``score``, optionally ``where`` ({axis: value}) and ``datasets``.
    Under one of ``better``, ``worse`` and ``like`` (with ``margin``) stand the methods that scVI is compared with, or
    the row of it that ``of`` names; ``value`` has the ``label`` of one method and a bound that its score lies ``above``
    or ``below``. ``control`` is the label of one that knows nothing, of which a statement should not hold.
    """
    return yaml.safe_load((ROOT / "results" / "claims.yaml").read_text(encoding="utf-8"))


def answered(runs):
    """Every statement, with what each run of its experiment says to it.

    Parameters
    ----------
    runs : list of dict
        Those that speak for the settings as they stand: ``experiment``, ``dataset``, ``axes`` and the two tables,
        ``table`` and ``jobs``, numbers as text.

    Returns
    -------
    list of dict
        Those of `read`, each with ``answers``: a list of ``{"run": dict, "verdict": str, "words": list of str}``.
    """
    statements = []
    for claim in read():
        answers = []
        for run in runs:
            concerned = not claim.get("datasets") or run["dataset"].removeprefix("standin_") in claim["datasets"]
            concerned &= "of" not in claim or claim["of"] in {row["label"] for row in run["table"]}
            if run["experiment"] == claim["experiment"] and concerned:
                rows, axes = run["table"], run["axes"]
                rows = against(rows, run["jobs"], claim["of"], axes) if "of" in claim else rows
                verdict, words = judge(claim, rows, axes)
                answers.append({"run": run, "verdict": verdict, "words": words})
        statements.append(claim | {"answers": answers})
    return statements


def over_all(answers):
    """The verdict of all runs that could answer, "mixed" where they differ or leave it undecided."""
    verdicts = {answer["verdict"] for answer in answers} - {"not run"}
    return "mixed" if len(verdicts) > 1 or "undecided" in verdicts else verdicts.pop() if verdicts else "not run"


def judge(claim, rows, axes=()):
    """Whether a statement holds in one run.

    Parameters
    ----------
    claim : dict
        One of ``read()``.
    rows : list of dict
        The run's table (experiments.report.table.summarise), one dict per line, numbers as text; of `against` for a
        statement about another row than the reference.
    axes : sequence of str
        Columns of settings; what is found at several of them says at which.

    Returns
    -------
    verdict : str
        "holds" if it holds against every method that was run, "contradicted" if it is contradicted for one,
        "undecided" if an interval leaves it open or if it would hold of the control as well, "not run" if no method
        named was run with scVI.
    words : list of str
        What was found for each method named.
    """
    (side,) = {"better", "worse", "like", "value"} & set(claim)
    labels = [claim["value"]["label"]] if side == "value" else claim[side]
    control, name = claim.get("control"), claim.get("of", REFERENCE)
    rows = [row for row in rows if row["score"] == claim["score"] and row["label"] in (*labels, control)]
    rows = [row for row in rows if all(row.get(axis) == str(v) for axis, v in claim.get("where", {}).items())]
    axes = [axis for axis in axes if len({row[axis] for row in rows}) > 1]
    verdicts, words, telling = [], [], True
    for row in rows:
        bound = side == "value"
        margin = 0.0 if row["label"] == control else claim.get("margin", 0.0)  # ahead of a control is ahead of it
        verdict, what = _bounded(row, **claim["value"]) if bound else _compare(row, side, margin, name)
        where = ", ".join(["control"] * (row["label"] == control) + [row[axis] for axis in axes])
        words.append(f"{row['label']}{where and f' ({where})'}: {what}")
        if row["label"] != control:
            verdicts.append(verdict)
        elif (verdict == "holds") == bound:  # the control keeps the bound, or scVI is not ahead of it
            telling = False
    words += [f"{label}: not run" for label in labels if label not in {row["label"] for row in rows}]
    verdict = next((v for v in ("contradicted", "undecided", "holds") if v in verdicts), "not run")
    return "undecided" if verdict == "holds" and not telling else verdict, words


def against(rows, jobs, label, axes=()):
    """The table of a run with differences from the method of another label in ``vs_scvi`` and its interval.

    Parameters
    ----------
    rows, jobs : list of dict
        The run's two tables, numbers as text.
    label : str
        What is subtracted, seed by seed.
    axes : sequence of str

    Returns
    -------
    list of dict
    """
    done = {}  # by label and setting: {seed: job}
    for job in jobs:
        if job["status"] == "done":
            done.setdefault((job["label"], *(job[axis] for axis in axes)), {})[job["seed"]] = job
    rebased = []
    for row in rows:
        setting = tuple(row[axis] for axis in axes)
        own, other = done.get((row["label"], *setting), {}), done.get((label, *setting), {})
        pairs = [to_float(own[s].get(row["score"])) - to_float(other[s].get(row["score"])) for s in own if s in other]
        pairs = [pair for pair in pairs if math.isfinite(pair)]
        low, high = interval(pairs)
        mean = sum(pairs) / len(pairs) if pairs else math.nan
        rebased.append(row | {"vs_scvi": mean, "vs_scvi_low": low, "vs_scvi_high": high})
    return rebased


def _compare(row, side, margin, name):
    """Verdict and words on one method, from its difference to scVI (called ``name``) and the interval of that."""
    mean, low, high = (to_float(row[name]) for name in ("vs_scvi", "vs_scvi_low", "vs_scvi_high"))
    if not math.isfinite(mean):
        return "not run", row["status"] if row["status"] != "done" else f"{name} was not run on the same seeds"
    sign = 1 if METRICS[row["score"]].better == "lower" else -1  # ahead: how far scVI is the better of the two
    ahead, ends = sign * mean, sorted((sign * low, sign * high))
    words = f"{name} {'ahead' if ahead > 0 else 'behind'} by {abs(ahead):.3g}"
    if not all(map(math.isfinite, ends)):
        return "undecided", f"{words} (one seed, no interval)"
    low, high = ends if ahead > 0 else (-ends[1], -ends[0])  # of what the word before it says: so much behind
    words += f" ({_short(low)} to {_short(high)})"
    if side == "worse":
        ends = [-ends[1], -ends[0]]
    if ends[0] > -margin:
        return "holds", words
    return ("contradicted" if ends[1] < -margin else "undecided"), words


def _bounded(row, label, above=-math.inf, below=math.inf):
    """Verdict and words on the score of one method, from its interval or, with one seed, from the score itself."""
    mean, low, high = (to_float(row[name]) for name in ("mean", "ci_low", "ci_high"))
    if not math.isfinite(mean):
        return "not run", row["status"]
    low, high = (low, high) if math.isfinite(low) else (mean, mean)
    words = f"{_short(mean)} ({_short(low)} to {_short(high)})"
    if above < low and high < below:
        return "holds", words
    return ("contradicted" if high <= above or low >= below else "undecided"), words


def _short(value):
    return f"{value:.3g}".replace("-", "−")
