"""The scorecard as a table: one row per contest and method, with every number of it."""

import pandas as pd

from ..loop import spreadsheet
from ..loop.store import atomic


def frame(card):
    """Every row of every contest of a `scorecard.Scorecard`, as a pandas.DataFrame."""
    rows = []
    for contest in card.contests:
        place = {
            "experiment": contest.experiment,
            "dataset": contest.dataset,
            "protocol": card.protocol,
            "setting": ", ".join(f"{axis}={value}" for axis, value in contest.setting),
            "score": contest.rule.score,
            "better": contest.rule.about.better,
            "of": contest.n,
            "zero": contest.zero,
            "one": contest.one,
        }
        for row in contest.rows:
            rows.append(place | row._asdict() | {"seeds": " ".join(map(str, row.seeds))})
    return pd.DataFrame(rows)


def write(card, path):
    """Write it as CSV."""
    with atomic(path, "w") as file:
        spreadsheet.write(frame(card), file)
