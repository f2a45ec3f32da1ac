"""The words that figures of every kind carry: the title, and ranges of numbers."""


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
