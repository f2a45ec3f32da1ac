"""The published numbers of results/published.json: which one a score of ours is, and whether ours reproduces it."""

import functools
import json
import math

import yaml

from ..loop.paths import ROOT

QUALIFIERS = ("n_latent", "n_clusters_cut", "n_train_cells", "n_epochs", "lam")  # results/published.json tells apart by
WIDE = 2  # tolerances: an interval that reaches further on a side decides nothing


@functools.cache
def read():
    """Every published number, each with its ``row`` in the file; a tuple, never changed."""
    numbers = json.loads((ROOT / "results" / "published.json").read_text(encoding="utf-8"))
    return tuple(number | {"row": row} for row, number in enumerate(numbers))


def published_as(config):
    """The name that the data of a run have in results/published.json; None where none, as for a part of the data."""
    is_whole = (config.get("scale") or {}).get("max_cells") is None
    return config["dataset"].get("published_as") if is_whole else None


def addresses(dataset, row, wanted):
    """Where the number of a score may stand.

    Parameters
    ----------
    dataset : str or None
        Name of the data set in results/published.json.
    row : dict
        Of a table: ``label`` and the axes.
    wanted : str, dict, list of them or None
        What `scores.Score` declares as ``published``: a metric's name, or a mapping with ``metric`` and any of
        `QUALIFIERS`, axes in braces. ``method`` and ``dataset`` are names other than the label and ``dataset``,
        ``sign`` is -1 where the paper prints the negative, ``where`` the axes that it speaks of. A plain name finds
        only numbers without a qualifier, as does a qualifier that comes out as "all".

    Yields
    ------
    sign : int
    address : dict of str
        What `matches` holds a number against.
    """
    for address in wanted if isinstance(wanted, list) else filter(None, [wanted]):
        address = {"metric": address} if isinstance(address, str) else dict(address)
        sign, where = address.pop("sign", 1), address.pop("where", {})
        if any(str(row[axis]) != str(value) for axis, value in where.items()):
            continue
        address = {key: str(value).format(published_as=dataset, **row) for key, value in address.items()}
        address |= {key: "" for key in QUALIFIERS if address.get(key, "all") == "all"}
        yield sign, {"dataset": dataset, "method": row["label"]} | address


def matches(number, address):
    """Whether a published number stands at an address."""
    return all(str(number.get(key, "")) == value for key, value in address.items())


def known(dataset, row, wanted):
    """The published number that stands beside a score, with the sign of the score; {} where there is none.

    What was taken from notebooks but never shown in a figure comes last.
    """
    found = []
    for sign, address in addresses(dataset, row, wanted):
        same = (number for number in read() if matches(number, address))
        found += [number | {"value": sign * number["value"]} for number in same if number["value"] is not None]
    return min(found, key=lambda number: number["figure"].startswith("notebook only"), default={})


@functools.cache
def _tolerances():
    """{metric: its entry in results/tolerances.yaml}."""
    entries = yaml.safe_load((ROOT / "results" / "tolerances.yaml").read_text(encoding="utf-8"))
    return {metric: entry for entry in entries for metric in entry["metrics"]}


def tolerance(metric, value):
    """How far ours may be from a published value and still reproduce it, and why; NaN where nothing can be judged."""
    entry = next((e for known, e in _tolerances().items() if metric == known or metric.startswith(f"{known} ")), None)
    if entry is None:
        return 0.0, "no tolerance is stated for this quantity"
    if "not_judged" in entry:
        return math.nan, entry["not_judged"]
    return entry.get("absolute", abs(value) * entry.get("share", 0.0)), entry["because"]


def verdict(ours, low, high, published, within):
    """What became of a published value: reproduced, differs, undecided, not judged or not run; and why.

    Parameters
    ----------
    ours, low, high : float
        Mean over seeds and its interval, NaN where there is none.
    published : float
    within : float
        From `tolerance`.
    """
    if not math.isfinite(ours):
        return "not run", ""
    if math.isnan(within):
        return "not judged", ""
    gap = abs(ours - published)
    side = "lower" if ours < published else "higher"
    why = f"{gap / abs(published):.1%} {side}" if published else side
    if gap <= within:
        return "reproduced", why if gap else "equal"
    if low <= published <= high:
        if (high - low) / 2 <= WIDE * within:
            return "reproduced", "inside our interval"
        return "undecided", f"{why}, inside our interval, which is too wide to tell"
    return "differs", why
