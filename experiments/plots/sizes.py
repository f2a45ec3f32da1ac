"""A score over the size of the training set, one line per method (Table 1)."""

import numpy as np

from ..metrics.registry import METRICS
from .style import MARGIN, NUMBER, SuiteFigure, colour, in_lines, in_style, inches, wrap
from .words import seeds_of, spread_of

MARKERS = "os^vDPX*<>"  # tell the variants of a method apart, whose colours are alike
WIDTH, PANEL, GAP = 7.2, 2.3, 0.62  # inches


def size_lines(table, scores, *, x, like=""):
    """One panel per score, one line per method with intervals, the published values as hollow diamonds.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``experiments.table.summarise`` with a column ``size``.
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
    scores = [score for score in scores if (table["score"] == score).any()]
    labels = list(dict.fromkeys(table["label"]))
    first = table.iloc[0]
    with in_style():
        entries = [*labels, *([None] if table["published"].notna().any() else [])]  # None: the published values
        legend = _lines_of(entries, WIDTH - 2 * MARGIN)
        below = 0.5 + 0.15 * len(legend)
        width = (WIDTH - 0.62 - 0.12 - GAP * (len(scores) - 1)) / len(scores)
        title = f"{like}: {first['experiment']} over {x}" if like else f"{first['experiment']} over {x}"
        caption = f"{seeds_of(table)} {spread_of(table, 'Point')} Controls are left out."
        titles = {score: wrap(METRICS[score].title, 8, width + 0.3) for score in scores}
        above = 0.1 + 0.14 * max(map(len, titles.values()))
        figure = SuiteFigure(WIDTH, below + PANEL + above, title=title, caption=caption)
        for k, score in enumerate(scores):
            ax = figure.panel(0.62 + k * (width + GAP), below, width, PANEL)
            _panel(ax, table[table["score"] == score], labels)
            ax.set_xlabel(x)
            ax.set_title("\n".join(titles[score]), y=1.0, pad=4, fontsize=8)
        for line, names in enumerate(legend):
            _legend_line(figure, names, labels, figure.foot + below - 0.46 - 0.15 * line)
    figure.data = table
    figure.alt = f"Lines over {x}. " + "; ".join(_words(table, scores)) + "."
    return figure


def _panel(ax, table, labels):
    for label in labels:
        rows = table[table["label"] == label].sort_values("size")
        if rows.empty:
            continue
        tint = colour(label)
        ax.plot(rows["size"], rows["mean"], color=tint, marker=_marker(label, labels), markersize=3.5, linewidth=1.1)
        for row in rows.itertuples():
            if np.isfinite(row.ci_low):
                ax.plot([row.size] * 2, [row.ci_low, row.ci_high], color=tint, linewidth=0.8)
        ax.plot(rows["size"], rows["published"], "D", mfc="none", mec=tint, markersize=4.5, mew=0.9)
    sizes = np.unique(table["size"])
    ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{size / 1000:.3g}k" if size >= 1000 else f"{size:.0f}" for size in sizes])
    ax.minorticks_off()


def _marker(label, labels):
    """The marker of a method among ``labels``: the first for a method, others for its variants."""
    family = [other for other in labels if other.split(" (")[0] == label.split(" (")[0]]
    return MARKERS[family.index(label) % len(MARKERS)]


def _lines_of(entries, width):
    """Lines of the legend: (label, inches from the left)."""
    widths = [0.46 + inches(label or "published", NUMBER) for label in entries]
    return [[(entries[i], start) for i, start in line] for line in in_lines(widths, width)]


def _legend_line(figure, names, labels, y):
    for label, start in names:
        ax = figure.add_axes(
            ((MARGIN + start) / figure.width, (y - 0.06) / figure.height, 0.22 / figure.width, 0.12 / figure.height)
        )
        ax.axis("off")
        if label is None:
            ax.plot(0.5, 0, "D", mfc="none", mec="black", markersize=4.5, mew=0.9)
        else:
            ax.plot([0, 1], [0, 0], color=colour(label), linewidth=1.1)
            ax.plot(0.5, 0, _marker(label, labels), color=colour(label), markersize=3.5)
        ax.set_xlim(-0.1, 1.1)
        figure.write(MARGIN + start + 0.28, y, label or "published", va="center", fontsize=NUMBER)


def _words(table, scores):
    for (score, label), rows in table.groupby(["score", "label"], sort=False):
        if score in scores:
            values = ", ".join(f"{row.mean:.1f} at {row.size:,.0f}" for row in rows.sort_values("size").itertuples())
            yield f"{METRICS[score].label}, {label}: {values}"
