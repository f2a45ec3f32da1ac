"""Both scores of molecular cross-validation side by side, for every share of the molecules seen."""

from ..denoising import SCORES
from ..plots.bar_panels import bar_panels
from ..plots.words import counted
from . import of_finished


@of_finished
def figure(table, records):
    """Return {name: Figure}: one figure of both scores per share of the molecules that methods have seen."""
    figures = {}
    for share in table["share_seen"].unique():
        of_share = records[records["share_seen"] == share]
        if of_share.empty:
            continue
        zeros = of_share["share_of_zeros_kept_back"].mean()
        note = (
            f" {counted(of_share['n_cells'], 'training cell')}; {zeros:.0%} of the counts kept back are zero."
            " Where most are zero, the squared error of log-normalised counts favours answers with many zeros."
        )
        rows = table[table["share_seen"] == share]
        figures[f"scores_{share}"] = bar_panels(rows, {score: [score] for score in SCORES}, note=note, digits=3)
    return figures
