"""One job: (experiment, dataset, method, protocol, axes, seed), computed and recorded in a process of its own."""

import dataclasses
import datetime
import hashlib
import importlib
import inspect
import json
import math
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from datasets.io.select import subsample

from .declared import check_found
from .digest import key_of
from .outcome import check_outcome, convergence_of, plain, why
from .provenance import code_version, git_commit, machine, versions
from .settings import called, check_values
from .store import Store

RECORD_FORMAT = 1  # raised when the meaning of a record changes: old records are then computed again
ABOUT = {"_target_", "_label_", "_role_", "_note_", "_resources_"}  # keys of a method that are no parameters


class Seeds(NamedTuple):
    """Seeds hashed from the axes of a job: split and corruption never depend on the method."""

    split: int
    corruption: int
    fit: int


@dataclasses.dataclass(frozen=True)
class Job:
    """What is computed once: plain values only, so that it travels to another process or machine."""

    experiment: str
    module: str  # of the experiment, with evaluate()
    dataset: dict  # resolved conf/dataset block
    dataset_hash: str
    method: str  # its name in this run
    config: dict  # resolved conf/method block
    protocol: dict
    axes: dict
    seed: int
    key: str = ""

    @property
    def label(self):
        return self.config.get("_label_", self.method)

    @property
    def role(self):
        return self.config.get("_role_", "method")

    @property
    def parameters(self):
        """Constructor arguments of the method: the keys that do not start with an underscore."""
        return {name: value for name, value in self.config.items() if not name.startswith("_")}

    @property
    def seeds(self):
        def draw(*axes):
            return int.from_bytes(hashlib.sha256(json.dumps(axes).encode()).digest()[:4], "big") >> 1

        name = self.dataset["name"]
        return Seeds(
            split=draw("split", name, self.seed),
            corruption=draw("corruption", name, self.axes, self.seed),
            fit=draw("fit", name, self.axes, self.seed),
        )

    def with_key(self):
        """The same job with its key: a hash of all that its result depends on."""
        return dataclasses.replace(self, key=key_of(_settings(self) | _code(self)))


def module_of(target):
    """The module that defines the class ``target`` (a package may only re-export it)."""
    return resolve_name(target).__module__


def check_method(name, config):
    """Raise ValueError in one sentence where the class of a method does not exist or a parameter will not do."""
    target = config.get("_target_")
    if not target:
        raise ValueError(f"methods.{name} has no _target_: name its class, e.g. _target_: baselines.fa.FA.")
    try:
        cls = called(target)
    except ValueError as error:
        raise ValueError(f"methods.{name}: the class {target} cannot be imported ({error}).") from error
    if inspect.isabstract(cls):
        raise ValueError(f"methods.{name}: {target} has no {', '.join(sorted(cls.__abstractmethods__))}(): define it.")
    parameters = {key: value for key, value in config.items() if not key.startswith("_")}
    for key in config.keys() - parameters.keys() - ABOUT:
        raise ValueError(f"methods.{name}.{key} says nothing of a method; there are {', '.join(sorted(ABOUT))}.")
    if (role := config.get("_role_", "method")) not in ("method", "control"):
        raise ValueError(f"methods.{name}._role_={role!r} is not known: write control, or leave it out.")
    check_values(f"methods.{name}", cls, parameters)
    if hasattr(cls, "check_parameters"):
        try:
            cls(**parameters).check_parameters()
        except Exception as error:
            raise ValueError(f"methods.{name}: {error}") from error


def load_dataset(config):
    """The AnnData that a resolved conf/dataset block describes, with a contract check by the loader."""
    try:
        arguments = dict(config["loader"])
        load = called(arguments.pop("_target_"))  # hydra's instantiate would wrap the loader's sentence
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"dataset.loader._target_ does not name a function that reads data ({error}).") from error
    check_values("dataset.loader", load, arguments)
    adata = load(**arguments)
    return subsample(adata, config["max_cells"]) if config.get("max_cells") else adata


