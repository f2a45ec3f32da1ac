"""Protocols as lists of choices, and what each choice moves."""

import functools
import json
import os
import re
import subprocess
import sys

import hydra
import pandas as pd
import pytest
import yaml
from omegaconf import OmegaConf

from experiments.loop.job import check_method
from experiments.loop.paths import ROOT
from experiments.loop.protocol import RUN, WRITTEN, check, choices, flip
from experiments.report import deviations
from experiments.report.results import JOBS, ROWS

CONF = ROOT / "conf"
EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "exp").glob("*.yaml"))
DATA_SETS = yaml.safe_load((ROOT / "conf" / "protocol" / "paper" / "data_sets.yaml").read_text())


def protocol(name):
    return OmegaConf.load(ROOT / "conf" / "protocol" / f"{name}.yaml")


def test_both_protocols_make_the_same_choices():
    assert list(choices(WRITTEN)) == list(choices(RUN))


DATASETS = sorted(
    str(path.relative_to(ROOT / "conf" / "dataset").with_suffix("")) for path in (ROOT / "conf/dataset").rglob("*.yaml")
)


@functools.cache
def composed(experiment):
    with hydra.initialize_config_dir(version_base=None, config_dir=str(CONF)):
        return hydra.compose("config", [f"+exp={experiment}"])


def configured(experiment, dataset, side, *overrides):
    """The configuration of an experiment on a data set (a name, or the path of a yaml) under a protocol."""
    config = composed(experiment).copy()
    OmegaConf.set_struct(config, False)
    config.dataset = OmegaConf.load(CONF / "dataset" / f"{dataset}.yaml")  # a path of its own stays as it is
    config.protocol = protocol(side)
    for key, _, value in (override.partition("=") for override in overrides):
        OmegaConf.update(config, key, yaml.safe_load(value), force_add=True)
    flip(config)
    return config


def resolved(*arguments, keep=("protocol", "methods")):
    config = configured(*arguments)
    return [OmegaConf.to_container(config[name], resolve=True) for name in keep]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", [WRITTEN, RUN])
def test_every_dataset_runs_under_both_protocols(dataset, name):
    check(configured("technical", dataset, name))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_method_takes_what_a_protocol_chooses_for_a_data_set(experiment):
    """In every experiment, under both protocols, for every preset: what a run asks before it reads the data."""
    seen = set()
    for side in (WRITTEN, RUN):
        for dataset in DATASETS:
            for name, block in resolved(experiment, dataset, side, keep=["methods"])[0].items():
                if (key := json.dumps([name, block], sort_keys=True)) not in seen:
                    seen.add(key)
                    check_method(name, block)
    assert seen


def leaves(block, key=""):
    for name, value in block.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{key}{name}.")
        else:
            yield f"{key}{name}", value


@pytest.mark.parametrize("name", [WRITTEN, RUN])
def test_every_value_is_part_of_one_choice(name):
    for leaf, _ in leaves(OmegaConf.to_container(protocol(name))):
        assert leaf == "name" or sum(f"{leaf}.".startswith(f"{key}.") for key in choices(name)) == 1, leaf


@pytest.mark.parametrize("name", [WRITTEN, RUN])
def test_what_a_data_set_has_of_its_own_is_asked_for_and_has_a_source(name):
    asked = {}
    for leaf, value in leaves(OmegaConf.to_container(protocol(name))):
        for side, key in re.findall(r"\$\{paper:(\w+),([\w.]+),", str(value)):
            asked[key] = side
            assert (side, key) == (name, leaf)  # and of this side, so that a flip takes it along
    for data_set, entry in DATA_SETS.items():
        assert set(entry) <= {"both", WRITTEN, RUN}
        for key, chosen in {**entry.get("both", {}), **entry.get(name, {})}.items():
            key, _, experiment = key.partition(" in ")
            assert key in asked, (data_set, key)
            assert not experiment or experiment in EXPERIMENTS
            assert set(chosen) == {"value", "source"}
            assert chosen["source"]


def test_every_difference_names_its_source():
    written, run = choices(WRITTEN), choices(RUN)
    assert not [k for k in written if written[k].value != run[k].value and not (written[k].source and run[k].source)]


