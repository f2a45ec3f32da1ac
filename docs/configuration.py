"""Every configuration key with its default and its meaning, read off conf/ and the docstrings.

The meaning of a key is the comment on its line; of a parameter of a method or a loader, what the docstring of its
class or function says; and where a file is silent, what another file of its group says of the same key.
"""

import importlib
import inspect
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import yaml
from table import code, table

from baselines.table import target_of

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
BLOCKS = {"loader", "files", "expect", "titles", "hydra", "defaults"}  # shown as one key each
GROUPS = {  # group: its heading
    "": "Every run",
    "executor": "Where jobs run: `executor=`",
    "scale": "How much of an experiment: `scale=`",
    "exp": "Experiments: `+exp=`",
    "dataset": "Data: `dataset=`",
    "method": "Methods: `methods.NAME.KEY=`",
    "protocol": "Protocols: `protocol=`",
}


class Key(NamedTuple):
    name: str  # with dots
    value: str  # as it stands in the file
    meaning: str


def configuration():
    """The page."""
    lines = ["# Configuration", ""]
    lines += ["Every key can be set on the command line, such as `seeds=[0]`, `dataset.n_genes=100` or"]
    lines += [
        "`methods.scvi.n_latent=5`. `python -m experiments.run +exp=imputation --cfg job` prints a whole configuration."
    ]
    lines += ["A value `${...}` is taken from another key.", ""]
    for group, heading in GROUPS.items():
        lines += [f"## {heading}", ""]
        if group == "protocol":
            lines += _protocols()
            continue
        for path in files(group):
            name = path.relative_to(CONF / group).with_suffix("").as_posix()
            intro = introduction(path)
            lines += ([f"### {name}", ""] if group else []) + ([intro, ""] if intro else [])
            rows = [(code(key.name), key.meaning, code(key.value)) for key in keys(path)]
            lines += [table(("key", "meaning", "default"), rows), ""]
    return "\n".join(lines)


def files(group):
    """The yaml files of a group of conf/."""
    return [CONF / "config.yaml"] if not group else sorted((CONF / group).rglob("*.yaml"))


def introduction(path):
    """The comment at the head of a file, as one paragraph; commands in it as code."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        lines.append(line[1:])
    paragraphs, text = [], textwrap.dedent("\n".join(lines))
    for line in text.splitlines():
        is_code = line.startswith("    ")
        if paragraphs and paragraphs[-1][0] == is_code:
            paragraphs[-1][1].append(line.strip())
        else:
            paragraphs.append((is_code, [line.strip()]))
    words = ["```sh\n" + "\n".join(own) + "\n```" if is_code else _plain(" ".join(own)) for is_code, own in paragraphs]
    return "\n\n".join(words)


def keys(path):
    """The keys of a file, each with its meaning; "" where nothing says it."""
    group = path.relative_to(CONF).parts[0] if path.parent != CONF else ""
    own = comments(path)
    target = _target(path)
    said = documented(target) if target else {}
    elsewhere = _of_group(group)
    found = []
    for name, value in own:
        last = name.rpartition(".")[2]
        meaning = value[1] or said.get(last, "")
        meaning = meaning or _of_axes(path, name) or elsewhere.get(name, "") or elsewhere.get(last, "")
        meaning = meaning or _of_methods(name)
        found.append(Key(name, value[0], _plain(meaning)))
    return found


def comments(path):
    """[(dotted key, (value as text, comment on its line))] of a file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = []

    def visit(node, prefix):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            after = lines[key.end_mark.line][key.end_mark.column :]
            if isinstance(value, yaml.MappingNode) and not value.flow_style and key.value not in BLOCKS:
                comment = _comment(after)
                if comment:
                    found.append((name, ("", comment)))
                visit(value, f"{name}.")
                continue
            end = value.end_mark
            is_text = isinstance(value, yaml.ScalarNode) and value.style in (">", "|")
            same_line = value.flow_style if isinstance(value, yaml.CollectionNode) else True
            inline = same_line and not is_text and end.line < len(lines)
            comment = _comment(lines[end.line][end.column :] if inline else after)
            shown = text[value.start_mark.index : end.index].strip() if same_line else ""
            shown = " ".join(re.sub(r"^>-.*", "", shown).split())
            found.append((name, (shown, comment)))

    root = yaml.compose(text)
    visit(root, "")
    return found


def _comment(rest):
    match = re.search(r"(?:^|\s)#\s*(.*)", rest)
    return match.group(1).strip() if match else ""


