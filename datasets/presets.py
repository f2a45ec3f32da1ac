"""The folder ``conf/dataset`` is the list of datasets: what they are called, and how each is loaded."""

import importlib
import re
from functools import reduce
from operator import getitem
from pathlib import Path

import yaml

from .base import InvalidDataset
from .io.fetch import data_folder

CONF = Path(__file__).resolve().parents[1] / "conf" / "dataset"


def names():
    """Names of all presets, ``standin/...`` among them."""
    return sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml"))


def preset(name, data_dir=None, **overrides):
    """The resolved block of ``conf/dataset/NAME.yaml`` as a dict, with top-level keys replaced by ``overrides``."""
    path = CONF / f"{name}.yaml"
    if not path.is_file():
        raise InvalidDataset(f"There is no dataset {name!r}; there are: {', '.join(names())}.")
    block = yaml.safe_load(path.read_text())
    unknown = sorted(set(overrides) - set(block))
    if unknown:
        raise InvalidDataset(f"The dataset {name!r} has no setting {unknown[0]!r}; it has: {', '.join(block)}.")
    block |= overrides
    return _resolved(block, {"dataset": block, "data_dir": str(data_folder(data_dir))})


def _resolved(value, config):
    """``value`` with what it takes from elsewhere, e.g. ``${dataset.path}``, put in, as Hydra does it for a run."""
    if isinstance(value, dict):
        return {key: _resolved(inner, config) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, config) for inner in value]
    while isinstance(value, str) and (reference := re.search(r"\$\{([\w.]+)\}", value)):
        there = _resolved(reduce(getitem, reference[1].split("."), config), config)
        value = there if reference[0] == value else value.replace(reference[0], str(there))
    return value


def load(name, data_dir=None, **overrides):
    """Load a dataset by its name, e.g. ``load("cortex", n_genes=100)``; returns an AnnData."""
    arguments = preset(name, data_dir, **overrides)["loader"]
    module, _, function = arguments.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), function)(**arguments)