def test_a_block_with_a_source_is_one_choice():
    assert choices(RUN)["split"].value == "train: 0.75, test: 0.25, random_state: 0"
    assert "split.train" not in choices(RUN)
    assert choices(RUN)["imputation.scored"].value == "chosen"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [  # shares, rates and lengths as the paper and the authors' notebooks have them
        ("imputation cortex as_written", {"split.train": 0.6, "split.test": 0.3, "scvi.n_epochs": 250}),
        ("imputation cortex as_run", {"split.train": 0.75, "scvi.n_epochs": 200, "scvi.use_batch": False}),
        ("clustering cortex as_run", {"split.test": 0.25, "scvi.n_epochs": 250, "scvi.lr": 4e-4}),
        ("technical standin/pbmc as_run", {"scvi.n_epochs": 100, "technical.left_out": ["Other"]}),
        ("differential pbmc as_run", {"scvi.n_epochs": 125, "differential.size_factors": "ratio"}),
        ("batch standin/retina as_run", {"scvi.lr": 5e-4, "scvi.use_batch": True}),
        ("structure hemato as_run dataset.version=filtered", {"split.train": 1.0, "split.test": 0}),
        ("stability brain_large as_run", {"stability.lr": 5e-3, "split.train": 0.9, "scvi.kl_warmup_epochs": 0}),
        ("stability standin/brain_large as_run", {"stability.lr": 5e-3, "split.train": 0.75}),
        (
            "likelihood standin/brain_large as_run",
            {"scvi.sampling": "slices", "scvi.library_cells": 10000, "likelihood.tuning_rule": "authors"},
        ),
        ("clustering standin/pbmc as_run", {"scvi.library_prior": "batch_means", "scvi.library_cells": "uncorrupted"}),
        ("differential standin/pbmc as_run", {"scvi.library_prior": "pooled"}),
        ("likelihood cortex as_run", {"likelihood.tuning_epochs": 1000, "scvi.library_cells": "uncorrupted"}),
        ("stability standin/brain_large as_written", {"stability.lr": 1e-3, "stability.kl_warmup_epochs": 100}),
        ("scalability simulated as_run", {"scvi.n_epochs": 120, "scvi.lr": 1e-3, "scvi.use_batch": True}),
        ("imputation h5ad as_run", {"scvi.n_epochs": 250, "scvi.use_batch": True, "split.train": 0.75}),
        ("imputation h5ad as_run dataset.treated_as=PBMC", {"scvi.n_epochs": 300, "scvi.use_batch": False}),
        ("imputation cortex as_run scale.n_epochs=3", {"scvi.n_epochs": 3, "likelihood.tuning_epochs": 3}),
        ("imputation cortex as_run protocol.scvi.n_epochs=50", {"scvi.n_epochs": 50}),
        ("imputation cortex as_written protocol.split.train=0.5", {"split.train": 0.5, "split.test": 0.3}),
        ("imputation pbmc as_written flip=[scvi.n_epochs]", {"scvi.n_epochs": 300, "scvi.use_batch": True}),
        ("imputation pbmc as_run flip=[corruption.binomial.fraction]", {"corruption.binomial.fraction": 0.1}),
    ],
)
def test_what_is_chosen_for_a_data_set(overrides, expected):
    experiment, *arguments = overrides.split()
    made, methods = resolved(experiment, *arguments)
    found = dict(leaves(made))
    assert {key: found[key] for key in expected} == expected
    if experiment != "stability" and "scvi" in methods:
        assert (methods["scvi"]["n_epochs"], methods["scvi"]["lr"]) == (found["scvi.n_epochs"], found["scvi.lr"])


TUNED = {"cortex": (10, 1e-2, 248, 0.1), "pbmc": (14, 1e-2, 170, 0.5), "brain_large": (15, 5e-4, 50, 0.1)}


