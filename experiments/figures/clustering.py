"""Fig 8a, b, e–g: the three scores side by side, and by the cuts of the label hierarchy."""

from ..clustering import CUTS
from ..plots.bar_panels import bar_panels
from ..plots.words import panel_of
from ..scores import OF_LABELS

CUT_COLOURS = ("darkred", "red", "tomato", "salmon")  # the paper's, for 2, 3, 4 and all clusters
LEGEND = " ARI and NMI are named as they are: the legends of the published figure exchange them."


def figure(table, records):
    """Return {name: Figure}: the three scores side by side, and by cut where the labels have a hierarchy."""
    first = records.iloc[0]
    note = f" {first['n_cells']:,} training cells, {first['n_labels']} cell types.{LEGEND}"
    like = panel_of("Fig 8", first["dataset"])
    figures = {"scores": bar_panels(table, {score: [score] for score in OF_LABELS}, like=like, note=note)}
    cuts = [cut for cut in sorted(CUTS) if (table["score"] == f"asw_{cut}").any()]
    if cuts:
        panels = {score: [f"{score}_{cut}" for cut in (*cuts, "all")] for score in OF_LABELS}
        colours = dict(zip((2, 3, 4, "all"), CUT_COLOURS, strict=True))
        series = {f"{cut} types": colours[cut] for cut in cuts} | {f"all {first['n_labels']}": colours["all"]}
        figures["hierarchy"] = bar_panels(table, panels, like="Fig 8e–g", note=note, series=series)
    return figures
