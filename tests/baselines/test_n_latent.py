"""More latent dimensions than a method can have: every method of conf/method/ says so in a sentence, or works."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.utils import get_class

from baselines.base import Skip
from r_env.bridge import RUnavailable

ROOT = Path(__file__).parents[2]
TARGETS = {yaml.safe_load(path.read_text()).get("_target_") for path in (ROOT / "conf" / "method").glob("*.yaml")}
CLASSES = [get_class(target) for target in sorted(filter(None, TARGETS))]
LATENT = [
    pytest.param(cls, id=cls.__name__, marks=[pytest.mark.r] if cls.__module__.endswith("_r") else [])
    for cls in CLASSES
    if "n_latent" in inspect.signature(cls).parameters
]
BATCH = np.array(list("ab") * 10)


def counts():
    X = np.random.default_rng(0).poisson(3, size=(20, 6))
    X[:, 0] += 1
    return X


@pytest.mark.parametrize("n_latent", [0, 6, 7, 21])
@pytest.mark.parametrize("cls", LATENT)
def test_a_dimension_that_cannot_be_is_refused_in_a_sentence(cls, n_latent):
    few = {name: 2 for name in ("n_epochs", "max_iter") if name in inspect.signature(cls).parameters}
    said = None
    try:
        latent = cls(n_latent=n_latent, **few).fit(counts(), batch=BATCH).latent(counts(), batch=BATCH)
        assert latent.shape == (20, n_latent)
        assert np.isfinite(latent).all()
    except ValueError as error:
        said = str(error)
    except (RUnavailable, Skip) as error:
        pytest.skip(str(error))
    any_number = ("SCVI", "RandomLatent")
    assert (said is None) == (n_latent == 6 or (n_latent > 6 and cls.__name__ in any_number))
    if said:
        assert f"n_latent={n_latent}" in said or f"n_latent is {n_latent}" in said
        assert "choose" in said