@pytest.mark.parametrize(
    ("dataset", "overrides", "expected"),
    [
        *((dataset, [], expected) for dataset, expected in TUNED.items()),
        *((f"standin/{dataset}", [], TUNED[dataset]) for dataset in ("pbmc", "brain_large")),
        ("h5ad", ["dataset.treated_as=PBMC"], TUNED["pbmc"]),
        ("retina", [], (10, 5e-4, 120, 0.1)),  # none were published: those of scVI
        ("cortex", ["scale.n_epochs=3"], (10, 1e-2, 3, 0.1)),
    ],
)
def test_tuned_scvi_has_what_the_authors_published_for_the_data(dataset, overrides, expected):
    with hydra.initialize_config_dir(version_base=None, config_dir=str(CONF)):
        chosen = ["+method@methods.scvi_tuned=scvi_tuned", f"dataset={dataset}"]
        composed = hydra.compose("config", ["+exp=imputation", *chosen])
    OmegaConf.set_struct(composed, False)
    for key, _, value in (override.partition("=") for override in overrides):
        OmegaConf.update(composed, key, yaml.safe_load(value), force_add=True)
    made = OmegaConf.to_container(composed.methods, resolve=True)["scvi_tuned"]
    check_method("scvi_tuned", made)
    assert tuple(made[name] for name in ("n_latent", "lr", "n_epochs", "dropout")) == expected
    assert (made["n_layers"], made["n_hidden"], made["likelihood"]) == (1, 256, "zinb")


def test_nothing_but_values_is_in_the_protocol_of_a_record():
    """Records are keyed by it: a word in a source must compute nothing anew."""
    (made,) = resolved("technical", "pbmc", RUN, keep=["protocol"])
    assert dict(leaves(made)).keys() == dict(leaves(OmegaConf.to_container(protocol(RUN)))).keys()
    sources = {chosen["source"] for entry in DATA_SETS.values() for side in entry.values() for chosen in side.values()}
    assert not sources & {str(value) for _, value in leaves(made)}


def test_a_data_set_of_the_paper_that_there_is_not_is_named():
    with pytest.raises(ValueError, match=r"treated_as=PMBC is no data set of the paper: choose CORTEX, PBMC, RETINA"):
        resolved("imputation", "h5ad", RUN, "dataset.treated_as=PMBC")


@pytest.fixture
def newcomer(tmp_path):
    """A data set as a newcomer adds it: one file, one yaml with nothing but what the data are."""
    (tmp_path / "conf" / "dataset").mkdir(parents=True)
    (tmp_path / "toy_counts.py").write_text(
        "import numpy as np\n"
        "from datasets.base import make_dataset\n\n\n"
        "def load():\n"
        "    counts = np.random.default_rng(0).poisson(2, size=(60, 20))\n"
        "    names = [[f'{kind}{i}' for i in range(n)] for kind, n in zip(('cell', 'gene'), counts.shape)]\n"
        "    source = {'name': 'toy', 'origin': 'Drawn here.'}\n"
        "    return make_dataset(counts, cells=names[0], genes=names[1], source=source)\n"
    )
    (tmp_path / "conf" / "dataset" / "toy.yaml").write_text("name: toy\nloader: {_target_: toy_counts.load}\n")
    return tmp_path


@pytest.mark.parametrize("side", [WRITTEN, RUN])
def test_a_new_data_set_needs_no_key_of_its_own_for_any_experiment(newcomer, side):
    for experiment in EXPERIMENTS:
        made, methods = resolved(experiment, newcomer / "conf" / "dataset" / "toy", side)
        found = dict(leaves(made))
        assert (found["split.train"], found["scvi.n_epochs"], found["scvi.lr"]) == (0.75, 250, 4e-4)
        assert found["differential.size_factors"] == "poscounts"
        assert found["scvi.use_batch"] is True
        assert methods


@pytest.mark.slow
def test_a_new_data_set_works_at_the_first_run(newcomer):
    arguments = ["-m", "+exp=imputation", "dataset=toy", f"protocol={WRITTEN},{RUN}", "seeds=[0]"]
    left_out = [f"~methods.{name}" for name in ["scvi", "scvi_offset", "fa", "zifa", "zinbwave", "magic", "biscuit"]]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.run", "--config-dir", str(newcomer / "conf"), *arguments, *left_out],
        cwd=newcomer, env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(newcomer)])},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in (newcomer / "results" / "records").rglob("*.json")]
    assert {(record["protocol"], record["status"]) for record in records} == {(WRITTEN, "done"), (RUN, "done")}


def test_a_flip_takes_one_choice_and_nothing_else():
    config = OmegaConf.create({"protocol": protocol(WRITTEN), "flip": ["scvi.init", "split"]})
    flip(config)
    now = OmegaConf.to_container(config.protocol)
    before, other = (OmegaConf.to_container(protocol(name)) for name in (WRITTEN, RUN))
    assert now["scvi"] == before["scvi"] | {"init": other["scvi"]["init"]}
    assert now["split"] == other["split"]
    assert {k: v for k, v in now.items() if k not in ("scvi", "split")} == {
        k: v for k, v in before.items() if k not in ("scvi", "split")
    }


