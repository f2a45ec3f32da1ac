"""The paper's statements about scVI beside other methods, held against the differences that runs have measured."""

import functools
import math
from typing import NamedTuple

import numpy as np
import yaml

from ..loop.paths import ROOT
from ..loop.registry import METRICS
from .intervals import LEVEL, holm, interval, p_above
from .numbers import to_float
from .table import REFERENCE

FEWEST_ALIKE = 5  # seeds that can decide anything where all have the same value: the exact p is then 1/32


@functools.cache
def read():
    """The statements of results/claims.yaml.

    Each has ``says``, ``section``, ``experiment``, ``score``, optionally ``where`` ({axis: value or list of them}) and
    ``datasets``. Under one of ``better``, ``worse`` and ``like`` (with ``margin``) stand the methods that scVI is
    compared with, or the row of it that ``of`` names; ``value`` has the ``label`` of one method and a bound that its
    score lies ``above`` or ``below``. ``control`` is the label of one that knows nothing: a statement holds only if it
    is seen not to hold of that.
    """
    return yaml.safe_load((ROOT / "results" / "claims.yaml").read_text(encoding="utf-8"))


def answered(runs):
    """Every statement, with what each run of its experiment says to it.

    Parameters
    ----------
    runs : list of dict
        Those that speak for the settings as they stand: ``experiment``, ``dataset``, ``axes`` and ``jobs``, the table
        with one row per job, numbers as text.

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
            concerned &= "of" not in claim or claim["of"] in {job["label"] for job in run["jobs"]}
            if run["experiment"] == claim["experiment"] and concerned:
                verdict, words = judge(claim, run["jobs"], run["axes"])
                answers.append({"run": run, "verdict": verdict, "words": words})
        statements.append(claim | {"answers": answers})
    return statements


def over_all(answers):
    """The verdict of all runs that could answer, "mixed" where they differ or leave it undecided."""
    verdicts = {answer["verdict"] for answer in answers} - {"not run"}
    return "mixed" if len(verdicts) > 1 or "undecided" in verdicts else verdicts.pop() if verdicts else "not run"


def judge(claim, jobs, axes=()):
    """Whether a statement holds in one run.

    Parameters
    ----------
    claim : dict
        One of ``read()``.
    jobs : list of dict
        The run's jobs, numbers as text.
    axes : sequence of str
        Columns of settings; what is found at several of them says at which.

    Returns
    -------
    verdict : str
        "holds" if it holds, each at the 5% level, against every method that was run; "contradicted" if it is
        contradicted for one of them, at a level of 5% for all of them together (Holm); "undecided" if the seeds leave
        it open, if there is a single one, or if it would hold of the control as well; "not run" if no method named was
        run with scVI.
    words : list of str
        What was found for each method named.
    """
    (side,) = {"better", "worse", "like", "value"} & set(claim)
    labels = [claim["value"]["label"]] if side == "value" else claim[side]
    found = [_found(claim, side, *each) for each in _settings(claim, jobs, [*labels, claim.get("control")], axes)]
    own, controls = [f for f in found if not f.is_control], [f for f in found if f.is_control]
    against = dict(zip(map(id, own), holm([f.against for f in own]), strict=True))
    verdicts = ["contradicted" if against[id(f)] <= LEVEL else f.verdict for f in own]
    words = [f.words for f in found]
    words += [f"{label}: not run" for label in labels if label not in {f.label for f in found}]
    verdict = next((v for v in ("contradicted", "undecided", "holds") if v in verdicts), "not run")
    told = [f.against <= LEVEL if side == "value" else f.verdict == "holds" for f in controls]
    blind = not all(told)  # the control may keep the bound too, or scVI is not ahead of it: the score cannot tell
    return "undecided" if verdict == "holds" and blind else verdict, words


class Found(NamedTuple):
    """What the seeds say to a statement about one method at one setting."""

    label: str
    is_control: bool
    verdict: str  # holds, undecided or not run
    against: float  # p of "it is not contradicted", for this comparison alone
    words: str


def _settings(claim, jobs, labels, axes):
    """Each of the labels at each setting that the statement is about: (label, its name in words, own jobs, scVI's)."""
    where = {axis: v if isinstance(v, list) else [v] for axis, v in claim.get("where", {}).items()}
    jobs = [job for job in jobs if all(job.get(axis) in map(str, values) for axis, values in where.items())]
    settings = {}
    for job in jobs:
        if job["label"] in (*labels, claim.get("of", REFERENCE)):
            settings.setdefault(tuple(job.get(axis, "") for axis in axes), {}).setdefault(job["label"], []).append(job)
    told = [n for n in range(len(axes)) if len({setting[n] for setting in settings}) > 1]
    for setting, groups in settings.items():
        for label in [label for label in groups if label in labels]:
            where = ["control"] * (label == claim.get("control")) + [setting[n] for n in told]
            name = label + (f" ({', '.join(where)})" if where else "")
            yield label, name, groups[label], groups.get(claim.get("of", REFERENCE), [])


def _found(claim, side, label, name, own, reference):
    """What the jobs of one method (and, beside them, those of scVI) say."""
    is_control = label == claim.get("control")
    values = _scores(own, claim["score"])
    if side == "value":
        bounds = {end: claim["value"][end] for end in ("above", "below") if end in claim["value"]}
        return _bounded(label, is_control, name, list(values.values()), _reason(own), **bounds)
    scvi = claim.get("of", REFERENCE)
    other = _scores(reference, claim["score"])
    sign = 1 if METRICS[claim["score"]].better == "lower" else -1  # ahead: how far scVI is the better of the two
    ahead = np.array([sign * (values[seed] - other[seed]) for seed in values if seed in other])
    if not ahead.size:
        reason = f"{scvi} was not run on the same seeds" if values else _reason(own)
        return Found(label, is_control, "not run", 1.0, f"{name}: {reason}")
    mean = ahead.mean()
    words = f"{name}: {scvi} {'ahead' if mean > 0 else 'behind'} by {_short(abs(mean))}"
    words += _around(np.sign(mean) * ahead if mean else ahead)
    ahead = -ahead if side == "worse" else ahead
    margin = 0.0 if is_control else claim.get("margin", 0.0)  # ahead of a control is ahead of it
    holds = p_above(ahead, -margin) <= LEVEL
    return Found(label, is_control, "holds" if holds else "undecided", p_above(-ahead, margin), words)


def _bounded(label, is_control, name, values, reason, above=-math.inf, below=math.inf):
    """What the scores of one method say of a bound above or below which they should lie."""
    if not values:
        return Found(label, is_control, "not run", 1.0, f"{name}: {reason}")
    values = np.array(values)
    words = f"{name}: {_short(values.mean())}{_around(values)}"
    inside = [p_above(values, above)] if math.isfinite(above) else []
    inside += [p_above(-values, -below)] if math.isfinite(below) else []
    outside = [p_above(-values, -above)] if math.isfinite(above) else []
    outside += [p_above(values, below)] if math.isfinite(below) else []
    holds = max(inside) <= LEVEL
    return Found(label, is_control, "holds" if holds else "undecided", min(1, len(outside) * min(outside)), words)


def _scores(jobs, score):
    """{seed: score} of the jobs that were done and have it."""
    found = {job["seed"]: to_float(job.get(score)) for job in jobs if job["status"] == "done"}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def _reason(jobs):
    """Why there is no score."""
    undone = dict.fromkeys(f"{job['status']}: {job.get('reason', '')}" for job in jobs if job["status"] != "done")
    return "; ".join(undone) or "no score"


def _around(values):
    """The interval of a mean in words, or why there is none."""
    if values.size < 2:
        return " (one seed, no interval)"
    if np.ptp(values) == 0:
        few = values.size < FEWEST_ALIKE
        return f" (in all {values.size} seeds" + (f", too few to tell: it takes {FEWEST_ALIKE})" if few else ")")
    low, high = interval(values)
    return f" ({_short(low)} to {_short(high)})"


def _short(value):
    return f"{value:.3g}".replace("-", "−")
