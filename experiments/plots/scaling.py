"""Cost against the number of cells, both logarithmic, one line per method (Fig 1c)."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from ..loop.registry import METRICS
from .style import PAGE, SOFT, SuiteFigure, colour, in_style
from .text import clip, folded
from .words import about, counted, short, span

KNOWN = "published (BRAIN-LARGE; i7, K80)"  # section 2.3: the machine
MARGINS = 0.1  # of the range of sizes, at both ends of the axis
APART = 0.15  # of the range of sizes between two that are named, at least
OURS = {"marker": "o", "markersize": 4, "linewidth": 1.2, "zorder": 3}
STOPPED = {"marker": "x", "markersize": 5.5, "markeredgewidth": 1.4, "linestyle": "none", "zorder": 4}
THEIRS = {
    "marker": "o", "markersize": 4.2, "markerfacecolor": "none", "markeredgewidth": 0.9, "linestyle": "--",
    "linewidth": 0.7, "zorder": 2,
}  # fmt: skip


@in_style()
def scaling_panels(lines, published, records, like=""):
    """Fig 1c: run time and peak memory of each method against the number of cells.

    Filled marks and solid lines are ours, hollow marks and dashed lines are published, an x is a run that was stopped,
    at the limit that stopped it.

    Parameters
    ----------
    lines : pandas.DataFrame
        Rows per method and size: ``label, role, n_cells, fit_minutes, memory_mb, stopped_minutes, stopped_mb,
        exponent, low, high``.
    published : pandas.DataFrame
        ``label, n_cells, minutes``.
    records : pandas.DataFrame
        The finished cells, for the caption.
    like : str

    Returns
    -------
    SuiteFigure
    """
    methods = list(lines.groupby(["label", "role"], sort=False))
    ink = {label: colour(label, role) for (label, role), _ in methods}
    shown = published[published["label"].isin(lines["label"])]
    sizes = sorted({*lines["n_cells"], *shown["n_cells"]})
    first = next(records.itertuples())
    title = f"scalability up to {records['n_cells'].max():,.0f} cells, {first.n_genes:,.0f} genes"
    figure = SuiteFigure(
        PAGE, title=f"{like}: {title}" if like else title, caption=_caption(first, records, lines, shown)
    )
    axes = figure.panels(["", ""])
    scores = {"fit_minutes": "stopped_minutes", "memory_mb": "stopped_mb"}
    for ax, (score, stopped) in zip(axes, scores.items(), strict=True):
        for (label, _), rows in methods:
            ax.plot(rows["n_cells"], rows[score], color=ink[label], **OURS)
        for row, x in _side_by_side(lines[lines[stopped].notna()], sizes):
            ax.plot(x, row[stopped], color=ink[row["label"]], **STOPPED)
        ax.set(xscale="log", yscale="log", xlabel="cells", ylabel=METRICS[score].label)
    for label, rows in shown.groupby("label", sort=False):
        axes[0].plot(rows["n_cells"], rows["minutes"], color=ink[label], **THEIRS)
    for ax in axes:
        _sizes(ax, sizes)
        low, high = ax.get_ylim()
        dense = LogLocator(subs=(1, 2, 5)) if high > 10 * low else MaxNLocator(4)
        ax.yaxis.set_major_locator(LogLocator() if high > 100 * low else dense)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    entries = folded([_entry(label, rows.iloc[0]) for (label, _), rows in methods], 46)
    handles = [
        Line2D([], [], color=ink[label], label=entry, **OURS)
        for ((label, _), _), entry in zip(methods, entries, strict=True)
    ]
    if len(shown):
        handles.append(Line2D([], [], color=SOFT, label=KNOWN, **THEIRS))
    if lines[list(scores.values())].notna().any(axis=None):
        handles.append(Line2D([], [], color=SOFT, label="stopped at a limit", **STOPPED))
    figure.key(handles, "outside right upper", ncols=1)
    known = shown.rename(columns={"minutes": "published_minutes"})
    data = pd.merge(lines, known, on=["label", "n_cells"], how="outer", sort=False)
    words = "; ".join(_words(label, rows) for (label, _), rows in methods)
    alt = f"Run time and memory against the number of cells, logarithmic. {words}"
    return figure.finish(alt, data, max(2.4, 0.155 * len(handles)))


def _entry(label, row):
    """Name and growth of a method, for the legend."""
    if np.isnan(row.exponent):
        return label
    exponent, low, high = (f"{value:.2f}".replace("-", "−") for value in (row.exponent, row.low, row.high))
    return f"{label}: n^{exponent}" + ("" if np.isnan(row.low) else f" ({low} to {high})")


def _side_by_side(stopped, sizes):
    """Rows with the place of their mark on the axis of sizes: methods that end at one size would hide each other."""
    places = np.log(sizes)
    whole = max(places[-1] - places[0], 0.1)
    gaps = np.diff(places, prepend=-np.inf, append=np.inf)  # on both sides of each size
    for size, rows in stopped.groupby("n_cells"):
        at = sizes.index(size)
        step = min(0.04 * whole, min(gaps[at], gaps[at + 1], 2 * MARGINS * whole) / len(rows))
        for k, (_, row) in enumerate(rows.iterrows()):
            yield row, size * np.exp((k - (len(rows) - 1) / 2) * step)


def _sizes(ax, sizes):
    """Ticks at the sizes of the data, named where there is room."""
    low, high = np.log([sizes[0], sizes[-1]])
    whole = max(high - low, 0.1)
    ax.set_xlim(*np.exp([low - MARGINS * whole, high + MARGINS * whole]))
    named = []
    for size in sorted(sizes, key=lambda n: (np.log10(n) % 1 > 0, n)):  # powers of ten have the first say
        if all(abs(np.log(size / other)) >= APART * whole for other in named):
            named.append(size)
    ax.set_xticks(sizes, [short(size) if size in named else "" for size in sizes])
    ax.minorticks_off()


def _caption(first, records, lines, shown):
    text = (
        f"{about(first)}, n\xa0= {span(records['n_cells'])} cells, {counted([records['seed'].nunique()], 'seed')}. "
        "Time of the fit alone; memory also of the latent space or the imputed counts."
    )
    if lines["exponent"].notna().any():
        text += " n^: growth of the time, 95% interval."
    for column, limit in (("stopped_minutes", "after {:g} minutes"), ("stopped_mb", "at {:,.0f} MB")):
        for value, rows in lines.groupby(column, sort=False):
            where = "; ".join(f"{clip(row.label)} at {short(row.n_cells)} cells" for row in rows.itertuples())
            text += f" Stopped {limit.format(value)}: {where}."
    if lines["status"].str.contains("not started").any():
        text += " What was stopped was not started at larger sizes."
    return text


def _words(label, rows):
    done = rows.dropna(subset=["fit_minutes"])
    costs = ", ".join(
        f"{row.fit_minutes:.3g} min and {row.memory_mb:,.0f} MB at {short(row.n_cells)}" for row in done.itertuples()
    )
    return f"{_entry(label, rows.iloc[0])}: {costs or 'not finished'}"
