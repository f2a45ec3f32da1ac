"""Which module of ours imports which, inside functions too, read off the sources."""

import ast
import functools
from pathlib import Path

import networkx

ROOT = Path(__file__).parents[1]
PACKAGES = ("scvi_core", "baselines", "datasets", "experiments", "r_env")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def module_of(path):
    """The dotted name of a source file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in SOURCES}


@functools.cache
def nodes(path):
    """The syntax of a file, whole."""
    return list(ast.walk(ast.parse(path.read_text())))


def imports(module, path):
    """Modules of ours that a file imports."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *filter(None, [node.module])])
            whole = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in MODULES]
            yield from whole or [name for name in [base] if name in MODULES]


@functools.cache
def graph():
    """All arrows, as a networkx.DiGraph of module names."""
    return networkx.DiGraph([(module, to) for module, path in MODULES.items() for to in imports(module, path)])