def test_what_interpolates_a_choice_follows_the_flip():
    config = OmegaConf.create({"protocol": protocol(RUN), "flip": ["scvi.init"], "method": "${protocol.scvi.init}"})
    flip(config)
    assert config.method == "torch"


def test_a_choice_that_does_not_exist_is_named():
    config = OmegaConf.create({"protocol": protocol(RUN), "flip": ["scvi.innit"]})
    with pytest.raises(ValueError, match=r"flip=scvi\.innit.*no such choice.*scvi\.init"):
        flip(config)


@pytest.fixture
def results(tmp_path):
    """Runs of three seeds: the text, one choice flipped, and a run under another protocol that must not count."""
    jobs = pd.DataFrame({"label": ["scVI"] * 3 + ["FA"] * 3, "seed": [0, 1, 2] * 2})
    jobs = jobs.assign(corruption="uniform", status="done", role="method", median_l1=[2.0, 3.0, 4.0, 2.4, 2.5, 2.6])
    jobs = jobs.assign(**dict.fromkeys(JOBS - set(jobs), 1))
    for stem, changed, name, flipped in (
        ("text", 0.0, WRITTEN, []),
        ("init", 0.5, WRITTEN, ["scvi.init"]),
        ("bins", 0.0, WRITTEN, ["posterior.bins"]),
        ("seeds", 0.0, WRITTEN, ["posterior.draws"]),  # of other seeds: nothing to compare
        ("code", 9.0, RUN, []),
    ):
        tag = f"flip={flipped[0]}" if flipped else ""
        scores = jobs["median_l1"] + changed * (jobs["label"] == "scVI")
        for folder in ("runs", "tables"):
            (tmp_path / folder).mkdir(exist_ok=True)
        seeds = jobs["seed"] + 10 * (stem == "seeds")
        shown = jobs.assign(
            seed=seeds, median_l1=scores, n_cells=scores
        )  # the number of cells is no score of this experiment
        shown[::-1].to_csv(tmp_path / "tables" / f"{stem}_jobs.csv", index=False)
        rows = jobs.assign(score="median_l1")
        rows.assign(**dict.fromkeys(ROWS - set(rows), 1)).to_csv(tmp_path / "tables" / f"{stem}.csv", index=False)
        config = {"experiment": {"name": "imputation"}, "dataset": {"name": "cortex"}, "protocol": {"name": name}}
        config["methods"] = {}
        run = {"stem": stem, "tag": tag, "alters": False, "axes": ["corruption"], "config": config | {"flip": flipped}}
        (tmp_path / "runs" / f"{stem}.json").write_text(json.dumps(run))
    return tmp_path


def test_effects_are_measured_seed_by_seed(results):
    path, missing = deviations.write(results)
    sections = path.read_text().split("\n## ")
    (section,) = (s for s in sections if s.startswith("scvi.init\n"))
    effect = "| 3.000 | 3.500 | +0.500 (+0.500 to +0.500) | 3 |"
    assert rf"corruption: uniform | scVI | median \|imputed − original\| (counts) {effect}" in section
    assert "| cells |" not in section
    assert "| FA |" not in section  # it was left as it was
    assert "Not measured yet" not in section
    assert "scvi.init" not in missing["imputation"]
    assert "split" in missing["imputation"]
    (section,) = (s for s in sections if s.startswith("posterior.bins\n"))
    assert section.rstrip().endswith("it moves no score of imputation · cortex (FA, scVI).")
    assert "posterior.draws" in missing["posterior"]
    assert "posterior.bins" not in missing.get("posterior", [])


def test_every_difference_has_a_section(results):
    text = deviations.write(results)[0].read_text()
    written, run = choices(WRITTEN), choices(RUN)
    for key in written:
        differ = deviations.values(written[key]) != deviations.values(run[key])
        assert (f"\n## {key}\n" in text) == differ
        for choice in (written[key], run[key]) if differ else ():
            assert all(source in text for source in [choice.source, *(source for *_, source in choice.data_sets)])
