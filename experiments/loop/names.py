"""How the files of a run are called: after the experiment, the data, the protocol and what else was changed."""

import contextlib
import hashlib
import re
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode

from .provenance import ROOT

IN_THE_STEM = ("exp=", "dataset=", "protocol=", "results_dir=")  # without a tag
TAGGED = ("methods.", "methods=", "protocol.", "dataset.", "scale=", "scale.", "flip=")
ANNOTATIONS = ("label_key", "batch_key", "protein_key", "obs_columns", "var_columns", "comparisons", "annotations")
UNTAGGED = tuple(f"dataset.{key}=" for key in ("path", "name", "download", *ANNOTATIONS))  # where things are
LONGEST = 120  # bytes of the tag in a file name


def name_of_file(path):
    """What records and tables call a file of the user's own: never by the name of a data set of the suite."""
    name, names = Path(path).stem, {file.stem for file in (ROOT / "conf" / "dataset").rglob("*.yaml")}
    return f"own_{name}" if name.removeprefix("standin_") in names or name.startswith("own_") else name


def tag_of_overrides():
    """Overrides that change numbers, as a part of file names, so that the jobs of a sweep do not share a table."""
    is_sweep, fixed = HydraConfig.get().mode == RunMode.MULTIRUN, _fixed()
    changes = []
    for override in HydraConfig.get().overrides.task:
        change = override.lstrip("+")
        if "._resources_" in change or change.startswith(IN_THE_STEM):
            continue
        is_swept = is_sweep and change.split("=")[0] not in fixed
        if is_swept or (change.startswith(TAGGED) and not change.startswith(UNTAGGED)):
            changes.append(change)
    return short(as_file_name("_".join(sorted(changes)).replace(" ", "")))


def _fixed():
    """Keys that the command line gives one value: what else a sweep has set may differ between its jobs."""
    keys = set()
    for word in sys.argv[1:]:
        with contextlib.suppress(HydraException):  # a path after an option, say
            if not OverridesParser.create().parse_override(word).is_sweep_override():
                keys.add(word.lstrip("+").split("=")[0])
    return keys


def short(tag):
    """A tag that leaves file names below the 255 bytes that they may have: where it is longer, cut, with a hash."""
    if len(tag.encode()) <= LONGEST:
        return tag
    return f"{tag.encode()[:LONGEST].decode(errors='ignore')}-{hashlib.sha256(tag.encode()).hexdigest()[:8]}"


def as_file_name(text):
    """Text that may hold the names of a user's labels or paths, as a part of a file name."""
    return re.sub(r"[/\\\x00-\x1f]", "-", text)
