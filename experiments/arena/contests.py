"""Who is how good: one contest for every score of a task, setting and data set, from one row per job.

A task is an experiment, a setting a value of its axes (a corruption, say). Methods are ranked by their mean over seeds;
a method that did not finish every seed comes last, for the seeds that it gave up may be the hard ones.
"""

import math
from typing import NamedTuple

import numpy as np

from ..report.intervals import interval

REFERENCE = "scvi"  # the row that the others are compared with, by its name in conf/exp/
NOT_ON_RECORD = "not on record"
ALONE = "nobody else is on record"


class Row(NamedTuple):
    """One method, or control, in one contest. Numbers are NaN where there is none."""

    method: str  # its name in the run
    label: str
    role: str  # "mine", "method" or "control"
    mean: float
    low: float  # 95% interval over seeds (report.intervals)
    high: float
    seeds: tuple  # that stand behind the mean
    rank: float  # among methods, 1 is best; controls have none
    versus: float  # minus scVI, seed by seed, with its interval
    versus_low: float
    versus_high: float
    margin: float  # minus the best of the other methods, the same way
    margin_low: float
    margin_high: float
    scaled: float  # 0 as the control that knows nothing, 1 as the oracle or the best
    seconds: float  # median wall time of a job
    memory: float  # MB, the most of a job
    status: str  # "" or why it is not ranked by its mean


class Contest(NamedTuple):
    """One score of one task, setting and data set."""

    experiment: str
    dataset: str
    setting: tuple  # of (axis, value)
    rule: object  # rules.Rule
    seeds: tuple  # all that were asked for
    rows: list  # of Row: methods by rank, then controls
    zero: str  # label of the control that has 0, "" where there is none
    one: str  # what has 1: the label of a control, or "the best method"; "" where nothing is scaled

    @property
    def n(self):
        """How many methods are ranked."""
        return sum(not math.isnan(row.rank) for row in self.rows)


def contests(jobs, experiment, dataset, axes, seeds, rules, mine):
    """The contests in which at least one of the user's methods takes part.

    Parameters
    ----------
    jobs : pandas.DataFrame
        One row per job of this experiment and data set, with the columns of `report.table.frame`. A job without a
        record has the status `NOT_ON_RECORD`.
    experiment, dataset : str
    axes : list of str
    seeds : list of int
    rules : dict of Rule
        By score, as `rules.rules` gives them.
    mine : set of str
        Names of the user's methods.

    Returns
    -------
    list of Contest
    """
    found = []
    for values, group in jobs.groupby(axes, sort=False) if axes else [((), jobs)]:
        setting = tuple(zip(axes, values, strict=True))
        settled = _by_method(group, mine)
        for rule in rules.values():
            contest = _contest(settled, rule, seeds)
            if any(row.role == "mine" for row in contest["rows"]):
                place = {"experiment": experiment, "dataset": dataset, "setting": setting, "rule": rule}
                found.append(Contest(**place, seeds=tuple(seeds), **contest))
    return found


class _Side(NamedTuple):
    """What is known of one method in one setting."""

    label: str
    role: str
    done: object  # pandas.DataFrame by seed
    undone: dict  # seed: status
    reason: str


def _by_method(group, mine):
    sides = {}
    for name, rows in group.groupby("method", sort=False):
        first, rest = rows.iloc[0], rows[rows["status"] != "done"]
        reasons = {f"{row.status}: {row.reason}" if row.reason else row.status for row in rest.itertuples()}
        sides[name] = _Side(
            label=first["label"],
            role="mine" if name in mine else first["role"],
            done=rows[rows["status"] == "done"].set_index("seed"),
            undone=dict(zip(rest["seed"], rest["status"], strict=True)),
            reason="; ".join(sorted(reasons)),
        )
    return sides


def _values(side, score):
    """{seed: value} of the finished jobs that have the score."""
    if side is None or score not in side.done:
        return {}
    return {seed: float(value) for seed, value in side.done[score].items() if math.isfinite(value)}


