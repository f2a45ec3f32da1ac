"""The rooms of experiments/: what lies on top are experiments, and imports run one way between the rest."""

import ast
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments"
DOORS = {"__init__", "run", "rekey", "deviations", "executors", "scores"}
MAY_IMPORT = {  # "" is the top: the experiments
    "": {"loop", "metrics", "peers", "report", "tasks"},
    "figures": {"", "loop", "metrics", "plots"},
    "loop": {""},  # what a score is
    "metrics": {"", "loop"},
    "peers": {"loop"},
    "plots": {"", "loop", "metrics"},
    "report": {"", "loop", "metrics"},
    "tasks": set(),
}


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FOLDER.rglob("*.py")}


def imports(module, path):
    """Modules of experiments/ that a file imports, inside functions too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *filter(None, [node.module])])
            whole = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in MODULES]
            yield from whole or [name for name in [base] if name in MODULES]


@pytest.fixture(scope="module")
def arrows():
    return networkx.DiGraph([(module, to) for module, path in MODULES.items() for to in imports(module, path)])


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (FOLDER / parts[1]).is_dir() else ""


def test_the_top_shows_experiments():
    experiments = {path.stem for path in (ROOT / "conf" / "exp").glob("*.yaml")}
    assert {path.stem for path in FOLDER.glob("*.py")} - DOORS == experiments - {"scalability_10k"}
    assert {path.stem for path in (FOLDER / "figures").glob("*.py")} - {"__init__"} <= experiments


def test_no_import_runs_in_a_circle(arrows):
    assert arrows.number_of_edges() > 100
    assert list(networkx.simple_cycles(arrows)) == []


def test_rooms_import_one_way(arrows):
    for module, to in arrows.edges:
        if room(module) != room(to):
            assert room(to) in MAY_IMPORT[room(module)], f"{module} imports {to}"


def test_what_computes_draws_nothing(arrows):
    """Nothing that an experiment imports, however indirectly, draws, labels or reports."""
    for path in FOLDER.glob("*.py"):
        if path.stem not in DOORS:
            reached = networkx.descendants(arrows, module_of(path))
            assert {room(module) for module in reached} <= {"", "loop", "metrics", "peers", "tasks"}
            assert "experiments.loop.registry" not in reached
