"""The examples in docstrings give what they say; every public class and method has one."""

import doctest
import importlib
import sys

import pytest
import yaml

import scvi_core
from tests.arrows import MODULES, ROOT

PACKAGES = ("scvi_core", "baselines", "experiments", "datasets")
WITH_EXAMPLES = [
    name for name, path in MODULES.items() if name.split(".")[0] in PACKAGES and ">>> " in path.read_text()
]
IN_R = {name for name in WITH_EXAMPLES if "import bridge" in MODULES[name].read_text()}
EXTRAS = {"baselines.magic3": "magic", "baselines.harmony": "harmonypy", "baselines.scanorama": "scanorama"}
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


def marked(name):
    """A module, marked where its methods start R."""
    return pytest.param(name, marks=[pytest.mark.r()] if name in IN_R else [])


@pytest.mark.slow
@pytest.mark.parametrize("name", [marked(name) for name in WITH_EXAMPLES])
def test_examples(name):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name], reason=f"{EXTRAS[name]} is not installed")
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    printed = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=printed.append, clear_globs=False)
    if any("R package" in text and "is not installed" in text for text in printed):
        pytest.skip("an R package is not installed")
    assert runner.summarize(verbose=False).attempted > 0
    assert not runner.failures, "".join(printed)


def test_every_public_class_of_the_model_has_an_example():
    assert [name for name in scvi_core.__all__ if ">>> " not in getattr(scvi_core, name).__doc__] == []


def test_every_method_has_an_example():
    without, known = [], set()
    for path in (ROOT / "conf" / "method").glob("*.yaml"):
        target = yaml.safe_load(path.read_text()).get("_target_")
        if target:
            known.add(target)
            module, _, name = target.rpartition(".")
            if ">>> " not in (getattr(importlib.import_module(module), name).__doc__ or ""):
                without.append(target)
    assert len(known) > 25
    assert without == []
    assert sys.modules["baselines.base"].Method.__doc__.count(">>> ") > 0
