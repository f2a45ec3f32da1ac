"""The two protocols as lists of choices: what the paper's text says, what the authors' code did (conf/protocol/)."""

import contextlib
import math
from numbers import Real
from typing import NamedTuple

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .provenance import ROOT

WRITTEN, RUN = "as_written", "as_run"


class Choice(NamedTuple):
    """One choice of a protocol: a leaf of its yaml or, where the comment stands beside a block's name, that block."""

    value: str
    comment: str


def choices(protocol):
    """{key: Choice} of conf/protocol/<protocol>.yaml; a block with a comment beside its name is one choice."""
    text = _path(protocol).read_text()
    lines = text.splitlines()

    def comment(node):
        return lines[node.start_mark.line].partition("#")[2].strip()

    def leaves(node, key):
        for name, value in node.value:
            below = f"{key}{name.value}"
            if not isinstance(value, yaml.MappingNode):
                yield below, Choice(value.value or "null", comment(name))
            elif comment(name):
                inner = ", ".join(f"{k}: {c.value}" for k, c in leaves(value, ""))
                yield below, Choice(inner, comment(name))
            else:
                yield from leaves(value, f"{below}.")

    return {key: choice for key, choice in leaves(yaml.compose(text), "") if key != "name"}


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
        value = block
        for part in key.split("."):
            value = value[part]
        OmegaConf.update(config.protocol, key, value, merge=False)


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
