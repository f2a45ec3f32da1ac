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


def calls(path):
    """Every call in a file as (name, its keywords with a constant value)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            constants = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            yield ast.unparse(node.func), constants


RUNS_CODE = {"eval", "exec", "compile", "pickle.load", "pickle.loads", "joblib.load", "dill.load", "marshal.loads"}
RUNS_CODE |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle", "pandas.read_pickle"}
RUNS_CODE |= {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pickle.Unpickler"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_and_no_setting_can_run_code(path):
    """Models, arrays and configurations are data: no pickle is loaded, nothing is evaluated, no shell is started."""
    for name, keywords in calls(path):
        assert name not in RUNS_CODE
        assert keywords.get("allow_pickle", False) is False
        assert keywords.get("shell", False) is False
        assert not name.endswith((".extractall", ".extract"))  # archives are read in memory, never unpacked
        if name == "torch.load":
            assert keywords.get("weights_only") is True


def test_the_only_unpickler_is_the_restricted_one():
    found = [
        (path.name, base)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for base in map(ast.unparse, node.bases)
        if "Unpickler" in base
    ]
    assert found == [("old_pickle.py", "pickle.Unpickler")]
