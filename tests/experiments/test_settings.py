"""Settings of the wrong kind: refused in one sentence before anything is computed, whatever they are."""

import functools

import hydra
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments import run
from experiments.loop.config import resolve
from experiments.loop.executors import local
from experiments.loop.job import check_method
from experiments.loop.paths import ROOT
from experiments.loop.settings import check_jobs, check_values
from scvi_core import SCVI

OVERRIDES = ["+exp=imputation", "dataset=simulated", "dataset.n_cells=40", "dataset.n_genes=12", "seeds=[0]"]
OVERRIDES += ["~methods.zifa", "~methods.zinbwave", "~methods.magic"]


@pytest.fixture(scope="module")
def composed():
    with hydra.initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
        return hydra.compose("config", overrides=OVERRIDES)


@pytest.fixture
def prepared(composed, tmp_path, monkeypatch):
    """Do all that a run does before its first job, with one setting changed; return the jobs it would compute."""
    asked = []

    @functools.wraps(local.run_jobs)
    def run_jobs(jobs, results_dir, **options):
        asked.extend(jobs)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local, "run_jobs", run_jobs)
    monkeypatch.setattr(run, "_draw", lambda *_: 0)
    monkeypatch.setattr(run, "require_writable", lambda _: None)

    def prepared(key, value):
        asked.clear()
        config = composed.copy()
        OmegaConf.update(config, key, value, merge=False)
        with_folders = {"results_dir": str(tmp_path / "results"), "data_dir": str(tmp_path / "data")}
        run.execute(resolve(OmegaConf.merge(config, with_folders)))
        return list(asked)

    return prepared


def leaves(block, key=""):
    for name in block:
        yield f"{key}{name}"
        if not OmegaConf.is_interpolation(block, name) and isinstance(block[name], DictConfig):
            yield from leaves(block[name], f"{key}{name}.")


odd = [None, -1, 0, 3, 1.5, float("nan"), float("inf"), "", "x", "no", "../../x", True, [], [1], [1, 1], {}, {"a": 1}]
values = st.sampled_from([*odd, "${nothing}", "${..}", "auto"]) | st.text(max_size=5) | st.floats() | st.integers(-9, 9)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), values)
def test_any_value_for_any_setting_is_taken_or_refused_in_a_sentence(composed, prepared, data, value):
    fixed = ("methods.biscuit", "methods.scvi_offset", "results_dir", "data_dir", "experiment.module")
    key = data.draw(st.sampled_from([key for key in leaves(composed) if not key.startswith(fixed)]), label="key")
    said = "taken, or in Hydra's own words."
    try:
        prepared(key, value)
    except OmegaConfBaseException:
        pass
    except (ValueError, OSError) as error:
        said = str(error)
    assert 10 < len(said) < 1500
    assert "\n" not in said


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("protocol.imputation.scored", "chosn", r"scored='chosn' is not known: .* has 'changed' or 'chosen'"),
        ("executor", 2, r"executor=2 is no block of settings: name a file"),
        ("protocol.scvi.encode_batch", "no", r"protocol\.scvi\.encode_batch='no' is not known: .* has True or False"),
        ("protocol.technical.left_out", "B", r"protocol\.technical\.left_out='B' is not known: .* has \[\]"),
        ("protocol.split.train", None, r"protocol\.split\.train=None is not known"),
        ("protocol.corruption", 3, r"protocol\.corruption=3 is not known: conf/protocol/ has a block"),
        ("protocol.corruption", {}, r"protocol\.corruption\.uniform is missing"),
        ("dataset.n_cells", "x", r"n_cells='x' is asked for: choose an integer of at least 0"),
        ("dataset.n_cells", True, r"n_cells=True is asked for: choose an integer"),
        ("dataset.density", "x", r"density='x' is asked for: choose a number"),
        ("dataset.loader._target_", "x", r"dataset\.loader\._target_ does not name a function that reads data"),
        ("dataset.loader", None, r"dataset\.loader\._target_ does not name a function"),
        ("executor.threads", 1.5, r"executor\.threads=1\.5 will not do: choose an integer"),
        ("executor.memory_gb", "much", r"executor\.memory_gb='much' will not do: choose a number, or auto"),
        ("executor.timeout_minutes", None, r"executor\.timeout_minutes=None will not do"),
        ("methods.pca.n_latent", "10", r"methods\.pca\.n_latent='10' will not do: choose a number"),
        ("methods.pca.n_latent", None, r"methods\.pca\.n_latent=None will not do: choose a number"),
        (
            "methods.scvi.n_epochs",
            -1,
            r"methods\.scvi\.n_epochs=-1 will not do: choose a whole number that is not nega",
        ),
        ("methods.fa.n_latent", 2.5, r"methods\.fa\.n_latent=2\.5 will not do: choose a whole number"),
        ("methods.scvi.lr", float("nan"), r"methods\.scvi\.lr=nan will not do: choose a number"),
        ("experiment.axes.corruption", "uniform", r"axes\.corruption=uniform: give a list of different values"),
        ("experiment.axes.corruption", ["uniform", "uniform"], r"give a list of different values"),
        ("scale.max_cells", "few", r"scale\.max_cells='few': give a number of cells"),
        ("fresh", "no", r"fresh='no': choose true or false"),
        ("seeds", [0, "1"], r"give a list of different integers"),
    ],
)
def test_what_is_wrong_is_named(prepared, key, value, said):
    with pytest.raises(ValueError, match=said):
        prepared(key, value)


