"""Fig 8c: both scores side by side."""

from ..plots.bar_panels import bar_panels
from ..plots.words import counted, panel_of
from ..protein import N_NEIGHBORS, SCORES
from . import of_finished


@of_finished
def figure(table, records):
    """Return {name: Figure}: both scores side by side."""
    note = (
        f" {counted(records['n_cells'], 'training cell')}, {N_NEIGHBORS} neighbours each, "
        f"{counted(records['n_proteins'], 'protein')}. Raw: the counts as they are."
    )
    like = panel_of("Fig 8c", next(table.itertuples()))
    return {"scores": bar_panels(table, {score: [score] for score in SCORES}, like=like, note=note, digits=3)}