def run(job, results_dir, threads):
    """Compute ``job`` and write its record, whatever happens; called in the job's own process."""
    started = time.perf_counter()
    results_dir = Path(results_dir).absolute()  # a method may go to another folder
    outcome = {"status": "failed", "reason": "", "scores": {}, "facts": {}}
    arrays, details = {}, {"seconds": {}}
    try:
        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "scVI has not converged")  # it is in the record, and said in the end
            if "torch" in sys.modules:
                sys.modules["torch"].set_num_threads(threads)
            arrays = _evaluate(job, outcome, details)
    except BaseException as error:  # sys.exit() of a method, too, costs its own row and no other
        outcome["status"] = "skipped" if getattr(error, "skip", False) else "failed"
        outcome["reason"] = why(error)
        if outcome["status"] == "failed":
            details["traceback"] = traceback.format_exc()
    details["seconds"]["total"] = time.perf_counter() - started
    details["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record = describe(job, threads=threads) | outcome | details
    Store(results_dir, job.experiment).write(record, arrays)


def _evaluate(job, outcome, details):
    experiment = importlib.import_module(job.module)
    cls = resolve_name(job.config["_target_"])
    if not hasattr(cls, experiment.REQUIRES):
        outcome.update(status="skipped", reason=f"{job.label} has no {experiment.REQUIRES}()")
        return {}
    parameters = dict(job.parameters)
    if "random_state" in inspect.signature(cls).parameters:
        parameters.setdefault("random_state", job.seeds.fit)
    method = cls(**parameters)
    adata = load_dataset(job.dataset)
    details["dataset_source"] = json.loads(json.dumps(adata.uns["source"], default=plain))
    clock = time.perf_counter()
    returned = experiment.evaluate(method, adata, job.protocol, job.seeds, **job.axes)
    details["seconds"]["evaluate"] = time.perf_counter() - clock
    details["fitted"] = {name: getattr(method, name) for name in ("engine_", "device_") if hasattr(method, name)}
    details["convergence"] = convergence_of(method)
    scores, arrays, facts = check_outcome(job.module, returned)
    check_found(experiment, scores)
    broken = [name for name, value in scores.items() if not math.isfinite(value)]
    outcome.update(scores=scores, facts=facts)
    if broken:
        outcome["reason"] = f"the score {', '.join(broken)} is {scores[broken[0]]}"
    else:
        outcome["status"] = "done"
    return arrays


def failure(job, threads, status, reason, log="", seconds=0.0, peak_memory_mb=0.0):
    """The record of a job that could not write its own."""
    outcome = {"status": status, "reason": reason, "scores": {}, "facts": {}, "seconds": {"total": seconds}}
    return describe(job, threads) | outcome | {"traceback": log[-4000:], "peak_memory_mb": peak_memory_mb, "arrays": {}}


def describe(job, threads):
    """The part of a record that does not depend on how the computation went."""
    made = {
        "threads": threads,
        "versions": versions(),
        "machine": machine(),
        "r_session": _r_session(),
        "git_commit": git_commit(),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "process": os.getpid(),
    }
    return {"key": job.key} | _settings(job) | _code(job) | made


def _settings(job):
    return {
        "format": RECORD_FORMAT,
        "experiment": job.experiment,
        "module": job.module,
        "dataset": job.dataset["name"],
        "dataset_hash": job.dataset_hash,
        "dataset_config": job.dataset,
        "method": job.method,
        "label": job.label,
        "role": job.role,
        "method_config": job.config,
        "protocol": job.protocol["name"],
        "protocol_config": job.protocol,
        "axes": job.axes,
        "seed": job.seed,
        "seeds": job.seeds._asdict(),
    }


def _code(job):
    """Versions of the code that computes it."""
    method = code_version(module_of(job.config["_target_"]))
    return {"method_code": method, "experiment_code": code_version(job.module, "evaluate")}


def _r_session():
    """R's version and packages where this process has used R."""
    bridge = sys.modules.get("r_env.bridge")
    return bridge.session() if bridge else None
