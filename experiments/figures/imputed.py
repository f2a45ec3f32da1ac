"""Imputed counts in use: cell types and permuted labels, and what is called of genes that differ and that do not."""

from ..plots.bar_panels import bar_panels
from ..plots.words import counted
from . import of_finished

PANELS = {
    "observed": ("ari", "nmi", "null_called"),
    "thinned": ("changed_auroc", "unchanged_called", "changed_called"),
}
NOTES = {
    "observed": " Labels are permuted after the imputation; identity: the counts as they are.",
    "thinned": " A tenth of the genes is thinned to half in one half of these cells; identity: these counts.",
}


@of_finished
def figure(table, records):
    """Return {name: Figure}: the scores of either setting side by side."""
    figures = {}
    for counts in table["counts"].unique():
        of_setting = records[records["counts"] == counts]
        if len(of_setting):
            cells = counted(of_setting["n_split_cells"], "cell")
            note = f" {counted(of_setting['n_cells'], 'training cell')}; {cells} of one type are split in halves."
            rows, panels = table[table["counts"] == counts], {score: [score] for score in PANELS[counts]}
            figures[counts] = bar_panels(rows, panels, note=note + NOTES[counts], digits=3)
    return figures
