"""The rooms of experiments/: what lies on top are experiments, and imports run one way between the rest."""

import networkx
import pytest

from tests.arrows import ROOT, graph, module_of

FOLDER = ROOT / "experiments"
DOORS = {"__init__", "executors", "scores", "titles"}
DOORS |= {"run", "list", "compare", "check", "check_method", "rekey"}  # commands
DOORS |= {"pack", "merge", "redraw", "ledger", "deviations"}
MAY_IMPORT = {  # "" is the top: the experiments
    "": {"loop", "metrics", "peers", "report", "tasks"},
    "arena": {"", "loop", "plots", "report"},
    "figures": {"", "loop", "metrics", "plots"},
    "loop": {""},  # what a score is
    "metrics": {"", "loop"},
    "peers": {"loop"},
    "plots": {"", "loop", "metrics"},
    "report": {"", "loop", "metrics"},
    "tasks": set(),
}


@pytest.fixture(scope="module")
def arrows():
    return graph().subgraph(module for module in graph() if module.startswith("experiments."))


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (FOLDER / parts[1]).is_dir() else ""


def test_the_top_shows_experiments():
    experiments = {path.stem for path in (ROOT / "conf" / "exp").glob("*.yaml")}
    assert {path.stem for path in FOLDER.glob("*.py")} - DOORS == experiments - {"scalability_10k"}
    assert {path.stem for path in (FOLDER / "figures").glob("*.py")} - {"__init__"} <= experiments


def test_rooms_import_one_way(arrows):
    assert arrows.number_of_edges() > 100
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
