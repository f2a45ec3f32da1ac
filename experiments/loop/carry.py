"""Records of earlier code under the keys of today's: which job each would be now, and whether it comes out the same."""

import functools
import inspect
import json
import math
from pkgutil import resolve_name
from typing import NamedTuple

import numpy as np

from datasets.base import content_hash

from . import command_line, config
from .archive import single
from .job import RECORD_FORMAT, Job, check_method, load_dataset, module_of
from .provenance import code_version


class NotMapped(ValueError):
    """There is no job of today that a record could be of."""


class Old(NamedTuple):
    """A finished record and the job that it would be now."""

    record: dict
    job: Job
    dropped: str  # settings that there are no more, with their values: they can only be judged together
    added: str  # settings that there were not, which now have the value of today's configuration


def today_of(record, settings):
    """The `Old` of a record.

    Parameters
    ----------
    record : dict
        Of `Store`, finished.
    settings : callable
        ``settings(record)`` returns today's resolved configuration of the experiment, data set and protocol that the
        record names, with its method among ``methods`` where conf/ has it (`config.today`).

    Raises
    ------
    NotMapped
        In one sentence, with what is missing.
    """
    if record["format"] != RECORD_FORMAT:
        raise NotMapped(f"Its format is {record['format']}, today's {RECORD_FORMAT}: what a record means has changed.")
    now = settings(record)
    axes = now["experiment"].get("axes") or {}
    if set(record["axes"]) - {"peer"} != set(axes) - {"peer"}:
        raise NotMapped(f"Its axes are {', '.join(record['axes'])}, today's {', '.join(axes)}.")
    dataset, loader = record["dataset_config"], now["dataset"]["loader"]["_target_"]
    if now["dataset"]["name"] == record["dataset"] or loader == dataset["loader"]["_target_"]:  # else not ours
        dataset, *_ = _into(now["dataset"], dataset)
    protocol, gone, new = _into(now["protocol"], record["protocol_config"], "protocol.")
    where = f"methods.{record['method']}."
    method, gone_too, new_too = _into(now["methods"].get(record["method"]), record["method_config"], where)
    try:
        taken = inspect.signature(resolve_name(method["_target_"])).parameters
        for name in record["method_config"].keys() - method.keys():
            if name.startswith("_") or name in taken:  # given beside those of the yaml
                method[name] = record["method_config"][name]
                gone_too = [said for said in gone_too if not said.startswith(f"{where}{name}=")]
        check_method(record["method"], method)
        digest = _hash_of_data(json.dumps(dataset))
    except Exception as error:  # a class or file that is gone, data that cannot be read
        raise NotMapped(" ".join(str(error).split()) or type(error).__name__) from error
    if digest != record["dataset_hash"]:
        raise NotMapped(f"The data called {record['dataset']} are no longer those it was computed from.")
    job = Job(
        experiment=record["experiment"],
        module=now["experiment"]["module"],
        dataset=dataset,
        dataset_hash=digest,
        method=record["method"],
        config=method,
        protocol=protocol,
        axes=record["axes"],
        seed=record["seed"],
    ).with_key()
    return Old(record, job, ", ".join(sorted(gone + gone_too)), ", ".join(sorted(new + new_too)))


def settings_of(record, folder=None):
    """Today's settings of what a record names, for `today_of`; ``folder`` has configuration of the user's own."""
    try:
        return config.today(record["experiment"], record["dataset"], record["protocol"], record["method"], folder)
    except (*config.ERRORS, ValueError) as error:
        raise NotMapped(command_line.explain(error)) from error


def name_of(record):
    """The job of a record as people read it."""
    values = [record["experiment"], record["dataset"], record["protocol"], record["label"], *record["axes"].values()]
    return ", ".join(map(str, [*values, f"seed {record['seed']}"]))


def _into(now, before, where=""):
    """The settings ``before`` in the shape of today's, and in words what there is no more and what there was not.

    A value that both have is that of before; a class or function (``_target_``) is today's, as it may have moved.
    """
    if now is None:
        return before, [], []
    merged, gone, new = {}, [], [f"{where}{name}" for name in now.keys() - before.keys() if not name.startswith("_")]
    for name, value in before.items():
        if name not in now:
            gone += [] if name.startswith("_") else [f"{where}{name}={value!r}"]
        elif isinstance(value, dict) and isinstance(now[name], dict) and now[name]:
            merged[name], less, more = _into(now[name], value, f"{where}{name}.")
            gone, new = gone + less, new + more
        else:
            merged[name] = now[name] if name == "_target_" else value
    return {name: merged.get(name, now[name]) for name in now}, gone, new


def differences(before, after, arrays_before, arrays_after, tolerance=0.0):
    """What two records of one job differ in, one phrase for each score, fact and array; nothing where they are equal.

    Scores and facts are equal to the last digit, arrays within it (one unit in the last place). With ``tolerance``
    numbers may differ by that share of the larger (of an array: of its largest value). Of a record that was in an
    archive those arrays are compared that were kept there, in single precision.
    """
    if after is None or after["status"] != "done":
        return [f"not computed again ({after['reason'] if after else 'it left no record'})"]
    if before.get("packed"):
        arrays_after = {name: single(array) for name, array in arrays_after.items() if name in arrays_before}
    found = []
    for part in ("scores", "facts"):
        for name in sorted(before[part].keys() | after[part].keys()):
            old, new = before[part].get(name), after[part].get(name)
            if not _same(old, new, tolerance):
                found.append(f"{name} {old} → {new}")
    for name in sorted(arrays_before.keys() | arrays_after.keys()):
        old, new = arrays_before.get(name), arrays_after.get(name)
        if old is None or new is None or old.shape != new.shape or old.dtype.kind != new.dtype.kind:
            found.append(f"the array {name} has another form")
        elif old.dtype.kind != "f":
            found += [] if np.array_equal(old, new) else [f"the array {name}"]
        else:
            scale = np.maximum(np.abs(old), np.abs(new))
            largest = np.max(scale, where=np.isfinite(scale), initial=0.0)
            with np.errstate(invalid="ignore"):  # of infinities
                apart = np.where((old == new) | (np.isnan(old) & np.isnan(new)), 0, np.abs(old - new))
                close = apart <= np.maximum(np.spacing(scale), tolerance * largest)
            if not (close | (apart == 0)).all():
                found.append(f"the array {name} by {apart.max():.2g}")
    return found


def _same(old, new, tolerance):
    if isinstance(old, float) and isinstance(new, float):
        return old == new or (old != old and new != new) or (tolerance and math.isclose(old, new, rel_tol=tolerance))
    return type(old) is type(new) and old == new


def carry(store, old, sample, tolerance=0.0, base=None):
    """Write the record of ``old`` under the key of today's job, with where it comes from and what was compared.

    ``base`` is the commit whose code was run beside today's, where the record is of another kind of machine.
    """
    record, job = old.record, old.job
    carried = {
        "key": record["key"],
        "code": {name: record[name] for name in ("method_code", "experiment_code")},
        "commit": record["git_commit"],
        "sample": sample,
        "tolerance": tolerance,
        "base": base,
    }
    now = {
        "key": job.key,
        "module": job.module,
        "dataset_config": job.dataset,
        "method_config": job.config,
        "protocol_config": job.protocol,
        "method_code": code_version(module_of(job.config["_target_"])),
        "experiment_code": code_version(job.module, "evaluate"),
        "carried_from": carried,
    }
    store.write(record | now, store.arrays(record))


@functools.cache
def _hash_of_data(dataset):
    return content_hash(load_dataset(json.loads(dataset)))
