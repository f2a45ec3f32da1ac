"""The shape of the tree: imports run one way, the registry is the folder, names do not hide others."""

import ast
from pathlib import Path

import pytest

import datasets

ROOT = Path(__file__).parents[1]
PACKAGES = ("scvi_core", "baselines", "datasets", "experiments", "r_env")
MAY_IMPORT = {
    "scvi_core": set(),
    "datasets": {"scvi_core"},
    "baselines": {"scvi_core", "r_env"},
    "r_env": set(),
    "experiments": {"datasets", "baselines", "scvi_core", "r_env"},
}
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path):
    """Top-level packages that a file imports anywhere, relative imports made absolute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0] if node.level == 0 else path.relative_to(ROOT).parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    foreign = set(imported(path)) & set(PACKAGES) - {package}
    assert foreign <= MAY_IMPORT[package]


def test_only_the_bridge_imports_rpy2():
    assert [path.name for path in SOURCES if "rpy2" in set(imported(path))] in ([], ["bridge.py"])


def test_datasets_is_ours():
    assert Path(datasets.__file__).parent == ROOT / "datasets"


def test_the_top_level_is_the_agreed_one():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    built = {"build", "__pycache__"} | {path.name for path in ROOT.glob("*.egg-info")}
    assert folders - built <= {*PACKAGES, "conf", "results", "tests", "docs"}
