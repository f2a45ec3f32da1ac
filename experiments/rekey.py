"""Carry records over to the keys of today's code: ``python -m experiments.rekey``.

The key of a record holds the code behind it, so after a change of code every job would be computed again. This computes
a sample of the jobs of each method, data set and protocol, compares it with their records, and where it comes out equal
writes the other records under their new keys, each with where it came from. Where something differs, it says what, and
carries nothing of these. What it computes are records like any other; the same command resumes.
Scores that measure time or memory never come out equal: their experiments are to be run anew.

Training on another kind of processor never comes out equal either. With ``--base COMMIT`` the sample of records from
elsewhere is computed twice here, by the code of that commit, under whose keys they are, and by today's.
"""

import argparse
import contextlib
import functools
import json
import sys

import pandas as pd
from tqdm import tqdm

from .loop import command_line
from .loop.carry import NotMapped, carry, differences, settings_of, today_of
from .loop.executors.local import run_jobs
from .loop.provenance import machine
from .loop.store import stores
from .loop.twice import computed_twice


def main(arguments=None):
    command_line.speak()
    parser = argparse.ArgumentParser(prog="python -m experiments.rekey", description=__doc__.split("\n\n")[0])
    parser.add_argument("--results", default="results", help="folder with the records (results)")
    parser.add_argument("--experiment", action="append", help="only this one (may be given several times)")
    parser.add_argument("--method", action="append", help="only this one, by its name in the runs")
    parser.add_argument("--sample", type=int, default=2, help="jobs to compute again of each of these (2)")
    parser.add_argument("--tolerance", type=float, default=0.0, help="share by which numbers may differ (0)")
    parser.add_argument("--base", help="commit whose code judges records of another kind of machine, beside today's")
    parser.add_argument("--config-dir", help="configuration of your own, as for experiments.run")
    parser.add_argument("--n-jobs", default="auto", help="jobs at once (auto)")
    parser.add_argument("--timeout-minutes", type=float, default=120.0, help="limit of one job (120)")
    parser.add_argument("--remove-old", action="store_true", help="remove the old record where it was carried over")
    options = parser.parse_args(arguments)
    if options.sample < 1:
        parser.error("--sample must be at least 1: nothing is carried over unseen.")
    found = stores(options.results)
    if not found:
        parser.error(f"There are no records in {options.results}: name the folder with --results.")
    asked = [store for store in found if not options.experiment or store.folder.name in options.experiment]
    rows = [row for store in asked for row in rekey(store, options)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("method", "outcome") if rows else ():
        table[name] = table[name].str.ljust(table[name].str.len().max())
    print(table.to_string(index=False, justify="left") if rows else "There is nothing to carry over.")
    return 1 if any(row["outcome"].startswith(FAULTS) for row in rows) else 0


COLUMNS = ["experiment", "method", "dataset", "protocol", "records", "sample", "carried", "outcome"]
FAULTS = ("differs", "damaged")


def rekey(store, options):
    """Judge and carry the records of one experiment; return the rows of the table of what became of them."""
    units, rows = _units(store, options)
    samples = {what: _sample(store, unit, options.sample) for what, unit in units.items()}
    everyone = [old for sample in samples.values() for old in sample]
    elsewhere = [old for old in everyone if options.base and old.record["machine"] != machine()]
    todo = {}  # {threads: jobs}: a sum is another one on more threads
    for old in everyone:
        if old not in elsewhere and not store.is_final(old.job.key):
            todo.setdefault(old.record["threads"] or 1, {})[old.job.key] = old.job
    for threads, jobs in todo.items():
        print(f"{store.folder.name}: {len(jobs)} jobs to compute again.")
        limits = {"n_jobs": options.n_jobs, "timeout_minutes": options.timeout_minutes}
        run_jobs(list(jobs.values()), options.results, threads=threads, **limits)
    twice = contextlib.nullcontext()
    if elsewhere:
        print(f"{store.folder.name}: {len(elsewhere)} jobs of another machine to compute twice.")
        twice = computed_twice(elsewhere, options.results, store.folder.name, options.base, options.n_jobs)
    with twice as both:
        keys = {old.record["key"] for old in elsewhere}

        def sides(old):
            """What is compared: (record, arrays) of the earlier code, and of today's."""
            earlier, today = both if old.record["key"] in keys else (store, store)
            before, new = earlier.load(old.record["key"]), today.read(old.job.key)
            return (before, earlier.arrays(before)), (new, today.arrays(new) if new else {})

        return rows + [_judge(store, what, unit, samples[what], sides, options) for what, unit in units.items()]


def _units(store, options):
    """{(method, data, protocol, settings that there are no more): [Old, …]}, each job once; and rows on the others."""
    units, rows, found = {}, [], {}
    settings = functools.partial(settings_of, folder=options.config_dir)
    for key in tqdm(list(store), desc=store.folder.name, unit="record", disable=None):
        try:
            record = store.load(key)
            if record["status"] != "done" or record["method"] not in (options.method or [record["method"]]):
                continue
            store.arrays(record)
            old = today_of(record, settings)
        except NotMapped as error:
            what = record["method"], record["dataset"], record["protocol"], f"stays: {error}"
            found[what] = found.get(what, 0) + 1
            continue
        except Exception as error:  # of a file that was torn, nearly anything
            found["", "", "", f"damaged: {key} ({error})"] = 1
            continue
        if old.job.key != record["key"]:
            what = record["method"], record["dataset"], record["protocol"], old.dropped
            newest = units.setdefault(what, {})
            before = newest.get(old.job.key)
            if before is None or before.record["written"] < record["written"]:
                newest[old.job.key] = old
    rows = [_row(store, of, n, outcome=outcome) for (*of, outcome), n in found.items()]
    return {what: list(newest.values()) for what, newest in units.items()}, rows


def _sample(store, unit, n):
    """Jobs to compute again: the quickest of each setting first, and none that was itself carried over."""
    own = [old for old in unit if "carried_from" not in (store.read(old.job.key) or {})]
    own.sort(key=lambda old: (old.record["seconds"]["total"], old.job.key))
    seen, first, more = set(), [], []
    for old in own:
        setting = json.dumps([old.job.dataset, old.job.protocol, old.job.parameters, old.job.axes], sort_keys=True)
        (more if setting in seen else first).append(old)
        seen.add(setting)
    return (first + more)[:n]


def _judge(store, what, unit, sample, sides, options):
    """Compare the sample of a unit, carry the rest of it where all of it is equal, and return its row."""
    *of, dropped = what
    waiting = [old for old in unit if not store.is_final(old.job.key)]
    note = [f"without {dropped}"] if dropped else []
    note += [f"with {added}"] if (added := "; ".join(sorted({old.added for old in unit} - {""}))) else []
    found = []
    for old in sample:
        (before, arrays_before), (after, arrays_after) = sides(old)
        phrases = differences(before, after, arrays_before, arrays_after, options.tolerance)
        if phrases:
            where = ", ".join(map(str, [*old.record["axes"].values(), f"seed {old.record['seed']}"]))
            found.append(f"{old.record['dataset']}, {where}: {', '.join(phrases)}")
    if found:
        return _row(store, of, len(unit), len(sample), 0, "differs: " + "; ".join([*found, *note]))
    keys = [old.job.key for old in sample]
    for old in tqdm(waiting, desc=f"{store.folder.name}, {of[0]}", unit="record", disable=None):
        carry(store, old, keys, options.tolerance, options.base)
    if options.remove_old:
        for old in unit:
            store.remove(old.record["key"])
    return _row(store, of, len(unit), len(sample), len(waiting), "; ".join(["equal", *note]))


def _row(store, of, records, sample=0, carried=0, outcome=""):
    return dict(zip(COLUMNS, [store.folder.name, *of, records, sample, carried, outcome], strict=True))


if __name__ == "__main__":
    sys.exit(main())
