"""The two protocols as lists of choices: what the paper's text says, what the authors' code did (conf/protocol/)."""

import contextlib
import functools
import math
import re
from numbers import Real
from typing import NamedTuple

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .paths import ROOT

WRITTEN, RUN = "as_written", "as_run"
EVERY = "other data sets of the paper"  # of paper/data_sets.yaml
REPLACEABLE = re.compile(r"\$\{(?:oc\.select:[\w.]+|paper:\w+,[\w.]+),(.*)\}")  # by a scale, or by a data set


class Choice(NamedTuple):
    """One choice of a protocol, a leaf of its yaml or a block: its value as text, and where it is from."""

    value: str
    source: str
    data_sets: list  # (data set, value, source) where that is another one


def of_the_paper(protocol, key, otherwise, *, _root_):
    """``${paper:PROTOCOL,KEY,OTHERWISE}``: what the paper chose for the data set of the run, or ``otherwise``."""
    experiment = OmegaConf.select(_root_, "experiment.name")
    for entry in _entries(OmegaConf.select(_root_, "dataset")):
        for side in (protocol, "both"):
            for name in (f"{key} in {experiment}", key):
                if name in entry.get(side, {}):
                    return entry[side][name]["value"]
    return otherwise


OmegaConf.register_new_resolver("paper", of_the_paper, replace=True)


def tuned(key, otherwise, *, _root_):
    """``${tuned:KEY,OTHERWISE}``: a setting of scVI that the authors tuned to the data of the run, or ``otherwise``."""
    dataset = OmegaConf.select(_root_, "dataset")
    _entries(dataset)  # refuses a name that the paper does not have
    return _paper("tuned").get(_called(dataset), {}).get(key, otherwise)


OmegaConf.register_new_resolver("tuned", tuned, replace=True)


def _called(dataset):
    """What a data set is called in the paper, or one that it is to be treated as."""
    return str(dataset.get("treated_as") or dataset.get("published_as"))


def _entries(dataset):
    """The blocks of paper/data_sets.yaml that a data set takes its values from, its own first."""
    table, treated_as = dict(_paper("data_sets")), dataset.get("treated_as")
    every = table.pop(EVERY)
    if treated_as is not None and str(treated_as) not in table:
        raise ValueError(f"dataset.treated_as={treated_as} is no data set of the paper: choose {', '.join(table)}.")
    name = _called(dataset)
    return [table[name], every] if name in table else []


def choices(protocol):
    """{key: Choice} of conf/protocol/<protocol>.yaml; the keys are those of paper/sources.yaml."""
    block = yaml.safe_load(_path(protocol).read_text())
    return {
        key: Choice(_text(_at(block, key)), sources.get(protocol, ""), list(_of_data_sets(protocol, key)))
        for key, sources in _paper("sources").items()
    }


def _of_data_sets(protocol, choice):
    for name, entry in _paper("data_sets").items():
        for side in ("both", protocol):
            for key, chosen in entry.get(side, {}).items():
                if re.split("[ .]", key)[: choice.count(".") + 1] == choice.split("."):
                    part = key[len(choice) :].strip(" .")  # "in imputation", or "train" of the choice "split"
                    yield name, f"{part}: " * bool(part) + _text(chosen["value"]), chosen["source"]


def _text(value):
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(inner)}" for key, inner in value.items()) or "{}"
    if isinstance(value, str):
        while inner := REPLACEABLE.fullmatch(value):
            value = inner[1]
        return value
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def _at(block, key):
    return functools.reduce(lambda inner, part: inner[part], key.split("."), block)


@functools.cache
def _paper(name):
    return yaml.safe_load(_path(f"paper/{name}").read_text())


def flip(config):
    """Take the choices that ``config.flip`` names from the other protocol; what interpolates them follows."""
    if not config.flip:
        return
    if not isinstance(config.flip, ListConfig):
        raise ValueError(f"flip={config.flip}: give a list of choices, e.g. flip=[scvi.init].")
    other = RUN if config.protocol.name == WRITTEN else WRITTEN
    known = choices(other)
    block = OmegaConf.to_container(OmegaConf.load(_path(other)), resolve=False)
    for key in config.flip:
        if key not in known:
            raise ValueError(f"flip={key}: conf/protocol/{other}.yaml has no such choice; it has: {', '.join(known)}.")
        OmegaConf.update(config.protocol, key, _at(block, key), merge=False)


def check(config):
    """Raise ValueError where ``config.protocol`` lacks a choice, or has made one that is neither side's.

    What is a word in conf/protocol/ must be a word of one side, what is a number or a list any such, a switch a switch:
    a misspelt word would otherwise pass for the other side.
    """
    sides = []
    for name in (WRITTEN, RUN):
        other = config.copy()
        OmegaConf.set_struct(other, False)
        other.protocol = OmegaConf.load(_path(name))
        sides.append(_values(other.protocol))
    made = _values(config.protocol)
    for key in [key for key in sides[0] if key in sides[1] and key != "name"]:
        known = [side[key] for side in sides]
        if key not in made or not _of_a_kind(made[key], known):
            there = " or ".join(dict.fromkeys("a block" if isinstance(k, DictConfig) else repr(k) for k in known))
            said = f"={made[key]!r} is not known" if key in made else " is missing"
            raise ValueError(f"protocol.{key}{said}: conf/protocol/ has {there}.")


def _values(block, key=""):
    """{key: value} of a block and of all that is in it, but for what the data set of this run does not fill in."""
    found = {}
    for name in block:
        with contextlib.suppress(OmegaConfBaseException):
            value = found[f"{key}{name}"] = block[name]
            if isinstance(value, DictConfig):
                found |= _values(value, f"{key}{name}.")
    return found


def _of_a_kind(value, known):
    def number(x):
        return isinstance(x, Real) and not isinstance(x, bool) and math.isfinite(x)

    for kind in (DictConfig, (ListConfig, list)):  # the default of an interpolation stays a plain list
        if any(isinstance(k, kind) for k in known):
            return isinstance(value, kind)
    if any(map(number, known)) and number(value):
        return True
    return any(value == k and type(value) is type(k) for k in known)


def _path(protocol):
    return ROOT / "conf" / "protocol" / f"{protocol}.yaml"
