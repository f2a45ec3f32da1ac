"""What a record must carry to be trusted: the code that made it, versions, machine."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

from .paths import ROOT

LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "anndata")


@cache
def code_version(module, function=None):
    """Hash of the code behind ``module``: its syntax and that of the modules of its own project that it imports.

    Comments, docstrings and formatting do not count. Where a ``function`` is named, only what it needs of ``module``
    counts: what scores are called and where they were published, beside ``evaluate``, is no reason to compute anything
    again. C and R files named like a hashed module, in a hashed folder, count whole.
    """
    origin = Path(importlib.util.find_spec(module).origin).resolve()
    root = origin.parents[module.count(".") + (origin.name == "__init__.py")]
    code, queue = {}, [module]
    while queue:
        name = queue.pop()
        file = _source(root, name)
        if file and file not in code:
            tree = _without_docstrings(file)
            code[file] = _needed(tree, function) if function and name == module else tree
            queue += _imports(code[file], name if file.name == "__init__.py" else name.rpartition(".")[0])
    names = {file.stem for file in code}
    native = {n for f in code for n in f.parent.iterdir() if n.suffix in {".c", ".R"} and n.stem in names}
    digest = hashlib.sha256()
    for file in sorted(code):
        digest.update(ast.unparse(code[file]).encode())  # unlike ast.dump, the same from one Python to the next
    for file in sorted(native):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _source(root, name):
    path = root.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imports(tree, package):
    """Absolute names of what is imported at module level (a lazy import inside a function does not count)."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(base, package) if node.level else base
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)  # `from package import module`


def _without_docstrings(file):
    tree = ast.parse(file.read_text())
    for node in _blocks(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _blocks(node):
    """The node and the statements below it; `ast.walk` would visit every expression as well, once for each job."""
    yield node
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, name, ()):
            yield from _blocks(child)


def _needed(tree, function):
    """The top-level statements that ``function`` needs, however indirectly; those that define no name always count."""
    wanted, kept = {function}, []
    while found := [node for node in tree.body if node not in kept and (_defines(node) & wanted or not _defines(node))]:
        kept += found
        wanted |= {inner.id for node in found for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return ast.Module([node for node in tree.body if node in kept], type_ignores=[])


def _defines(statement):
    """Names that a top-level statement gives a value."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {(alias.asname or alias.name).split(".")[0] for alias in aliases} - {"*"}
        case ast.Assign(targets=targets):
            return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def versions():
    """Versions of Python and of the libraries that numbers can depend on."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        found[library] = importlib.metadata.version(library)
    return found


def machine():
    """Processor, cores and system, without naming the host."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"cpu": model, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}


@cache
def git_commit():
    """Commit of this checkout, with a mark where files differ from it; None outside a checkout."""

    def git(*arguments):
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "+changes" if git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None
