"""The shape of the tree: imports run one way, the registry is the folder, names do not hide others."""

import ast
import functools
import re
from pathlib import Path

import networkx

import datasets
from tests.arrows import PACKAGES, ROOT, SOURCES, graph, nodes

MAY_IMPORT = {
    "scvi_core": set(),
    "datasets": {"scvi_core"},
    "baselines": {"scvi_core", "r_env"},
    "r_env": set(),
    "experiments": {"datasets", "baselines", "scvi_core", "r_env"},
}


def imported(path):
    """Top-level packages that a file imports anywhere, relative imports made absolute."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0] if node.level == 0 else path.relative_to(ROOT).parts[0]


def test_imports_run_one_way():
    wrong = {}
    for path in SOURCES:
        package = path.relative_to(ROOT).parts[0]
        wrong[str(path.relative_to(ROOT))] = set(imported(path)) & set(PACKAGES) - {package} - MAY_IMPORT[package]
    assert len(wrong) > 100  # the folders were found
    assert {path: packages for path, packages in wrong.items() if packages} == {}


def test_no_import_runs_in_a_circle():
    assert graph().number_of_edges() > 300
    assert list(networkx.simple_cycles(graph())) == []


@functools.cache
def names_of(folder):
    """The words of a module of ours, by its path without the ending; None where there is no such module."""
    files = [folder.with_suffix(".py"), folder / "__init__.py"]
    return next((set(re.findall(r"\w+", file.read_text())) for file in files if file.is_file()), None)


def test_every_import_of_ours_leads_somewhere():
    """Those inside functions as well: some run only where there is a GPU, R or a cluster."""
    astray = []
    for path in SOURCES:
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and (node.level or node.module.split(".")[0] in PACKAGES):
                base = path.parents[node.level - 1] if node.level else ROOT
                base = base.joinpath(*(node.module or "").split("."))
                for alias in node.names:
                    if alias.name not in (names_of(base) or ()) and names_of(base / alias.name) is None:
                        astray.append(f"{path.relative_to(ROOT)}:{node.lineno} {alias.name}")
    assert astray == []


def test_only_the_bridge_imports_rpy2():
    assert [path.name for path in SOURCES if "rpy2" in set(imported(path))] == ["bridge.py"]


def test_datasets_is_ours():
    assert Path(datasets.__file__).parent == ROOT / "datasets"


def test_the_top_level_is_the_agreed_one():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    built = {"build", "__pycache__"} | {path.name for path in ROOT.glob("*.egg-info")}
    assert folders - built <= {*PACKAGES, "conf", "results", "tests", "docs"}


def calls(path):
    """Every call in a file as (name, its keywords with a constant value)."""
    for node in nodes(path):
        if isinstance(node, ast.Call):
            constants = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            yield ast.unparse(node.func), constants


RUNS_CODE = {"eval", "exec", "compile", "pickle.load", "pickle.loads", "joblib.load", "dill.load", "marshal.loads"}
RUNS_CODE |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle", "pandas.read_pickle"}
RUNS_CODE |= {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pickle.Unpickler"}


def runs_code(name, keywords):
    """Whether a call may run what a file or a setting says."""
    return (
        name in RUNS_CODE
        or keywords.get("allow_pickle", False) is not False
        or keywords.get("shell", False) is not False
        or name.endswith((".extractall", ".extract"))  # archives are read in memory, never unpacked
        or (name == "torch.load" and keywords.get("weights_only") is not True)
    )


def test_no_file_and_no_setting_can_run_code():
    """Models, arrays and configurations are data: no pickle is loaded, nothing is evaluated, no shell is started."""
    assert [
        (str(path.relative_to(ROOT)), name) for path in SOURCES for name, kw in calls(path) if runs_code(name, kw)
    ] == []


def test_the_only_unpickler_is_the_restricted_one():
    found = [
        (path.name, base)
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.ClassDef)
        for base in map(ast.unparse, node.bases)
        if "Unpickler" in base
    ]
    assert found == [("old_pickle.py", "pickle.Unpickler")]