def test_data_grow_along_an_axis_that_there_is():
    config = {"seeds": [0], "scale": {"max_cells": None}, "fresh": False, "dry_run": False}
    experiment = {"axes": {"n_cells": [10, 20], "n_genes": [5]}}
    for grows_with in ("n_cells", None):
        check_jobs(config | {"experiment": experiment | {"grows_with": grows_with}})
    with pytest.raises(ValueError, match=r"grows_with=cells: choose an axis \(n_cells, n_genes\), or null"):
        check_jobs(config | {"experiment": experiment | {"grows_with": "cells"}})


def test_what_is_right_is_taken(prepared):
    n_methods = len({job.method for job in prepared("fresh", False)})
    assert len(prepared("seeds", [3, 7])) == 2 * 2 * n_methods
    assert len(prepared("experiment.axes.corruption", ["uniform"])) == n_methods
    for key, value in (
        ("protocol.imputation.scored", "chosen"),
        ("protocol.split.random_state", 3),
        ("protocol.split.random_state", None),
        ("protocol.technical.left_out", ["B"]),
        ("executor.memory_gb", 2),
        ("scale.max_cells", 20),
    ):
        assert prepared(key, value)


def test_a_parameter_that_states_its_types_is_left_to_the_method():
    check_method("simlr", {"_target_": "baselines.simlr.SIMLR", "n_clusters": "labels"})

    def load(path, n_genes: int | None = 5, *, seed=0, **more):
        pass

    check_values("here", load, {"n_genes": None, "path": 3, "anything": "x"})
    with pytest.raises(ValueError, match=r"here\.seed='2' will not do: choose a number"):
        check_values("here", load, {"seed": "2"})


def test_a_method_that_checks_its_parameters_is_asked(monkeypatch):
    def check_parameters(self):
        raise ValueError(f"FA(n_latent={self.n_latent}) will not do: take 3.")

    monkeypatch.setattr("baselines.fa.FA.check_parameters", check_parameters, raising=False)
    with pytest.raises(ValueError, match=r"methods\.fa: FA\(n_latent=4\) will not do: take 3\."):
        check_method("fa", {"_target_": "baselines.fa.FA", "n_latent": 4})


def test_a_whole_number_as_default_does_not_forbid_a_fraction(prepared):
    def smooth(bandwidth=1):
        pass

    check_values("here", smooth, {"bandwidth": 0.5})
    assert prepared("executor.timeout_minutes", 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("n_latent", 0), ("n_latent", 2.5), ("n_hidden", None), ("n_layers", 0), ("n_epochs", -1), ("batch_size", 1)],
        *[("dropout", 1), ("dropout", "x"), ("lr", -1), ("lr", float("nan")), ("lr", float("inf")), ("mmd_weight", -1)],
    ],
)
def test_scvi_says_what_a_parameter_must_be(name, value):
    with pytest.raises(ValueError, match=rf"SCVI\({name}=.*\) will not do: choose .*\.$"):
        SCVI(**{name: value}).fit([[1, 2], [3, 4]])
