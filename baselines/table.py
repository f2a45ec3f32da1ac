"""What the methods of conf/method/ are, can do and cost: ``python -m baselines.table``."""

import importlib
import inspect
import re
from pathlib import Path

import yaml

from .base import ANSWERS

FOLDER = Path(__file__).resolve().parent.parent / "conf" / "method"


def table(folder=FOLDER):
    """Return a paragraph for every class that a yaml of ``folder`` names, in the order of their files.

    It has the first line of the docstring, the rows that run the class, what it answers, and the section "Cost".
    """
    rows = {}
    for path in sorted(folder.glob("*.yaml")):
        rows.setdefault(target_of(path), []).append(path.stem)
    return "\n\n".join(_paragraph(target, names) for target, names in rows.items())


def target_of(path):
    """The class that a yaml of conf/method/ names, or the one that it is a variant of."""
    block = yaml.safe_load(path.read_text())
    if "_target_" in block:
        return block["_target_"]
    parent = next(name for name in block["defaults"] if name != "_self_")  # "scvi@_here_": a variant of that file
    return target_of(path.with_stem(parent.partition("@")[0]))


def _paragraph(target, names):
    module, _, name = target.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    doc = inspect.getdoc(cls) or ""
    lines = [f"{target}: {doc.split(chr(10), 1)[0]}", f"  rows     {', '.join(names)}"]
    lines.append(f"  answers  {', '.join(name for name in (*ANSWERS, 'compare') if hasattr(cls, name))}")
    cost = re.search(r"^Cost\n-+\n(.+?)(?:\n\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    if cost:
        lines.append(f"  cost     {' '.join(cost.group(1).split())}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
