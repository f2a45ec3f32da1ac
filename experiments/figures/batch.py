"""Fig 4 and 8d: cells in the plane by type and by batch, a bar for every method and score; the scores of today."""

import numpy as np

from ..batch import MIXING, SCORES, TYPES_KEPT
from ..plots.bar_panels import bar_panels
from ..plots.bars import score_bars
from ..plots.scatter import Categories, plane_panels
from ..plots.words import panel_of
from . import of_finished

NOTES = {
    "mixing": " Not in the paper. iLISI and kBET: 0 to 1. PCR: principal component regression.",
    "types_kept": " Not in the paper. All 0 to 1. Isolated: the types that are in the fewest batches, or all of them.",
}


@of_finished
def figure(table, records):
    """Return {name: Figure}: the t-SNE panels by label and by batch, the bars of each score."""
    figures, first = {}, next(table.itertuples())
    shown = records[(records["seed"] == records["seed"].min()) & (records["role"] != "control")]
    for key, what, palette in (("label", "cell type", "tab20"), ("batch", "batch", "brg")):
        panels = [row for row in shown.itertuples() if key in row.arrays]
        if panels:
            colours = [Categories(row.arrays[key], row.arrays[f"{key}_names"], palette) for row in panels]
            planes, like = [row.arrays["plane"] for row in panels], panel_of("Fig 4", first)
            figures[f"tsne_{key}"] = plane_panels(panels, planes, colours, what=what, drawn="t-SNE", like=like)
    scored = set(table.loc[table["n_seeds"] > 0, "score"])
    for score, described in SCORES.items():
        if score in scored and described.published:
            panel = panel_of("Fig 8", first)
            note = ""
            if score == "batch_entropy":
                n_batches, mixed = int(records["n_batches"].max()), records["entropy_of_batches"].mean()
                note = f" At most ln\xa0{n_batches}\xa0= {np.log(n_batches):.2f}; mixed at random: {mixed:.2f}."
                if table.loc[table["score"] == score, "published"].notna().any():
                    note += f" Published: of two batches, at most {np.log(2):.2f}."
            figures[score] = score_bars(table, score, like=f"{panel} ({described.published})", note=note)
    for name, scores in {"mixing": MIXING, "types_kept": TYPES_KEPT}.items():
        panels = {score: [score] for score in scores if score in scored}  # earlier records have none of them
        if panels:
            figures[name] = bar_panels(table, panels, note=NOTES[name])
    return figures
