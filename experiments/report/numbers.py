"""Numbers as pages print them, and as they are read back from tables."""

import math


def to_float(text):
    """A number out of a table; NaN where there is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def number(value, sign=""):
    """A number as the page prints it; nothing for NaN."""
    if not math.isfinite(value):
        return ""
    form = ".2e" if 0 < abs(value) < 0.001 else ",.3f" if abs(value) < 100 else ",.1f"
    return format(value, sign + form).replace("-", "−")


def interval_words(low, high, sign=""):
    """An interval as the page prints it; nothing where there is none."""
    return f"{number(low, sign)} to {number(high, sign)}" if math.isfinite(low) else ""


def duration(seconds):
    """Seconds as people say them: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
