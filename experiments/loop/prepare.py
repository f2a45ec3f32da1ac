"""From resolved settings to jobs: everything is checked and the data are read, nothing is computed."""

import importlib
from typing import NamedTuple

from datasets.base import content_hash

from .job import check_method, load_dataset
from .jobs import enumerate_jobs
from .registry import register
from .settings import check_file_names


class Prepared(NamedTuple):
    """A run that can begin."""

    config: dict  # the settings, with the axes that depend on the data
    source: dict  # of the data: name, origin, steps
    jobs: list  # of job.Job


def check(config):
    """Refuse a run with a score that nobody described, or with a name that no file can have; reads no data."""
    register(importlib.import_module(config["experiment"]["module"]))
    check_file_names(config)


def prepare(config):
    """The `Prepared` run of one resolved and checked configuration; says which data it is about.

    Raises
    ------
    ValueError, OSError
        In one sentence, where a setting will not do or data cannot be read.
    """
    experiment = config["experiment"]
    module = importlib.import_module(experiment["module"])
    if hasattr(module, "prepare"):  # what an experiment needs beside data and methods; it returns further axes
        experiment = experiment | {"axes": experiment["axes"] | module.prepare(config)}
        config = config | {"experiment": experiment}
    for name, method in config["methods"].items():
        check_method(name, method)
    adata = load_dataset(config["dataset"])
    source = adata.uns["source"]
    print(f"Data: {source['name']}, {adata.n_obs} cells × {adata.n_vars} genes. {source['origin']}")
    if hasattr(module, "settle"):  # axes that depend on the data; it says what of them cannot be scored
        experiment = experiment | {"axes": module.settle(config, adata)}
        config = config | {"experiment": experiment}
    jobs = enumerate_jobs(config, content_hash(adata))
    if not jobs:
        raise ValueError("There is nothing to run: seeds, methods or an axis of the experiment is empty.")
    return Prepared(config, source, jobs)
