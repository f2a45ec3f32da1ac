"""The two protocols as lists of choices: what the paper's text says, what the authors' code did (conf/protocol/)."""

from typing import NamedTuple

import yaml
from omegaconf import OmegaConf

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


def _path(protocol):
    return ROOT / "conf" / "protocol" / f"{protocol}.yaml"