def _contest(sides, rule, seeds):
    """Rows of a contest and what its scale is between."""
    values = {name: _values(side, rule.score) for name, side in sides.items()}
    asked = {name: side for name, side in sides.items() if _takes_part(side, values[name])}
    order, why = {}, {}
    for name, side in asked.items():
        if side.role == "control":
            continue
        statuses = set(side.undone.values())
        if statuses and statuses <= {NOT_ON_RECORD}:
            why[name] = f"{len(values[name])} of {len(seeds)} seeds on record"  # nobody knows what it would have
            continue
        if statuses == {"skipped"} and not values[name] and side.role != "mine":
            why[name] = side.reason  # its package is not here: who did not start is not beaten
            continue
        why[name] = side.reason or _as_good_as_nothing(sides, name, rule)
        if not why[name] and len(values[name]) < len(seeds):
            why[name] = f"no {rule.score} in {len(seeds) - len(values[name])} of {len(seeds)} seeds"
        whole = len(values[name]) == len(seeds) and not why[name]
        order[name] = rule.sign * np.mean(list(values[name].values())) if whole else -math.inf
    if not any(math.isfinite(value) for value in order.values()):
        order = dict.fromkeys(order, math.nan)  # nobody finished: there is nothing to rank
    if len(order) < 2:  # who is alone is neither first nor last
        order = dict.fromkeys(order, math.nan)
        alone = [name for name in why if not why[name]]
        why |= dict.fromkeys(alone, ALONE)
    ranks = _ranks(order)
    whole = [name for name, value in order.items() if math.isfinite(value)]  # two or more, or none
    best_first = sorted(whole, key=lambda name: -order[name])
    zero, one, called = _scale(rule, sides, values, best_first)
    rows = []
    for name, side in asked.items():
        rival = next((other for other in best_first if other != name), None)
        own = values[name]
        low, high = interval(list(own.values())) if own else (math.nan, math.nan)
        rows.append(
            Row(
                method=name,
                label=side.label,
                role=side.role,
                mean=float(np.mean(list(own.values()))) if own else math.nan,
                low=float(low),
                high=float(high),
                seeds=tuple(sorted(own)),
                rank=ranks.get(name, math.nan),
                **_difference("versus", own, values.get(REFERENCE) if name != REFERENCE else None),
                **_difference("margin", own, values.get(rival)),
                scaled=scaled(own, zero, one, rule.sign),
                seconds=float(side.done["seconds"].median()) if len(side.done) else math.nan,
                memory=float(side.done["peak_memory_mb"].max()) if len(side.done) else math.nan,
                status=why.get(name, side.reason),
            )
        )
    rows.sort(key=lambda row: (row.role == "control", _last(row.rank), _last(-rule.sign * row.mean)))
    return {"rows": rows, "zero": called[0], "one": called[1]}


def _takes_part(side, values):
    """Whether a method belongs into a contest: it has the score, or it failed where it could have had it."""
    return bool(values) or (not len(side.done) and any(status != NOT_ON_RECORD for status in side.undone.values()))


def _as_good_as_nothing(sides, name, rule):
    """Why a method comes last that is no better than a control in the score that has to be above it."""
    above = rule.above
    if above is None:
        return ""
    own, nothing = _values(sides[name], above.score), _values(sides.get(above.zero), above.score)
    pairs = [above.sign * (own[seed] - nothing[seed]) for seed in own if seed in nothing]
    if not pairs:
        return ""
    low, _ = interval(pairs)
    lowest = float(np.mean(pairs)) if math.isnan(low) else float(low)
    return "" if lowest > 0 else f"its {above.score} is no better than that of {sides[above.zero].label}"


def _ranks(order):
    """Ranks by value, the highest first; equals share the better rank, those at minus infinity are all last."""
    counted = {name: value for name, value in order.items() if not math.isnan(value)}
    ranks = {name: 1.0 + sum(other > value for other in counted.values()) for name, value in counted.items()}
    return {name: float(len(counted)) if math.isinf(counted[name]) else rank for name, rank in ranks.items()}


def _scale(rule, sides, values, best_first):
    """Values by seed of what has 0 and of what has 1, and what both are called."""
    zero, oracle = values.get(rule.zero, {}), values.get(rule.one, {})
    if not zero:
        return {}, {}, ("", "")
    if rule.one is not None:
        return zero, oracle, (sides[rule.zero].label, sides[rule.one].label) if oracle else ("", "")
    if not best_first:
        return {}, {}, ("", "")
    return zero, values[best_first[0]], (sides[rule.zero].label, "the best method")


def scaled(own, zero, one, sign):
    """Where a score stands between two others: 0 as ``zero``, 1 as ``one``, below 0 where it is worse than ``zero``.

    Parameters
    ----------
    own, zero, one : dict
        Values by seed; those seeds count that all three have.
    sign : {1, -1}
        1 where higher is better.

    Returns
    -------
    float
        NaN where a value is missing or ``one`` is no better than ``zero``: then there is no scale.
    """
    seeds = [seed for seed in own if seed in zero and seed in one]
    if not seeds:
        return math.nan
    mean, bottom, top = (float(np.mean([values[seed] for seed in seeds])) for values in (own, zero, one))
    return (mean - bottom) / (top - bottom) + 0.0 if sign * (top - bottom) > 0 else math.nan  # 0.0: no minus zero


def _difference(name, own, other):
    pairs = [own[seed] - other[seed] for seed in own if seed in other] if other else []
    low, high = interval(pairs) if pairs else (math.nan, math.nan)
    mean = float(np.mean(pairs)) if pairs else math.nan
    return {name: mean, f"{name}_low": float(low), f"{name}_high": float(high)}


def _last(value):
    return math.inf if math.isnan(value) else value
