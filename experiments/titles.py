"""What data sets, experiments and their settings are called where people read them; the words stand in conf/.

Files, records and tables have short names (``standin_retina``, ``comparison: CD``); figures and pages ask here. What
conf/ does not know, as a file or an experiment of the user's own, is called by its name.
"""

import contextlib
import functools

import yaml

from .loop.paths import ROOT
from .tasks.groups import AGAINST

AXES = {  # axis of an experiment -> its value in words
    "corruption": "{} corruption",
    "counts": "{} counts",
    "share_seen": "{} of the molecules seen",
    "n_train_cells": "{} training cells",
    "n_cells": "{} cells",
    "n_genes": "{} genes",
    "n_latent": "{} latent dimensions",
    "lam": "λ = {}",
}


def data(name):
    """A data set by the name that records have: "Baron pancreas, in place of RETINA" for ``standin_retina``."""
    return _blocks("dataset").get(name, {}).get("title", name)


def experiment(name):
    """An experiment by its name: "differential expression" for ``differential``."""
    return _blocks("exp").get(name, {}).get("title", name)


def protocol(name):
    """A protocol by its name: "as written" for ``as_written``."""
    return name.replace("_", " ")


def setting(dataset, axis, value):
    """The value of an axis of an experiment: "1,000 training cells", "CD4 against CD8 T cells"; value may be text."""
    value = str(value)
    words = _blocks("dataset").get(dataset, {}).get("titles", {}).get(axis, {}).get(value)
    if words:
        return words
    if (axis, value) == ("lam", "all"):  # data without parts
        return ""
    if axis == "comparison" and AGAINST in value:  # of two types that it names
        return value
    return AXES.get(axis, f"{axis} {{}}").format(f"{int(value):,}" if value.isdecimal() else value)


@functools.cache
def _blocks(group):
    """{name: block} of what the files of conf/<group>/ describe."""
    blocks = {}
    for file in sorted((ROOT / "conf" / group).rglob("*.yaml")):
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError, TypeError, KeyError):  # of one being written
            block = yaml.safe_load(file.read_text(encoding="utf-8"))
            block = block["experiment"] if group == "exp" else block
            blocks[block["name"]] = block
    return blocks
