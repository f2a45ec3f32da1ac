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

LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "anndata")
ROOT = Path(__file__).resolve().parents[2]


def code_version(module, ignore=("figure",)):
    """Hash of the code behind ``module``: its syntax and that of the modules of its own project that it imports.

    Comments, docstrings, formatting and the top-level functions named in ``ignore`` do not count: drawing a figure
    differently recomputes nothing. C and R files named like a hashed module, in a hashed folder, count whole.
    """
    files = sorted(_closure(module))
    names = {file.stem for file in files}
    native = {n for f in files for n in f.parent.iterdir() if n.suffix in {".c", ".R"} and n.stem in names}
    digest = hashlib.sha256()
    for file in files:
        digest.update(_normalised(file, ignore).encode())
    for file in sorted(native):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _closure(module):
    """Source files of ``module`` and, transitively, of what it imports from the folder its top package lies in."""
    origin = Path(importlib.util.find_spec(module).origin).resolve()
    root = origin.parents[module.count(".") + (origin.name == "__init__.py")]
    seen, queue = set(), [module]
    while queue:
        name = queue.pop()
        file = _source(root, name)
        if file and file not in seen:
            seen.add(file)
            queue += _imports(file, name if file.name == "__init__.py" else name.rpartition(".")[0])
    return frozenset(seen)


def _source(root, name):
    path = root.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imports(file, package):
    """Absolute names of what ``file`` imports at module level (a lazy import inside a function does not count)."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(base, package) if node.level else base
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)  # `from package import module`


@cache
def _normalised(file, ignore):
    tree = ast.parse(file.read_text())
    tree.body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name in ignore)]
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)  # unlike ast.dump, the same from one Python to the next


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
