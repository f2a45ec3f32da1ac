"""One suite over every method of conf/method/: the checks of baselines/conformance.py."""

import functools
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf

from baselines import conformance
from experiments.loop import protocol  # noqa: F401  conf/ asks it for what the paper chose for a data set

ROOT = Path(__file__).parents[2]
METHODS = sorted(path.stem for path in (ROOT / "conf" / "method").glob("*.yaml"))
SLOW = {"biscuit", "biscuit_mean", "dca", "dca_deseq2", *(name for name in METHODS if name.startswith("scvi_"))}


@functools.cache
def configurations():
    """The blocks of all methods, from one composition."""
    overrides = ["+exp=imputation", *(f"+method@methods.it_{name}={name}" for name in METHODS)]
    with initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
        return OmegaConf.to_container(compose("config", overrides=overrides).methods, resolve=True)


def row(name):
    """A parameter of the fixture, marked where the method goes through the bridge to R or takes seconds to fit."""
    in_r = hasattr(sys.modules[get_class(configurations()[f"it_{name}"]["_target_"]).__module__], "bridge")
    return pytest.param(name, marks=[pytest.mark.r()] * in_r + [pytest.mark.slow] * (name in SLOW))


@pytest.fixture(params=map(row, METHODS), scope="module")
def subject(request):
    """A method with the parameters of its yaml, and what it says of the example: once for all checks that only look."""
    config = configurations()[f"it_{request.param}"]
    parameters = {name: value for name, value in config.items() if not name.startswith("_")}
    return conformance.Subject(conformance.quick(get_class(config["_target_"]), parameters))


@pytest.mark.parametrize("check", conformance.CHECKS.values(), ids=lambda check: check.__name__)
def test_every_method(subject, check):
    if check is conformance.compare_returns_one_row_per_gene and type(subject.method).__name__ == "DCADESeq2":
        pytest.skip("DESeq2 refuses what three epochs of DCA leave; test_dca_deseq2.py trains it whole")
    try:
        check(subject)
    except Exception as error:
        if getattr(error, "skip", False):
            pytest.skip(str(error))
        raise
