"""Bars of several scores side by side, the methods in the same rows (Fig 8)."""

from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..metrics.registry import METRICS
from .bar import CUT, LABEL, PUBLISHED, RIGHT, Bar, bars_caption, longest, ranked, scale
from .style import MARGIN, NUMBER, SuiteFigure, in_style, inches, wrap
from .words import title_of

WIDTH = 7.2  # inches: two columns of a journal
PANEL = 2.2  # inches: at most, for a panel
GAP = RIGHT + 0.06  # inches: between panels
BAR = 0.135  # inches: a bar, with room for its number


def bar_panels(table, panels, *, like="", note="", series=None, digits=2):
    """Fig 8: a panel per score, a row per method, the published values as hollow diamonds.

    The rows are in the order of the first panel, best first, then the controls (grey).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``experiments.table.summarise`` for one value of each axis.
    panels : dict of str to list of str
        The scores of each panel by the score that names its axis, all keys of ``METRICS``. Where a panel has several,
        each method has that many bars; the last one of the first panel ranks the methods.
    like : str
        The figure of the paper that this one redraws.
    note : str
        Added to the caption.
    series : dict of str to colour, optional
        Names and colours of the bars of a method, in the order of the scores of a panel; method colours without.
    digits : int
        Decimals of the numbers.

    Returns
    -------
    SuiteFigure
    """
    axes, panels = [METRICS[name] for name in panels], list(panels.values())
    shown = table[table["score"].isin([score for panel in panels for score in panel])]
    rows = ranked(table[table["score"] == panels[0][-1]], axes[0].better)
    labels = [*rows["label"], *(label for label in shown["label"].unique() if label not in set(rows["label"]))]
    fills = list((series or {}).values())
    with in_style():
        names = [wrap(label, NUMBER, LABEL) for label in labels]
        left = 0.12 + MARGIN + max(inches(line, NUMBER) for name in names for line in name)
        width = min(WIDTH, left + len(panels) * PANEL)
        inner = (width - left) / len(panels) - GAP
        what = [[*wrap(axis.label, 7.5, inner + RIGHT), f"{axis.better} is better"] for axis in axes]
        below = 0.3 + 0.14 * max(map(len, what))
        step = max(0.23, 0.12 * max(map(len, names)), 0.09 + BAR * max(map(len, panels)))
        placed = [_bars(shown, panel, labels, fills, digits, BAR / step) for panel in panels]
        caption = bars_caption(shown, [bar for bars in placed for bar in bars.values()]) + note
        figure = SuiteFigure(
            width, len(labels) * step + below, title=title_of(next(rows.itertuples()), like), caption=caption,
            beside_title=0.8 + 0.45 * len(fills),
        )  # fmt: skip
        for p, bars in enumerate(placed):
            at = left + p * (inner + GAP)
            ax = figure.panel(at, below, inner, len(labels) * step)
            low, unit = scale(list(bars.values()), inner)
            ax.set(xlim=(low, low + inner / unit), ylim=(len(labels) - 0.5, -0.5))
            for place, bar in bars.items():
                bar.draw(ax, place, unit)
            ax.set_yticks(range(len(labels)), ["\n".join(name) for name in names] if p == 0 else [""] * len(labels))
            ax.xaxis.set_major_locator(MaxNLocator(4))
            ax.tick_params(axis="y", length=0)
            ax.spines["left"].set_visible(False)
            ax.axvline(0, color="#444444", linewidth=0.6)
            figure.write(at + inner / 2, figure.foot + MARGIN, "\n".join(what[p]), ha="center", va="bottom")
        _legend(figure, ax, series, shown["published"].notna().any())
    figure.data = shown
    figure.alt = f"Bars of {', '.join(axis.label for axis in axes)} by method. "
    figure.alt += "; ".join(f"{bar.row.score} {bar.words}" for bars in placed for bar in bars.values()) + "."
    return figure


def _bars(table, panel, labels, fills, digits, thick):
    """The bars of one panel by their place, a row of the panel being one unit."""
    rows = table[table["score"].isin(panel)].set_index(["label", "score"], drop=False)
    limit = CUT * max(longest(rows[rows["score"] == score]) for score in panel)
    bars = {}
    for i, label in enumerate(labels):
        for k, score in enumerate(panel):
            if (label, score) in rows.index:
                row = next(rows.loc[[(label, score)]].itertuples())
                look = {"thick": 0.9 * thick, "fill": fills[k]} if fills else {}
                bars[i + (k - (len(panel) - 1) / 2) * thick] = Bar(row, limit, digits=digits, **look)
    return bars


def _legend(figure, ax, series, published):
    handles = [Patch(color=fill, label=name) for name, fill in (series or {}).items()]
    if published:
        handles += ax.plot([], [], label="published", **PUBLISHED)
    if handles:
        corner = (1 - MARGIN / figure.width, 1 - MARGIN / figure.height)
        figure.legend(
            handles=handles, loc="upper right", bbox_to_anchor=corner, ncols=len(handles), frameon=False,
            borderaxespad=0, borderpad=0, handletextpad=0.4, handlelength=1, columnspacing=1, fontsize=NUMBER,
        )  # fmt: skip
