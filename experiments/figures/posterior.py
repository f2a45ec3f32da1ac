"""Fig 7: boxes of draws by observed count, and heat maps of one gene."""

from ..plots.boxes import Boxes, box_panels
from ..plots.heat import heat_panels
from ..plots.text import clip
from ..plots.words import about, panel_of, span
from ..posterior import PER_BOX, VALUES
from . import of_finished


@of_finished
def figure(table, records):
    """Return {name: Figure}: boxes of draws by observed count (Fig 7a-c), heat maps of one gene (7d-f)."""
    first = list(records[records["seed"] == records["seed"].min()].itertuples())
    row = first[0]
    seed = f"{about(row)}, seed {row.seed}"
    panels = [
        Boxes(
            f"{panel.label}, 90%: {panel.coverage:.2f}",
            list(VALUES),
            {"draws": [panel.arrays[f"draws_{value}"] for value in VALUES]},
            "posterior draws (counts)",
            diagonal=True,
        )
        for panel in first
    ]
    boxes = box_panels(
        panels,
        title=f"{panel_of('Fig 7a–c', row)}: posterior draws of randomly selected entries",
        caption=f"{seed}, n\xa0= {span([row.n_entries])} entries with {span([row.n_draws])} draws each, "
        f"up to {PER_BOX:,} in a box. Box: quartiles; whiskers: to the last values within 5 and 95%; dashed: equality. "
        "90%: share of entries inside "
        "the central 90% of their draws.",
        colours={"draws": "#9ecae1"},
        x_label="observed count",
        columns=3,
        side=(1.75, 1.5),
    )
    of = "bin of observed counts" if row.normalised == "columns" else "bin of draws, one added to every bin"
    heat = heat_panels(
        first,
        x="observed count",
        y="posterior draws (counts)",
        title=f"{panel_of('Fig 7d–f', row)}: posterior draws of {clip(row.gene)}",
        caption=f"{seed}, n\xa0= {span([row.n_cells])} cells, {span([row.n_draws])} draws each. "
        f"Bins: even in log(1 + count / 10). Colour: share of the draws in each {of}, on a root scale; grey: no draws.",
    )
    return {"boxes": boxes, "heat": heat}
