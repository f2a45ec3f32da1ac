"""The scorecard on a terminal, and its numbers in words."""

import math

import pandas as pd

from ..report.numbers import duration, interval_words, number
from .scorecard import where

FEW = "Rank and wins are means over data sets; no interval can be given of one data set."
SOME = (
    "Rank and wins are means over data sets, their intervals (95%) a bootstrap over these {} data sets: of few it is "
    "narrower than it should be."
)


def as_text(card):
    """What the terminal shows: the user's methods in every contest, then everybody over all contests."""
    lines = []
    for contest in card.contests:
        lines.append(f"{where(contest)}: {contest.rule.about.title}")
        lines += [f"  {row.label}: {in_words(contest, row)}" for row in contest.rows if row.role == "mine"]
    if card.standings:
        lines += ["", f"Over all, {card.protocol.replace('_', ' ')}, contests that your method takes part in:"]
        shown = over_all(card)
        widest = shown["method"].str.len().max()
        shown["method"] = shown["method"].str.ljust(widest)
        lines += [shown.to_string(index=False, justify="left"), how_sure(card)]
    else:
        lines += [
            "",
            "Nothing is ranked: nobody else is on record here, or no score ranks; --others all computes them.",
        ]
    lines += ["", *behind_in_words(card), of_times(card)]
    for each in card.undone:
        lines.append(f"{each['status']}: {each['label']}, {each['where']}: {each['reason']}")
    return "\n".join([*lines, *card.said])


def in_words(contest, row):
    """One row of a contest: "4.1 (3.9 to 4.3), rank 3 of 9; minus scVI …"."""
    parts = [value(row) + (f", rank {row.rank:.0f} of {contest.n}" if math.isfinite(row.rank) else ", not ranked")]
    if row.status:
        parts.append(row.status)
    if versus := difference(row.versus, row.versus_low, row.versus_high):
        parts.append(f"minus scVI {versus}")
    if margin := difference(row.margin, row.margin_low, row.margin_high):
        parts.append(f"minus the best other ({rival(contest, row)}) {margin}")
    if math.isfinite(row.scaled):
        parts.append(f"scaled {row.scaled:.2f} (0: {contest.zero}, 1: {contest.one})".replace("-", "−"))
    parts += [cost(row)] if math.isfinite(row.seconds) else []
    return "; ".join([*parts, f"{len(row.seeds)} of {len(contest.seeds)} seeds"])


def value(row):
    """Mean and interval."""
    if not math.isfinite(row.mean):
        return "no value"
    low_high = interval_words(row.low, row.high)
    return number(row.mean) + (f" ({low_high})" if low_high else "")


def difference(mean, low, high):
    """A paired difference with its interval; "" where there is none."""
    if not math.isfinite(mean):
        return ""
    low_high = interval_words(low, high, "+")
    return number(mean, "+") + (f" ({low_high})" if low_high else "")


def rival(contest, row):
    """Label of the best of the others."""
    return next((other.label for other in contest.rows if other.method != row.method and other.rank >= 1), "")


def cost(row):
    """Wall time and memory of a job."""
    return f"{duration(row.seconds)}, {row.memory:,.0f} MB"


def over_all(card):
    """The standings as a table of words, best win rate first."""
    return pd.DataFrame(
        {
            "method": each.label,
            "mean rank": f"{each.rank:.2f} of {each.of:.1f}{_interval(each.rank_low, each.rank_high, '.2f')}",
            "wins": f"{each.wins:.0%}{_interval(each.wins_low, each.wins_high, '.0%')}" if each.wins >= 0 else "–",
            "scaled": f"{each.scaled:.2f}".replace("-", "−") if math.isfinite(each.scaled) else "–",
            "contests": each.n,
            "tasks": len(each.tasks),
            "data sets": len(each.datasets),
        }
        for each in card.standings
    )


def _interval(low, high, form):
    return f" ({low:{form}} to {high:{form}})" if math.isfinite(low) else ""


def how_sure(card):
    """What the intervals over data sets are worth."""
    n = len({contest.dataset for contest in card.contests})
    return FEW if n < 2 else SOME.format(n)


def of_times(card):
    """What times are worth that were measured where and when records were made."""
    machines = {machine for each in card.behind for machine in each["machines"]}
    if len(machines) > 1:
        return (
            "Times: jobs were computed on different machines or with different numbers of threads, so their times "
            "cannot be set side by side as they stand."
        )
    return "Times are all of machines of one kind, which may have had other work."


def behind_in_words(card):
    """A sentence for each field: which data and seeds stand behind its numbers."""
    for each in card.behind:
        yield (
            f"Behind {each['experiment']}: {each['dataset']}, seeds {', '.join(map(str, each['seeds']))}, "
            f"{each['jobs']} jobs; {each['origin']}"
        )
