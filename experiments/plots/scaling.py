"""Cost against the number of cells, both logarithmic, one line per method (Fig 1c)."""

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator

from ..metrics.registry import METRICS
from .style import MARGIN, NUMBER, SOFT, SuiteFigure, colour, in_style, inches
from .words import span

LEFT, INNER, HEIGHT, GAP, BELOW = 0.62, 1.75, 2.4, 0.64, 0.42  # inches
LINE = 0.155  # inches: a line of the legend
KNOWN = "published (BRAIN-LARGE; i7, K80)"  # section 2.3: the machine
APART = 0.26  # inches between the labels of two sizes
BESIDE = 0.085  # inches between marks of methods that were stopped at one size, at most
MARGINS = 0.1  # of the range of sizes, at both ends of the axis
STOPPED = {"marker": "x", "markersize": 5.5, "markeredgewidth": 1.4, "linestyle": "none", "zorder": 4}
PUBLISHED = {"marker": "o", "markersize": 4.2, "markerfacecolor": "none", "markeredgewidth": 0.9, "zorder": 2}


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
    shown = published[published["label"].isin(lines["label"])]
    entries = [_entry(label, rows.iloc[0]) for (label, _), rows in methods]
    right = 0.42 + max(inches(text, NUMBER) for text in [*entries, KNOWN])
    width = LEFT + 2 * INNER + GAP + right + MARGIN
    height = max(HEIGHT, LINE * (len(entries) + 4)) + BELOW + 0.08
    sizes = sorted({*lines["n_cells"], *shown["n_cells"]})
    first = records.iloc[0]
    n_genes = int(first["n_genes"])
    with in_style():
        title = f"scalability up to {records['n_cells'].max():,} cells, {n_genes:,} genes"
        title = f"{like}: {title}" if like else title
        figure = SuiteFigure(width, height, title=title, caption=_caption(first, records, lines, shown))
        panels = [figure.panel(LEFT + i * (INNER + GAP), BELOW, INNER, height - BELOW - 0.08) for i in range(2)]
        for ax, score, stopped in zip(
            panels, ("fit_minutes", "memory_mb"), ("stopped_minutes", "stopped_mb"), strict=True
        ):
            for (label, role), rows in methods:
                ink = colour(label, role)
                ax.plot(rows["n_cells"], rows[score], "-o", color=ink, markersize=4, linewidth=1.2, zorder=3)
            for row, x in _side_by_side(lines[lines[stopped].notna()], sizes):
                ax.plot(x, row[stopped], color=colour(row["label"], row["role"]), **STOPPED)
            ax.set(xscale="log", yscale="log", xlabel="cells", ylabel=METRICS[score].label)
        for label, rows in shown.groupby("label", sort=False):
            role = lines.loc[lines["label"] == label, "role"].iloc[0]
            ink = colour(label, role)
            panels[0].plot(rows["n_cells"], rows["minutes"], "--", color=ink, linewidth=0.7, **PUBLISHED)
        for ax in panels:
            _sizes(ax, sizes)
            low, high = ax.get_ylim()
            dense = LogLocator(subs=(1, 2, 5)) if high > 10 * low else MaxNLocator(4)
            ax.yaxis.set_major_locator(LogLocator() if high > 100 * low else dense)
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        handles = [
            panels[0].plot([], [], "-o", color=colour(*key), markersize=4, linewidth=1.2)[0] for key, _ in methods
        ]
        if len(shown):
            handles += panels[0].plot([], [], "--", color=SOFT, linewidth=0.7, **PUBLISHED)
            entries.append(KNOWN)
        if lines[["stopped_minutes", "stopped_mb"]].notna().any(axis=None):
            handles += panels[0].plot([], [], color=SOFT, **STOPPED)
            entries.append("stopped at a limit")
        corner = ((width - right + 0.02) / width, (figure.foot + height) / figure.height)
        figure.legend(
            handles, entries, loc="upper left", bbox_to_anchor=corner, frameon=False, fontsize=NUMBER,
            borderaxespad=0, handlelength=1.8, handletextpad=0.5, labelspacing=0.45,
        )  # fmt: skip
    known = shown.rename(columns={"minutes": "published_minutes"})
    figure.data = pd.merge(lines, known, on=["label", "n_cells"], how="outer", sort=False)
    figure.alt = "Run time and memory against the number of cells, logarithmic. " + "; ".join(
        _words(label, rows) for (label, _), rows in methods
    )
    return figure


def _entry(label, row):
    """Name and growth of a method, for the legend."""
    if np.isnan(row.exponent):
        return label
    exponent, low, high = (f"{value:.2f}".replace("-", "−") for value in (row.exponent, row.low, row.high))
    return f"{label}: n^{exponent}" + ("" if np.isnan(row.low) else f" ({low} to {high})")


def _side_by_side(stopped, sizes):
    """Rows with the place of their mark on the axis of sizes: methods that end at one size would hide each other."""
    places = np.log(sizes)
    unit = INNER / ((1 + 2 * MARGINS) * max(places[-1] - places[0], 0.1))  # inches per e-fold
    gaps = np.diff(places, prepend=-np.inf, append=np.inf)  # on both sides of each size
    edge = 2 * MARGINS * INNER / (1 + 2 * MARGINS)
    for size, rows in stopped.groupby("n_cells"):
        at = sizes.index(size)
        step = min(BESIDE, min(gaps[at] * unit, gaps[at + 1] * unit, edge) / len(rows))
        for k, (_, row) in enumerate(rows.iterrows()):
            yield row, size * np.exp((k - (len(rows) - 1) / 2) * step / unit)


def _sizes(ax, sizes):
    """Ticks at the sizes of the data, named where there is room."""
    low, high = np.log([sizes[0], sizes[-1]])
    air = MARGINS * max(high - low, 0.1)
    ax.set_xlim(*np.exp([low - air, high + air]))
    unit = INNER / max(high - low, 1e-9)
    named = []
    for size in sorted(
        sizes, key=lambda n: (n / 10 ** np.floor(np.log10(n)) > 1, n)
    ):  # powers of ten have the first say
        if all(abs(np.log(size / other)) * unit >= APART for other in named):
            named.append(size)
    ax.set_xticks(sizes, [_short(size) if size in named else "" for size in sizes])
    ax.minorticks_off()


def _short(n):
    return f"{n / 1e6:g}M" if n >= 1e6 else f"{n / 1e3:g}k" if n >= 1e3 else f"{n:g}"


def _caption(first, records, lines, shown):
    text = (
        f"{first['dataset']}, protocol {first['protocol']}, n\xa0= {span(sorted(records['n_cells']))} cells, "
        f"{records['seed'].nunique()} seed{'s' if records['seed'].nunique() > 1 else ''}. Time of the fit alone; "
        f"memory also of the latent space or the imputed counts. n^: growth of the time, 95% interval."
    )
    for column, limit in (("stopped_minutes", "after {:g} minutes"), ("stopped_mb", "at {:,.0f} MB")):
        for value, rows in lines.groupby(column, sort=False):
            where = "; ".join(f"{row.label} at {_short(row.n_cells)} cells" for row in rows.itertuples())
            text += f" Stopped {limit.format(value)}: {where}."
    if lines["status"].str.contains("not started").any():
        text += " What was stopped was not started at larger sizes."
    return text


def _words(label, rows):
    done = rows.dropna(subset=["fit_minutes"])
    costs = ", ".join(
        f"{row.fit_minutes:.3g} min and {row.memory_mb:,.0f} MB at {_short(row.n_cells)}" for row in done.itertuples()
    )
    return f"{_entry(label, rows.iloc[0])}: {costs or 'not finished'}"