def _of_group(group):
    """{key, whole and its last part: the first comment on it} in the files of a group."""
    if group not in _of_group.known:
        found = {}
        for path in files(group):
            for name, (_, comment) in comments(path):
                if comment:
                    found.setdefault(name, comment)
                    found.setdefault(name.rpartition(".")[2], comment)
        _of_group.known[group] = found
    return _of_group.known[group]


_of_group.known = {}


def _of_axes(path, name):
    """What ``evaluate`` says of ``experiment.axes.NAME`` in the file of an experiment."""
    prefix, _, last = name.rpartition(".")
    if prefix != "experiment.axes":
        return ""
    return documented(f"{yaml.safe_load(path.read_text(encoding='utf-8'))['experiment']['module']}.evaluate").get(
        last, ""
    )


def _of_methods(name):
    """What the class of a method says of ``methods.NAME.KEY`` in the file of an experiment."""
    parts = name.split(".")
    if parts[0] != "methods" or len(parts) < 2:
        return ""
    row, last = parts[1], parts[-1]
    if len(parts) == 2:
        return f"what the experiment changes of the row {row}"
    for path in files("method"):
        if path.stem == row or row.startswith(path.stem):
            target = _target(path)
            return documented(target).get(last, "") or _of_group("method").get(last, "")
    return _of_group("method").get(last, "")


def _target(path):
    """What ``_target_`` of a file names: a class or function; "" where there is none."""
    if path.parent.name == "method":
        return target_of(path)
    block = yaml.safe_load(path.read_text(encoding="utf-8"))
    return (block.get("loader") or block).get("_target_", "")


def documented(target):
    """{parameter: what the docstring says of it} of a class or a function, with those of the classes above it."""
    module, _, name = target.rpartition(".")
    thing = getattr(importlib.import_module(module), name)
    above = list(reversed(thing.__mro__)) if inspect.isclass(thing) else [thing]
    found = {}
    for each in above:
        found |= parameters(inspect.cleandoc(each.__doc__ or ""))
    return found


def parameters(docstring):
    """{name: description} of the section "Parameters" of a docstring in numpydoc's form."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", docstring, re.M | re.S)
    found, names = {}, []
    for line in section.group(1).splitlines() if section else ():
        if line and not line.startswith(" "):
            head, _, kind = line.partition(" : ")
            names = [name.strip() for name in head.split(",")]
            found |= dict.fromkeys(names, f"{kind.strip()}." if kind else "")
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return found


def _protocols():
    """The two protocols beside each other, each choice with its source."""
    written, run = (dict(comments(CONF / "protocol" / f"{name}.yaml")) for name in ("as_written", "as_run"))
    sources = yaml.safe_load((CONF / "protocol" / "paper" / "sources.yaml").read_text(encoding="utf-8"))
    lines = [introduction(CONF / "protocol" / "as_written.yaml"), ""]
    rows = []
    for name, (value, comment) in written.items():
        known = next(
            (sources[key] for key in (name, name.rpartition(".")[0], name.split(".")[0]) if key in sources), {}
        )
        because = [f"*{protocol.replace('_', ' ')}*: {_plain(words)}" for protocol, words in known.items()]
        rows.append((code(name), "<br>".join([_plain(comment), *because]), code(value), code(run[name][0])))
    lines += [table(("choice", "what it says, and where each side is from", "as_written", "as_run"), rows), ""]
    lines += ["### What the paper chose for single data sets", ""]
    lines += [introduction(CONF / "protocol" / "paper" / "data_sets.yaml"), ""]
    own = yaml.safe_load((CONF / "protocol" / "paper" / "data_sets.yaml").read_text(encoding="utf-8"))
    rows = [
        (name, protocol.replace("_", " "), code(key), code(_short(choice["value"])), _plain(choice["source"]))
        for name, protocols in own.items()
        for protocol, choices in protocols.items()
        for key, choice in choices.items()
    ]
    return [*lines, table(("data", "protocol", "choice", "value", "source"), rows), ""]


def _short(value):
    return yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("\n...")


def _plain(words):
    """Words in which Markdown sees nothing of its own; double backticks of docstrings stay code."""
    parts = re.split(r"(``.+?``|`[^`]+`)", str(words))
    return "".join(part if n % 2 else re.sub(r"([\\*_\[\]<>${}])", r"\\\1", part) for n, part in enumerate(parts))
