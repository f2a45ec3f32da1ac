"""The words that figures of every kind carry: the title, the seeds, what became of a method, ranges."""


def title_of(row, like):
    """The experiment and its axes: columns between protocol and method or, of a cell, between key and status."""
    row = row._asdict()
    names = list(row)
    start, end = ("key", "status") if "key" in row else ("protocol", "method")
    axes = names[names.index(start) + 1 : names.index(end)]
    title = ", ".join([row["experiment"], *(f"{name}: {row[name]}" for name in axes)])
    return f"{like}: {title}" if like else title


def span(values):
    """ "5", or "4–5" where they differ; 0 for none."""
    low, high = (min(values), max(values)) if len(values) else (0, 0)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def seeds_of(table):
    """How a caption begins: data, protocol, how many seeds are behind the means, what published values are of."""
    first, seeds = table.iloc[0], table.loc[table["n_seeds"] > 0, "n_seeds"]
    noun = "seed" if seeds.max() == 1 else "seeds"
    text = f"{first['dataset']}, protocol {first['protocol']}, n\xa0= {span(seeds)} {noun}."
    return f"{text} Published values: of the paper's own data." if table["published"].notna().any() else text


def spread_of(table, mark):
    """What ``mark`` ("Bar", "Point") and the line across it stand for."""
    if table["n_seeds"].max() > 1:
        return f"{mark}: mean over seeds; line: its 95% bootstrap interval."
    return f"{mark}: a single seed, which has no interval."


def outcome(status):
    """The outcomes named in a status such as "failed: why; skipped: why"."""
    return " and ".join(word for word in ("failed", "timeout", "skipped") if f"{word}:" in status) or "no result"
