"""All that a scorecard says, before it is put into words: contests, standings, and what stands behind them."""

from typing import NamedTuple

from .. import titles
from ..report import table
from . import rules
from .contests import NOT_ON_RECORD, contests
from .field import lacking
from .overall import fronts, standings


class Scorecard(NamedTuple):
    """What the terminal and the page show."""

    mine: list  # labels of the user's methods
    protocol: str
    contests: list  # of contests.Contest
    standings: list  # of overall.Standing
    fronts: dict  # of overall.Point
    behind: list  # a dict for each field: data, seeds, machines, commits
    undone: list  # a dict for each method of the user's and reason: where, why, whether it failed
    said: list  # sentences: what was left out, what others lack
    wrong: list  # sentences: methods that did not see the same


def scorecard(fields, mine, said, folder):
    """The `Scorecard` of fields whose records were looked up.

    Parameters
    ----------
    fields : list of field.Field
    mine : set of str
        Names of the user's methods.
    said : list of str
        Sentences of the plan.
    folder : Path
        A results folder whose records say how long jobs take.
    """
    found, wrong, said, behind = [], [], list(said), []
    for field in fields:
        jobs = table.frame(field.records)
        wrong += table.differing(jobs, field.axes)
        place = field.experiment, field.dataset, field.axes, field.seeds
        here = contests(jobs, *place, rules.ranked(field.experiment), mine)
        if not here:
            where = f"{titles.experiment(field.experiment)}, {titles.data(field.dataset)}"
            said.append(f"{where}: no score of your method is ranked here.")
        found += here
        said += filter(None, [lacking(field, mine, folder)])
        behind.append(_behind(field))
    labels = {record["method"]: record["label"] for field in fields for record in field.records}
    return Scorecard(
        mine=[labels[name] for name in sorted(mine) if name in labels],
        protocol=fields[0].protocol,
        contests=found,
        standings=standings(found),
        fronts=fronts(found),
        behind=behind,
        undone=_undone(fields, mine),
        said=said,
        wrong=wrong,
    )


def where(contest):
    """Task, data and setting of a contest in words: "imputation, CORTEX, uniform corruption"."""
    settings = [titles.setting(contest.dataset, axis, value) for axis, value in contest.setting]
    return ", ".join([titles.experiment(contest.experiment), titles.data(contest.dataset), *settings])


def _behind(field):
    """What the numbers of a field were made from."""
    done = [record for record in field.records if record["status"] not in (NOT_ON_RECORD,)]
    return {
        "experiment": field.experiment,
        "dataset": field.dataset,
        "origin": field.source["origin"],
        "stand_in_for": field.stand_in_for,
        "hash": field.jobs[0].dataset_hash,
        "seeds": field.seeds,
        "jobs": len(done),
        "machines": _who(done, _machine),
        "commits": _who(done, lambda record: str(record["git_commit"] or "no commit")[:12]),
        "written": [min(r["written"] for r in done)[:10], max(r["written"] for r in done)[:10]] if done else [],
    }


def _machine(record):
    machine, threads = record["machine"], record["threads"]
    return f"{machine['cpu']}, {machine['cores']} cores, {threads} thread{'s' if threads != 1 else ''} a job"


def _who(records, what):
    """{value: labels of the methods that have it}."""
    found = {}
    for record in records:
        found.setdefault(what(record), {})[record["label"]] = None
    return {value: list(labels) for value, labels in found.items()}


def _undone(fields, mine):
    found = {}
    for field in fields:
        for record in field.undone(mine):
            what = record["label"], record["status"], record["reason"]
            place = f"{titles.experiment(field.experiment)}, {titles.data(field.dataset)}"
            found.setdefault(what, {}).setdefault(place, 0)
            found[what][place] += 1
    return [
        {
            "label": label,
            "status": status,
            "reason": reason,
            "where": "; ".join(f"{place}: {n} jobs" for place, n in places.items()),
            "failed": status in ("failed", "timeout"),
        }
        for (label, status, reason), places in found.items()
    ]
