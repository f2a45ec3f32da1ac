"""Fig 3, 15 and 16: cells in the plane, distance matrices, bars of the scores."""

from ..plots.bars import score_bars
from ..plots.structure import distance_figures, plane_figures
from ..structure import SCORES
from . import of_finished


@of_finished
def figure(table, records):
    """Return {name: Figure}: cells in the plane, distance matrices, bars of the scores."""
    shown = records[(records["seed"] == records["seed"].min()) & (records["role"] != "control")]
    panels = list(shown.itertuples())
    figures = {}
    if panels:
        figures = plane_figures(panels) | distance_figures(panels)
    for score in SCORES:
        rows = table[table["score"] == score]
        if len(rows) and rows["n_seeds"].any():
            n_told = records["n_told"].max() if score == "n_clusters" else 0
            note = f" For the other figures it is told the number of cell types, {n_told:.0f}." if n_told else ""
            figures[score] = score_bars(table, score, note=note)
    return figures
