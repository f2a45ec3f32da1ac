"""Which experiments a method enters, and on which data."""

import inspect
from pkgutil import resolve_name
from typing import NamedTuple

from .. import titles
from ..loop.job import check_method
from . import command, rules

OTHERS = ("none", "controls", "all")  # whose missing jobs are computed beside those of the user's methods


class Entry(NamedTuple):
    """An experiment on a data set, with those of the user's methods that can do it."""

    experiment: str
    data: str  # choice of dataset=
    mine: tuple


def require_fair(name, block):
    """Refuse a method that cannot be ranked; ValueError in one sentence.

    A control stands in every scorecard, and a class that asks to be shown the truth would win.
    """
    check_method(name, block)
    cls = resolve_name(block["_target_"])
    if getattr(cls, "sees_truth", False):
        raise ValueError(f"methods.{name}: {block['_target_']} has sees_truth, it would be scored with the truth.")
    if hasattr(cls, "compare") and "bulk" in inspect.signature(cls.compare).parameters:
        raise ValueError(f"methods.{name}: compare() asks for bulk, which is the truth: take that parameter out.")
    if block.get("_role_") == "control":
        raise ValueError(f"methods.{name} is a control (_role_): controls are in every scorecard, name another method.")


def entries(options, records, protocol, blocks):
    """What is to be entered, and what is left out and why.

    Parameters
    ----------
    options : argparse.Namespace
        ``experiments`` and ``data``, lists or None; ``data_dir``.
    records : records.Records
    protocol : str
        Its name.
    blocks : dict
        {name: block} of the user's methods.

    Returns
    -------
    entries : list of Entry
    said : list of str

    Raises
    ------
    ValueError
        An experiment or a data set that there is not, or nothing is left.
    """
    known = {data.choice: data for data in command.at_hand(options.data_dir)}
    asked = options.experiments or rules.experiments()
    for name in asked:
        if name not in rules.experiments():
            reason = rules.not_entered().get(name, f"there are {', '.join(rules.experiments())}")
            raise ValueError(f"--experiments {name} is none of the arena: {reason}.")
    for choice in options.data or []:
        if choice not in {*known, "all", "h5ad"}:
            raise ValueError(f"--data {choice}: there is no such data set; there are all, {', '.join(known)}.")
    found, said, unable = [], [], []
    for experiment in asked:
        requires, ranked = rules.module(experiment).REQUIRES, set(rules.ranked(experiment))
        mine = tuple(n for n, block in blocks.items() if hasattr(resolve_name(block["_target_"]), requires))
        if not mine:
            unable.append(f"{titles.experiment(experiment)} ({requires})")
            continue
        here = {data.choice: data.name for data in known.values() if data.is_here}
        on_record = records.others(experiment, protocol, blocks)
        contested = [choice for choice, name in here.items() if on_record.get(name, set()) & ranked]
        if options.data:
            chosen = list(here) if "all" in options.data else [c for c in options.data if c in here or c == "h5ad"]
            said += [f"{c} is not here (python -m datasets.list)." for c in options.data if c in set(known) - set(here)]
        else:
            chosen = contested or _own(experiment, here)
            if not contested:
                said.append(
                    f"{titles.experiment(experiment)}: nobody else is on record with a score that ranks under this "
                    f"protocol; entered on {', '.join(chosen) or 'no data set, none is here'}."
                )
            elif rest := [choice for choice in here if choice not in contested]:
                said.append(
                    f"{titles.experiment(experiment)}: nobody else is on record on {', '.join(rest)}; --data NAME "
                    "enters there all the same."
                )
        found += [Entry(experiment, choice, mine) for choice in chosen]
    if unable:
        said.append(f"Not entered, for want of what they ask of a method: {', '.join(unable)}.")
    if not found:
        raise ValueError(f"There is nothing to enter. {' '.join(said)}")
    return found, list(dict.fromkeys(said))


def _own(experiment, here):
    """The data set that an experiment is entered on first, or what stands in for it; none where neither is here."""
    choice = rules.first_data(experiment) or command.own_data_set(experiment)
    return [each for each in (choice, f"standin/{choice}") if each in here][:1]
