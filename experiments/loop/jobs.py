"""The jobs of a run: which there are, and how long they would take by those that are on record."""

import itertools
import statistics
from collections import defaultdict

from .job import Job


def enumerate_jobs(config, dataset_hash):
    """Every job of a resolved configuration, in the order of its tables: axes, methods, seeds."""
    experiment = config["experiment"]
    axes = experiment.get("axes") or {}
    return [
        Job(
            experiment=experiment["name"],
            module=experiment["module"],
            dataset=config["dataset"],
            dataset_hash=dataset_hash,
            method=method,
            config=parameters,
            protocol=config["protocol"],
            axes=dict(zip(axes, values, strict=True)),
            seed=seed,
        ).with_key()
        for values in itertools.product(*axes.values())
        for method, parameters in config["methods"].items()
        for seed in config["seeds"]
    ]


def expected(jobs, store):
    """Seconds that each job would take, or None where no finished job of its method is on record.

    The median of the finished jobs of the same method on the same data at the same setting, whatever the seed, the
    protocol and the version of the code; else on the same data; else on any.
    """
    taken = defaultdict(list)
    for record in store.finished():
        for kind in _kinds(record["method"], record["dataset"], record["axes"]):
            taken[kind].append(record["seconds"]["total"])
    medians = {kind: statistics.median(seconds) for kind, seconds in taken.items()}
    return [
        next((medians[kind] for kind in _kinds(job.method, job.dataset["name"], job.axes) if kind in medians), None)
        for job in jobs
    ]


def _kinds(method, dataset, axes):
    return (method, dataset, tuple(sorted(map(str, axes.items())))), (method, dataset), (method,)
