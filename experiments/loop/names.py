"""What the files of a run are called: after the plain run of its yaml files, and what it has otherwise.

The plain run of an experiment is the one that conf/ describes, with no setting changed. Its files are named after the
experiment, the data set and the protocol: ``imputation_cortex_as_written``. Any other run adds each value of its
resolved configuration that is another one: ``imputation_cortex_as_written_seeds=0,without=pca``. So a part of a run
never takes the place of the whole, two sweeps meet where they compute the same, and what only repeats the default adds
nothing.

Names are relative to the yaml files and hold no hash of the whole configuration: that would change with every parameter
that some method gains, and leave last month's table beside today's with nothing to tell them apart. A hash stands where
words cannot do it: for the bytes of a user's own file, for what may not be in a file name, for what is too long.
"""

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from datasets.base import sha256_of

from .paths import ROOT

ASIDE = ("executor", "data_dir", "results_dir", "fresh", "dry_run", "peers")  # where and how it is computed, not what
UNSAID = {
    ("scale", "seeds"),
    ("dataset", "path"),
    ("dataset", "download"),
}  # said by seeds, and by the file
UNSAID |= {(block, "name") for block in ("experiment", "dataset", "protocol")}  # they open the name
ABOUT = {"_resources_", "_note_"}  # of a method: no number depends on them
SAFE = re.compile(r"[\w.-]+")
LONGEST, LONGEST_FIGURE = 150, 80  # bytes of the 255 of a file name, which has an ending and a temporary name as well
NOWHERE = object()


class Change(NamedTuple):
    """One value that a run has otherwise than the plain one."""

    word: str
    alters: bool = True  # whether jobs of the plain run come out otherwise; if not, there are more or fewer of them


def changes(run, plain, own_data=False):
    """What ``run`` has otherwise than ``plain``, as a list of `Change`.

    Parameters
    ----------
    run, plain : DictConfig
        As composed, with their interpolations: of values that follow each other the first alone is named.
    own_data : bool
        The data are a file of the user's own: how it is read is part of what the data are.
    """
    here, there = dict(_leaves(run)), dict(_leaves(plain))
    dropped = sorted(_methods(plain) - _methods(run)) if _methods(run) else []
    found = [_fewer(sorted(_methods(plain) & _methods(run)), dropped)] if dropped else []
    for path in filter(_said, here):
        value, default = _value(run, path), _value(plain, path)
        is_own = here[path] != there.get(path, NOWHERE) or path == ("seeds",)  # else it follows one that is named
        if is_own and _json(value) != _json(default):
            is_part = _is_part(path, value, default) or (own_data and path[0] == "dataset")
            found.append(Change(f"{_key(path)}={_text(path, value, default)}", alters=not is_part))
    for path in filter(_said, there.keys() - here.keys()):
        said = any(path[: len(other)] == other or other[: len(path)] == path for other in here)
        if not said and not (path[0] == "methods" and path[1] in dropped):
            found.append(Change(f"~{_key(path)}"))
    return sorted(found)


def _fewer(kept, dropped):
    """The methods that a run does without, or those it is left with where they are fewer."""
    word, methods = ("without", dropped) if len(dropped) <= len(kept) or not kept else ("only", kept)
    return Change(f"{word}={'+'.join(methods)}", alters=False)


def override(word):
    """The word of a `Change` as it is typed on the command line; None where it is no setting."""
    key, _, value = word.partition("=")
    parts = value.split("+")
    if key in ("data", "unfinished") or value == "missing":
        return None
    if key == "without":
        return " ".join(f"'~methods.{part}'" for part in parts)
    if key == "only":
        return f"'methods=[{','.join(parts)}]'"
    if key == "with":
        return f"+method@methods.{value}={value}"
    if key in ("seeds", "flip") or key.startswith("experiment.axes.") or len(parts) > 1:
        return f"'{key}=[{','.join(parts)}]'"
    return f"'{word}'" if set(word) & set('[]~{}" ') else word


def stem(names, found):
    """The name of the files of a run, without an ending: its experiment, data set and protocol, and its changes."""
    words = [",".join(change.word for change in found)] if found else []
    return as_file_name("_".join([*names, *words]), LONGEST)


def as_file_name(text, longest=LONGEST_FIGURE):
    """Text as a part of a file name; where that has to leave something out, a hash keeps it apart from others."""
    safe = re.sub(r"[^\w.+=,~ -]", "-", text)
    if safe == text and len(text.encode()) <= longest:
        return text
    return f"{safe.encode()[: longest - 9].decode(errors='ignore')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def data_word(source):
    """What tells a file from another of the same name: the start of its sha256, or of that of its parts."""
    digest = source["sha256"]
    digest = digest if isinstance(digest, str) else hashlib.sha256(_json(digest).encode()).hexdigest()
    return f"data={digest[:8]}"


def name_of_file(path):
    """What records and tables call a file of the user's own: never by the name of a data set of the suite."""
    name, names = Path(path).stem, {file.stem for file in (ROOT / "conf" / "dataset").rglob("*.yaml")}
    return f"own_{name}" if name.removeprefix("standin_") in names or name.startswith("own_") else name


def _methods(config):
    return set(config.methods) if isinstance(config.methods, DictConfig) else set()


def _said(path):
    return path[0] not in ASIDE and path not in UNSAID and not ABOUT.intersection(path)


def _is_part(path, value, default):
    """Whether a setting only chooses which jobs there are, of those of the plain run or beside them."""
    axis = path[:2] == ("experiment", "axes") and isinstance(value, list) and isinstance(default, list)
    return path == ("seeds",) or (axis and all(part in default for part in value))


def _text(path, value, default):
    """A value in a word that no other value has."""
    if path == ("dataset", "annotations") and Path(str(value)).is_file():
        return sha256_of(value)[:8]
    if isinstance(value, list) and isinstance(default, list) and value:
        parts = [_word(part) for part in value]
        return "+".join(sorted(parts) if path == ("flip",) else parts)
    return _word(value)


def _word(value):
    """As on the command line where nothing else reads so, else as JSON, whose quotes make `as_file_name` add a hash."""
    with contextlib.suppress(ValueError):
        json.loads(value if isinstance(value, str) else "")
        return _json(value)  # text that looks like a number
    return value if isinstance(value, str) and SAFE.fullmatch(value) else _json(value)


def _key(path):
    return ".".join(map(str, path))


def _json(value):
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _leaves(block, path=()):
    """(path, value) of all that is no block itself, interpolations as they are written."""
    for name, value in (OmegaConf.to_container(block) if isinstance(block, DictConfig) else block).items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _value(config, path):
    """The resolved value at ``path``; `NOWHERE` where there is none."""
    try:
        for name in path:
            config = config[name]
    except (OmegaConfBaseException, KeyError, TypeError, AttributeError):
        return NOWHERE
    return OmegaConf.to_container(config, resolve=True) if isinstance(config, Container) else config
