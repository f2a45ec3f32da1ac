"""Records of another machine: taken in where they are new, reported where they say something else."""

import re
from pathlib import Path

from .archive import Archive
from .carry import differences, name_of
from .store import Store, stores


def merge(source, results_dir):
    """Take in the records of another place.

    Parameters
    ----------
    source : path
        A results folder, or an archive of records.
    results_dir : Path

    Returns
    -------
    dict
        Numbers of records: ``new`` (taken in), ``same`` (already here and equal), ``unfinished`` (failed there; left);
        lists of sentences: ``conflicts`` (here with other scores; left) and ``damaged`` (not as it was written; left).

    Raises
    ------
    ValueError
        There are no records at ``source``.
    """
    found = {"new": 0, "same": 0, "unfinished": 0, "conflicts": [], "damaged": []}
    for place in _places(Path(source)):
        keys = list(place)
        found["damaged"] += getattr(place, "damaged", [])
        for key in keys:
            try:
                record = place.load(key)
                arrays = place.arrays(record)
                _check(record)
            except Exception as error:  # of a file that was torn or made up, nearly anything
                found["damaged"].append(f"The record {key} in {source} is not as it was written ({error}).")
                continue
            if record["status"] != "done":
                found["unfinished"] += 1
                continue
            store = Store(results_dir, record["experiment"])
            if not store.is_final(key):
                store.write(record, arrays)
                found["new"] += 1
            elif apart := differences(store.load(key), record, {}, {}):
                found["conflicts"].append(f"{name_of(record)} ({key}): {', '.join(apart)}, here and in {source}.")
            else:
                found["same"] += 1
    return found


def _places(source):
    """What can be asked for records: an archive, or the stores of a results folder."""
    if source.is_file():
        return [Archive(source)]
    found = stores(source)
    if not found:
        raise ValueError(f"There are no records in {source}: name a results folder or an archive of records.")
    return found


def _check(record):
    """Raise ValueError where a record of somebody else does not say whose job it is."""
    if not re.fullmatch(r"\w+", record["experiment"]):
        raise ValueError(f"{record['experiment']!r} is no name of an experiment")
    if "module" not in record:  # then its key could not be held against its settings
        raise ValueError("it is of an earlier version: carry it over there first, with python -m experiments.rekey")
