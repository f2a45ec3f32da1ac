"""Fig 5 and 12: boxes over the repeats, panels against the bulk reference, null histograms."""

from ..differential import BAYES_FACTOR, LEVEL
from ..plots.evidence import evidence_panels, null_panels
from ..plots.twin_boxes import twin_boxes
from . import of_finished

LIKE = {"BDC": ("Fig 5a", "Fig 5c–f", ""), "CD": ("Fig 5b", "Fig 12a–d", "Fig 12e")}


@of_finished
def figure(table, records):
    """Return {name: Figure}: per comparison boxes over the repeats, panels against bulk, and null histograms."""
    figures = {}
    for comparison in records["comparison"].unique():
        boxes, panels, null = LIKE.get(comparison, ("", "", ""))
        rows = records[records["comparison"] == comparison]
        published = table[table["comparison"] == comparison]
        # The reference, which is compared with no null, agrees with itself: it would only stretch the axes.
        boxed = rows[["null" in arrays for arrays in rows["arrays"]]]
        if len(boxed):
            figures[f"boxes_{comparison}"] = twin_boxes(boxed, published, left="idr_weight", right="auroc", like=boxes)
        first = [row for row in rows[rows["seed"] == rows["seed"].min()].itertuples() if row.role != "control"]
        if first:
            thresholds = {"bayes_factor": BAYES_FACTOR, "level": LEVEL}
            figures[f"scatter_{comparison}"] = evidence_panels(first, **thresholds, like=panels)
            figures[f"null_{comparison}"] = null_panels(first, **thresholds, like=null)
    return figures
