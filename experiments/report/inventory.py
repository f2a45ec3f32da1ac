"""What there is, what is on record, what is missing and about how long that would take."""

import argparse
from pathlib import Path

import yaml

from baselines.table import table as methods
from datasets.list import rows as data_sets

from .. import titles
from ..loop import command_line, config
from ..loop.jobs import enumerate_jobs, expected
from ..loop.paths import ROOT
from ..loop.store import stores
from .numbers import duration


def main(arguments=None):
    command_line.speak()
    parser = argparse.ArgumentParser(prog="python -m experiments.list", description=__doc__)
    parser.add_argument("--results", default="results", help="folder with the records (results)")
    parser.add_argument("--methods", action="store_true", help="what each method answers and costs, as well")
    options = parser.parse_args(arguments)
    print("Experiments (+exp=NAME):")
    for path in sorted((ROOT / "conf" / "exp").glob("*.yaml")):
        name = yaml.safe_load(path.read_text(encoding="utf-8"))["experiment"].get("name", path.stem)
        print(f"  {path.stem:<16} {titles.experiment(name)}")
    print("\nData sets (dataset=NAME), and whether their files are here:")
    for row in data_sets():
        print(f"  {row['dataset']:<26} {titles.data(row['dataset'].replace('/', '_'))}: {row['here']}")
    rows = sorted(path.stem for path in (ROOT / "conf" / "method").glob("*.yaml"))
    print(f"\nMethods (+method@methods.NAME=NAME): {', '.join(rows)}.")
    print(methods() if options.methods else "--methods says what each answers and costs.")
    print(f"\nOn record in {options.results}:")
    lines = list(on_record(Path(options.results)))
    print("\n".join(lines) if lines else "  nothing")


def on_record(results_dir):
    """A line for each experiment, data set and protocol on record: jobs of the plain run finished and missing."""
    for store in stores(results_dir):
        experiment, found = store.folder.name, {}
        for record in store.finished():
            found.setdefault((record["dataset"], record["protocol"]), []).append(record)
        for (dataset, protocol), records in sorted(found.items()):
            what = f"  {experiment}, {dataset}, {protocol.replace('_', ' ')}"
            try:
                plain = config.today(experiment, dataset, protocol, None)
                jobs = enumerate_jobs(plain, records[0]["dataset_hash"])
            except (*config.ERRORS, ValueError, KeyError, OSError) as error:
                yield f"{what}: {len(records)} records; not a run of conf/ ({' '.join(str(error).split())})"
                continue
            current = {record["key"] for record in records}
            missing = [job for job in jobs if job.key not in current]
            line = f"{what}: {len(jobs) - len(missing)} of {len(jobs)} jobs{of_earlier_code(jobs, records)}"
            if missing:
                line += f"; the others take {_about(expected(missing, store))}, on one core"
            yield line


def of_earlier_code(jobs, records):
    """Words for the jobs whose record has the key of other code or libraries; "" where there are none.

    Parameters
    ----------
    jobs : iterable of Job
    records : iterable of dict
        Finished ones, those of other data and protocols among them.
    """
    records = list(records)
    current = {record["key"] for record in records}
    done = {_what(r["method"], r["dataset"], r["protocol"], r["axes"], r["seed"]) for r in records}
    earlier = sum(
        job.key not in current
        and _what(job.method, job.dataset["name"], job.protocol["name"], job.axes, job.seed) in done
        for job in jobs
    )
    return f", {earlier} more of earlier code (python -m experiments.rekey)" if earlier else ""


def _what(method, dataset, protocol, axes, seed):
    return method, dataset, protocol, str(axes), seed


def forecast(jobs, todo, store):
    """What a run would compute, and for about how long, in words.

    Parameters
    ----------
    jobs, todo : list of Job
        All, and those that are not on record.
    store : Store
    """
    earlier = of_earlier_code(jobs, store.finished())
    lines = [f"{len(jobs)} jobs, {len(jobs) - len(todo)} on record{earlier}, {len(todo)} would be computed."]
    taken = list(zip(todo, expected(todo, store), strict=True))
    for label in dict.fromkeys(job.label for job in todo):
        its = [seconds for job, seconds in taken if job.label == label]
        lines.append(f"  {label}: {len(its)} jobs, {_about(its)}")
    if any(seconds is not None for _, seconds in taken):
        lines.append(f"In all {_about([seconds for _, seconds in taken])}, on one core.")
    return "\n".join(lines)


def _about(seconds):
    """How long jobs would take together, in words; None for one that is like none on record."""
    known = [value for value in seconds if value is not None]
    unknown = len(seconds) - len(known)
    if not known:
        return "like none on record"
    return f"about {duration(sum(known))}" + (f" and {unknown} jobs that are like none on record" if unknown else "")
