"""Over all contests: mean rank and win rate with intervals over data sets, and who is beaten in both score and time.

A data set counts once, however many tasks, settings and scores there are of it: a mean is taken over the contests of a
task, then over the tasks of a data set, then over the data sets, which are what the bootstrap draws.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

from .contests import ALONE

N_RESAMPLES = 9999


class Standing(NamedTuple):
    """One method over all contests that it is ranked in."""

    method: str
    label: str
    role: str
    rank: float
    rank_low: float  # NaN with fewer than two data sets
    rank_high: float
    of: float  # mean number of methods that were ranked
    wins: float  # share of the other methods that it is better than; a tie is half a win
    wins_low: float
    wins_high: float
    scaled: float  # NaN where no contest has a scale, or where one was not finished: who gives up gains nothing by it
    datasets: tuple
    tasks: tuple
    n: int  # contests


class Point(NamedTuple):
    """One method on one task and data set: cost and mean scaled score."""

    method: str
    label: str
    role: str
    seconds: float
    scaled: float
    in_front: bool  # no other method is at least as good and at least as fast


def standings(contests):
    """The `Standing` of every method, the best win rate first: a rank is among more methods here than there."""
    ranked = {}
    for contest in contests:
        for row in contest.rows:
            if not math.isnan(row.rank):
                ranked.setdefault(row.method, []).append((contest, row))
    found = [_standing(method, entries) for method, entries in ranked.items()]
    return sorted(found, key=lambda each: (math.isnan(each.wins), -each.wins, each.rank))


def _standing(method, entries):
    row = next((row for _, row in entries if row.role == "mine"), entries[0][1])
    rank = _by_dataset(entries, lambda contest, row: row.rank)
    wins = _by_dataset(entries, _wins)
    rank_low, rank_high = interval_over(list(rank.values()))
    wins_low, wins_high = interval_over(list(wins.values()))
    is_whole = not any(contest.one and row.status for contest, row in entries)
    return Standing(
        method=method,
        label=row.label,
        role=row.role,
        rank=_mean(rank),
        rank_low=rank_low,
        rank_high=rank_high,
        of=_mean(_by_dataset(entries, lambda contest, row: contest.n)),
        wins=_mean(wins),
        wins_low=wins_low,
        wins_high=wins_high,
        scaled=_mean(_by_dataset(entries, lambda contest, row: row.scaled)) if is_whole else math.nan,
        datasets=tuple(dict.fromkeys(contest.dataset for contest, _ in entries)),
        tasks=tuple(dict.fromkeys(contest.experiment for contest, _ in entries)),
        n=len(entries),
    )


def _wins(contest, row):
    """Share of the other ranked methods that come after this one; NaN where there is none."""
    others = [other for other in contest.rows if other.method != row.method and not math.isnan(other.rank)]
    if not others:
        return math.nan
    return sum((other.rank > row.rank) + 0.5 * (other.rank == row.rank) for other in others) / len(others)


def _by_dataset(entries, value):
    """{data set: mean over its tasks of the mean over their contests}; without what is NaN."""
    tasks = {}
    for contest, row in entries:
        if not math.isnan(number := value(contest, row)):
            tasks.setdefault(contest.dataset, {}).setdefault(contest.experiment, []).append(number)
    return {dataset: float(np.mean([np.mean(n) for n in of.values()])) for dataset, of in tasks.items()}


def _mean(values):
    return float(np.mean(list(values.values()))) if values else math.nan


def interval_over(values):
    """95% percentile bootstrap interval of the mean over data sets; NaN below two of them."""
    if len(values) < 2:
        return math.nan, math.nan
    found = bootstrap(
        (np.asarray(values, float),),
        np.mean,
        n_resamples=N_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def fronts(contests):
    """{(experiment, data set): its `Point` of every method and control with a scale}, for the picture."""
    groups = {}
    for contest in contests:
        groups.setdefault((contest.experiment, contest.dataset), []).append(contest)
    found = {}
    for place, group in groups.items():
        scales = [contest for contest in group if contest.one]
        rows = {}
        for contest in scales:
            for row in contest.rows:
                rows.setdefault(row.method, []).append(row)
        whole = {
            method: its
            for method, its in rows.items()
            if len(its) == len(scales) and all(math.isfinite(r.scaled) and r.status in ("", ALONE) for r in its)
        }
        if whole:
            found[place] = _in_front(
                [
                    Point(
                        method=method,
                        label=its[0].label,
                        role=its[0].role,
                        seconds=float(np.median([row.seconds for row in its])),
                        scaled=float(np.mean([row.scaled for row in its])),
                        in_front=False,
                    )
                    for method, its in whole.items()
                ]
            )
    return found


def _in_front(points):
    """The points with the mark of those that no other method beats in both; controls are no rivals."""
    rivals = [point for point in points if point.role != "control"]
    return [
        point._replace(in_front=point in rivals and not any(_beats(other, point) for other in rivals))
        for point in points
    ]


def _beats(one, other):
    at_least = one.scaled >= other.scaled and one.seconds <= other.seconds
    return at_least and (one.scaled > other.scaled or one.seconds < other.seconds)
