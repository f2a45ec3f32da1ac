"""A score over the size of the training set, one line per method (Table 1)."""

from .. import titles
from ..loop.registry import METRICS
from .curves import Panel, line_panels
from .style import colour
from .words import seeds_of, spread_of

MARKERS = "os^vDPX*<>"  # tell the variants of a method apart, whose colours are alike


def size_lines(table, scores, *, x, like=""):
    """One panel per score, one line per method with intervals, the published values as hollow diamonds.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``experiments.report.table.summarise`` with a column ``size``.
    scores : list of str
        Keys of ``METRICS``.
    x : str
        What ``size`` counts.
    like : str
        The figure of the paper that this one redraws.

    Returns
    -------
    SuiteFigure
    """
    table = table[table["score"].isin(scores) & (table["role"] != "control") & (table["n_seeds"] > 0)]
    labels = list(dict.fromkeys(table["label"]))
    ticks = tuple(int(size) for size in sorted(table["size"].unique()))
    columns = {"score": "panel", "label": "line", "size": "x", "mean": "y", "ci_low": "low", "ci_high": "high"}
    title = f"{titles.experiment(table['experiment'].iloc[0])} over {x}"
    return line_panels(
        table.rename(columns=columns)[[*columns.values(), "published"]],
        {score: Panel(x, METRICS[score].title, ticks, log_x=True) for score in scores if score in set(table["score"])},
        {label: {"color": colour(label), "marker": _marker(label, labels), "markersize": 3.5} for label in labels},
        title=f"{like}: {title}" if like else title,
        caption=f"{seeds_of(table)} {spread_of(table, 'Point')} Controls are left out.",
        height=2.3,
    )


def _marker(label, labels):
    """The marker of a method among ``labels``: the first for a method, others for its variants."""
    family = [other for other in labels if other.split(" (")[0] == label.split(" (")[0]]
    return MARKERS[family.index(label) % len(MARKERS)]
