"""Fig 8a, b, e–g: the three scores side by side, and by the cuts of the label hierarchy."""

from ..clustering import CUTS
from ..plots.bar_panels import bar_panels
from ..plots.words import counted, panel_of, span
from ..scores import OF_LABELS
from . import of_finished

CUT_COLOURS = ("darkred", "red", "tomato", "salmon")  # the paper's, for 2, 3, 4 and all clusters
LEGEND = " ARI and NMI are named as they are: the legends of the published figure exchange them."


@of_finished
def figure(table, records):
    """Return {name: Figure}: the three scores side by side, and by cut where the labels have a hierarchy."""
    first, n_labels = next(table.itertuples()), span(records["n_labels"])
    note = f" {counted(records['n_cells'], 'training cell')}, {counted(records['n_labels'], 'cell type')}."
    note += LEGEND if table["published"].notna().any() else ""
    like = panel_of("Fig 8", first)
    figures = {"scores": bar_panels(table, {score: [score] for score in OF_LABELS}, like=like, note=note)}
    scored = set(table.loc[table["n_seeds"] > 0, "score"])  # a method without a result has a row for every score
    cuts = [cut for cut in sorted(CUTS) if f"asw_{cut}" in scored]
    if cuts:
        panels = {score: [f"{score}_{cut}" for cut in (*cuts, "all")] for score in OF_LABELS}
        colours = dict(zip((2, 3, 4, "all"), CUT_COLOURS, strict=True))
        series = {f"{cut} types": colours[cut] for cut in cuts} | {f"all {n_labels}": colours["all"]}
        figures["hierarchy"] = bar_panels(table, panels, like=panel_of("Fig 8e–g", first), note=note, series=series)
    return figures
