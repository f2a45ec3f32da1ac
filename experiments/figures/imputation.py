"""Fig 2, 9b–d, 10 and 11: densities of imputed against hidden counts, and bars of the error."""

from ..imputation import DENSITY_LIMIT
from ..plots.bars import score_bars
from ..plots.density import density_panels
from ..plots.words import panel_of
from . import of_finished

DENSITY_FIGURE = {"uniform": "Fig 2", "binomial": "Fig 10"}
ERROR_FIGURE = {"uniform": "Fig 9b–d", "binomial": "Fig 11"}


@of_finished
def figure(table, records):
    """Return {name: Figure}: one density figure and one bar figure per corruption."""
    figures, first = {}, next(table.itertuples())
    for corruption in table["corruption"].unique():
        shown = records[(records["corruption"] == corruption) & (records["seed"] == records["seed"].min())]
        panels = [row for row in shown.itertuples() if "density" in row.arrays and row.role != "control"]
        if panels:
            figures[f"density_{corruption}"] = density_panels(
                panels,
                limit=DENSITY_LIMIT,
                x="original count",
                y="imputed count",
                score="median_l1",
                like=panel_of(DENSITY_FIGURE[corruption], first),
            )
        bars = table[table["corruption"] == corruption]
        like = panel_of(ERROR_FIGURE[corruption], first)
        figures[f"error_{corruption}"] = score_bars(bars, "median_l1", like=like)
    return figures
