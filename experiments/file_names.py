"""How the files of a run are called: after the experiment, the data, the protocol and what else was changed."""

import hashlib
import re
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from .provenance import ROOT

TAGGED = ("methods.", "methods=", "protocol.", "dataset.", "scale=", "flip=")
ANNOTATIONS = ("label_key", "batch_key", "protein_key", "obs_columns", "var_columns", "comparisons", "annotations")
UNTAGGED = tuple(f"dataset.{key}=" for key in ("path", "name", "download", *ANNOTATIONS))  # where things are
LONGEST = 120  # bytes of the tag in a file name


def name_of_file(path):
    """What records and tables call a file of the user's own: never by the name of a data set of the suite."""
    name, names = Path(path).stem, {file.stem for file in (ROOT / "conf" / "dataset").rglob("*.yaml")}
    return f"own_{name}" if name.removeprefix("standin_") in names else name


def tag_of_overrides():
    """Overrides that change numbers, as a part of file names, so that the jobs of a sweep do not share a table."""
    given = OverridesParser.create().parse_overrides([word for word in sys.argv[1:] if re.match(r"[^-][^=]*=", word)])
    swept = tuple(f"{override.key_or_group}=" for override in given if override.is_sweep_override())
    changes = [override.lstrip("+") for override in HydraConfig.get().overrides.task]
    changes = [change for change in changes if change.startswith(TAGGED) and "._resources_" not in change]
    changes = [change for change in changes if change.startswith(swept) or not change.startswith(UNTAGGED)]
    return short(as_file_name("_".join(sorted(changes)).replace(" ", "")))


def short(tag):
    """A tag that leaves file names below the 255 bytes that they may have: where it is longer, cut, with a hash."""
    if len(tag.encode()) <= LONGEST:
        return tag
    return f"{tag.encode()[:LONGEST].decode(errors='ignore')}-{hashlib.sha256(tag.encode()).hexdigest()[:8]}"


def as_file_name(text):
    """Text that may hold the names of a user's labels or paths, as a part of a file name."""
    return re.sub(r"[/\\\x00-\x1f]", "-", text)
