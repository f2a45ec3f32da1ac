"""Fig 8c: both scores side by side."""

from ..plots.bar_panels import bar_panels
from ..protein import N_NEIGHBORS, SCORES


def figure(table, records):
    """Return {name: Figure}: both scores side by side."""
    first = records.iloc[0]
    note = (
        f" {first['n_cells']:,} training cells, {N_NEIGHBORS} neighbours each, {first['n_proteins']} proteins. "
        "Raw: the counts as they are."
    )
    return {"scores": bar_panels(table, {score: [score] for score in SCORES}, like="Fig 8c", note=note, digits=3)}
