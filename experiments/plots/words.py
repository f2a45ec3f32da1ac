"""The words that figures of every kind carry: the title, the data and seeds, what became of a method, ranges."""

import numpy as np

from .. import titles
from .text import clip

PANELS = {  # figure or table of the paper -> data set -> the panel that shows it
    **{figure: {"cortex": figure} for figure in ("Fig 2", "Fig 7a–c", "Fig 7d–f", "Fig 8e–g", "Fig 9a", "Fig 10")},
    **{figure: {"pbmc": figure} for figure in ("Fig 5a", "Fig 5b", "Fig 5c–f", "Fig 12a–d", "Fig 12e", "Table 4")},
    **{figure: {"pbmc": figure} for figure in ("Fig 6a", "Fig 6b", "Fig 13a")},
    **{figure: {"brain_large": figure} for figure in ("Fig 1c", "Fig 14b, c", "Table 1")},
    "Table 2": dict.fromkeys(
        ("cortex", "brain_large", "brain_small", "cbmc", "hemato", "pbmc", "retina", "random_zinb"), "Table 2"
    ),
    "Table 3": {"cortex": "Table 3"},
    "Fig 3": dict.fromkeys(("cortex", "hemato", "random_zinb"), "Fig 3"),
    "Fig 4": {"retina": "Fig 4"},
    "Fig 6c, d": {"pbmc": "Fig 6c", "brain_small": "Fig 6d"},
    "Fig 8": {"pbmc": "Fig 8a", "cortex": "Fig 8b", "retina": "Fig 8d"},
    "Fig 8c": {"cbmc": "Fig 8c"},
    "Fig 9b–d": {"cortex": "Fig 9b", "brain_large": "Fig 9c"} | dict.fromkeys(("pbmc", "retina", "hemato"), "Fig 9d"),
    "Fig 11": {"cortex": "Fig 11a", "brain_large": "Fig 11b"} | dict.fromkeys(("pbmc", "retina"), "Fig 11c"),
    "Fig 13b–d": {"brain_small": "Fig 13b–d"},
    "Fig 14a, d": {"brain_large": "Fig 14a", "cortex": "Fig 14d"},
    "Fig 15": {"random_zinb": "Fig 15"},
    "Fig 16": {"hemato": "Fig 16"},
}


def panel_of(figure, row):
    """The panel of a figure of the paper that shows the data of ``row``.

    "as Fig …" where they are not the paper's (the panel is that of what they stand in for, if they do), or where the
    run has changed a setting.
    """
    found = PANELS[figure].get(row.dataset)
    if found and not changed(row):
        return found
    return f"as {found or PANELS[figure].get(row.dataset.removeprefix('standin_'), figure)}"


def changed(row):
    """The settings that a run has otherwise than conf/ describes them, as text; "" for none."""
    return getattr(row, "changed", "")


def about(row):
    """How a caption begins: the data, the protocol, and what the run has changed of either."""
    text = f"{clip(titles.data(row.dataset))}, protocol {titles.protocol(row.protocol)}"
    return f"{text} but for {changed(row)}" if changed(row) else text


def title_of(row, like, what=""):
    """The experiment, its axes (columns between protocol and method or, of a job, key and status), what is shown."""
    row = row._asdict()
    names = list(row)
    start, end = ("key", "status") if "key" in row else ("protocol", "method")
    axes = names[names.index(start) + 1 : names.index(end)]
    settings = (clip(titles.setting(row["dataset"], name, row[name]), 90) for name in axes)
    title = ", ".join(filter(None, [titles.experiment(row["experiment"]), *settings, what]))
    return f"{like}: {title}" if like else title


def span(values):
    """ "5", or "4–5" where they differ, of counts; 0 for none. What is missing is left out."""
    known = [int(value) for value in values if np.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0, 0)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def short(n):
    """A number of cells as on an axis: 4k, 1M."""
    return f"{n / 1e6:.3g}M" if n >= 1e6 else f"{n / 1e3:.3g}k" if n >= 1e3 else f"{n:g}"


def counted(values, noun):
    """ "1 seed", "2–5 seeds"."""
    text = span(values)
    return f"{text} {noun}" if text == "1" else f"{text} {noun}s"


def seeds_of(table):
    """How a caption begins: data, protocol, how many seeds are behind the means, what published values are of."""
    first = next(table.itertuples())
    text = f"{about(first)}, n\xa0= {counted(table.loc[table['n_seeds'] > 0, 'n_seeds'], 'seed')}."
    return f"{text} Published values: of the paper's own data." if table["published"].notna().any() else text


def spread_of(table, mark):
    """What ``mark`` ("Bar", "Point") and the line across it stand for."""
    n_seeds = table["n_seeds"].max()
    if n_seeds > 1:
        return f"{mark}: mean over seeds; line: its 95% interval."
    return f"{mark}: a single seed, which has no interval." if n_seeds == 1 else ""


def outcome(status):
    """The outcomes named in a status such as "failed: why; skipped: why"."""
    return " and ".join(word for word in ("failed", "timeout", "skipped") if f"{word}:" in status) or "no result"


def outcomes(table):
    """What became of the methods of a table none of which has a result: "No result: scVI (failed), FA (skipped)."."""
    rows = table.drop_duplicates("label")
    each = (f"{clip(row.label, 30)} ({outcome(row.status)})" for row in rows.itertuples())
    return f"No result: {', '.join(each)}."
