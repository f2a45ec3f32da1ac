"""Fig 5 and 12: boxes over the repeats, panels against the bulk reference, null histograms; rankings of the genes."""

from ..differential import BAYES_FACTOR, LEVEL
from ..plots.bars import score_bars
from ..plots.evidence import evidence_panels, null_panels
from ..plots.rankings import agreement_matrix, ranking_sheet
from ..plots.twin_boxes import twin_boxes
from ..plots.words import panel_of
from . import of_finished

LIKE = {"BDC": ("Fig 5a", "Fig 5c–f", ""), "CD": ("Fig 5b", "Fig 12a–d", "Fig 12e")}
WITHOUT = " The data have no bulk reference for this comparison: there is no AUROC and no IDR."
THRESHOLDS = {"bayes_factor": BAYES_FACTOR, "level": LEVEL}


@of_finished
def figure(table, records):
    """Return {name: Figure}: per comparison boxes over the repeats, panels against bulk, and null histograms.

    Without a bulk reference, bars of the agreement between halves of the cells in the place of the first two. The first
    genes of each method, and how far the methods agree, where records have the names of the genes.
    """
    figures = {}
    for comparison in records["comparison"].unique():
        rows = records[records["comparison"] == comparison]
        summary = table[table["comparison"] == comparison]
        boxes, panels, null = _like(comparison, next(rows.itertuples()))
        in_bulk = rows[["auroc" in arrays for arrays in rows["arrays"]]]
        # The reference, which is compared with no null, agrees with itself: it would only stretch the axes.
        boxed = in_bulk[["null" in arrays for arrays in in_bulk["arrays"]]]
        if len(boxed):
            figures[f"boxes_{comparison}"] = twin_boxes(boxed, summary, left="idr_weight", right="auroc", like=boxes)
        if summary.loc[summary["score"] == "halves_spearman", "n_seeds"].any():
            figures[f"halves_{comparison}"] = score_bars(summary, "halves_spearman", note=WITHOUT)
        methods = rows[rows["role"] != "control"]
        first = list(methods[methods["seed"] == methods["seed"].min()].itertuples())
        against = [row for row in first if "bulk" in row.arrays]
        if against:
            figures[f"scatter_{comparison}"] = evidence_panels(against, **THRESHOLDS, like=panels)
        if any("null" in row.arrays for row in first):
            figures[f"null_{comparison}"] = null_panels(first, **THRESHOLDS, like=null)
        ranked = methods[["gene" in arrays for arrays in methods["arrays"]]]
        if len(ranked):
            figures[f"genes_{comparison}"] = ranking_sheet(ranked)
        if ranked["label"].nunique() > 1:
            figures[f"agreement_{comparison}"] = agreement_matrix(ranked)
    return figures


def _like(comparison, row):
    """The figures of the paper that show a comparison; "" where none does."""
    if comparison in LIKE:
        return [figure and panel_of(figure, row) for figure in LIKE[comparison]]
    return ["as Fig 5a", "as Fig 5c–f", "as Fig 12e"]
