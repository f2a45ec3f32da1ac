"""The words that figures of every kind carry: the title, the seeds, what became of a method, ranges."""

AXES = {  # axis of an experiment -> its value in words
    "corruption": "{} corruption",
    "n_train_cells": "{} training cells",
    "n_cells": "{} cells",
    "n_genes": "{} genes",
    "n_latent": "{} latent dimensions",
}
COMPARISONS = {"BDC": "B cells against dendritic cells", "CD": "CD4 against CD8 T cells"}  # of PBMC and its stand-in
PANELS = {  # figure of the paper -> data set -> the panel that shows it
    **{figure: {"cortex": figure} for figure in ("Fig 2", "Fig 7a–c", "Fig 7d–f", "Fig 9a", "Fig 10")},
    "Fig 4": {"retina": "Fig 4"},
    "Table 1": {"brain_large": "Table 1"},
    "Fig 8": {"pbmc": "Fig 8a", "cortex": "Fig 8b", "retina": "Fig 8d"},
    "Fig 9b–d": {"cortex": "Fig 9b", "brain_large": "Fig 9c"} | dict.fromkeys(("pbmc", "retina", "hemato"), "Fig 9d"),
    "Fig 11": {"cortex": "Fig 11a", "brain_large": "Fig 11b"} | dict.fromkeys(("pbmc", "retina"), "Fig 11c"),
}


def panel_of(figure, dataset):
    """The panel of a figure of the paper that shows a data set, or the one that it stands in for; else "as Fig …"."""
    return PANELS[figure].get(dataset.removeprefix("standin_"), f"as {figure}")


def title_of(row, like, what=""):
    """The experiment, its axes (columns between protocol and method or, of a job, key and status), what is shown."""
    row = row._asdict()
    names = list(row)
    start, end = ("key", "status") if "key" in row else ("protocol", "method")
    axes = names[names.index(start) + 1 : names.index(end)]
    title = ", ".join(filter(None, [row["experiment"], *(_setting(row, name) for name in axes), what]))
    return f"{like}: {title}" if like else title


def _setting(row, name):
    """The value of an axis, in words where there are some."""
    value = str(row[name])
    is_pbmc = row["dataset"].removeprefix("standin_") == "pbmc"  # others may name theirs alike
    if name == "comparison" and is_pbmc and value in COMPARISONS:
        return COMPARISONS[value]
    return AXES.get(name, f"{name} {{}}").format(f"{int(value):,}" if value.isdecimal() else value)


def span(values):
    """ "5", or "4–5" where they differ; 0 for none."""
    low, high = (min(values), max(values)) if len(values) else (0, 0)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def short(n):
    """A number of cells as on an axis: 4k, 1M."""
    return f"{n / 1e6:.3g}M" if n >= 1e6 else f"{n / 1e3:.3g}k" if n >= 1e3 else f"{n:g}"


def seeds_of(table):
    """How a caption begins: data, protocol, how many seeds are behind the means, what published values are of."""
    first, seeds = table.iloc[0], table.loc[table["n_seeds"] > 0, "n_seeds"]
    noun = "seed" if seeds.max() == 1 else "seeds"
    text = f"{first['dataset']}, protocol {first['protocol']}, n\xa0= {span(seeds)} {noun}."
    return f"{text} Published values: of the paper's own data." if table["published"].notna().any() else text


def spread_of(table, mark):
    """What ``mark`` ("Bar", "Point") and the line across it stand for."""
    if table["n_seeds"].max() > 1:
        return f"{mark}: mean over seeds; line: its 95% interval."
    return f"{mark}: a single seed, which has no interval."


def outcome(status):
    """The outcomes named in a status such as "failed: why; skipped: why"."""
    return " and ".join(word for word in ("failed", "timeout", "skipped") if f"{word}:" in status) or "no result"
