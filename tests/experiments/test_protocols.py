"""Protocols as lists of choices, and what each choice moves."""

import json

import hydra
import pandas as pd
import pytest
from omegaconf import OmegaConf

from experiments import deviations
from experiments.protocols import RUN, WRITTEN, check, choices, flip
from experiments.provenance import ROOT


def protocol(name):
    return OmegaConf.load(ROOT / "conf" / "protocol" / f"{name}.yaml")


def test_both_protocols_make_the_same_choices():
    assert list(choices(WRITTEN)) == list(choices(RUN))


DATASETS = sorted(
    str(path.relative_to(ROOT / "conf" / "dataset").with_suffix("")) for path in (ROOT / "conf/dataset").rglob("*.yaml")
)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", [WRITTEN, RUN])
def test_every_dataset_runs_under_both_protocols(dataset, name):
    with hydra.initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
        config = hydra.compose("config", ["+exp=technical", f"dataset={dataset}", f"protocol={name}"])
    check(config)


def test_every_difference_names_its_source():
    written, run = choices(WRITTEN), choices(RUN)
    silent = [k for k in written if written[k].value != run[k].value and not (written[k].comment and run[k].comment)]
    assert silent == ["scvi.n_epochs"]  # its comment stands above it, for want of room


def test_a_block_with_a_comment_is_one_choice():
    assert choices(RUN)["split"].value.endswith("random_state: 0")
    assert "split.train" not in choices(RUN)
    assert choices(RUN)["imputation.scored"].value == "chosen"


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
    cells = pd.DataFrame({"label": ["scVI"] * 3 + ["FA"] * 3, "seed": [0, 1, 2] * 2})
    cells = cells.assign(corruption="uniform", status="done", role="method", median_l1=[2.0, 3.0, 4.0, 2.4, 2.5, 2.6])
    for stem, changed, name, flipped in (
        ("text", 0.0, WRITTEN, []),
        ("init", 0.5, WRITTEN, ["scvi.init"]),
        ("bins", 0.0, WRITTEN, ["posterior.bins"]),
        ("seeds", 0.0, WRITTEN, ["posterior.draws"]),  # of other seeds: nothing to compare
        ("code", 9.0, RUN, []),
    ):
        tag = f"flip={flipped[0]}" if flipped else ""
        scores = cells["median_l1"] + changed * (cells["label"] == "scVI")
        for folder in ("runs", "tables"):
            (tmp_path / folder).mkdir(exist_ok=True)
        seeds = cells["seed"] + 10 * (stem == "seeds")
        shown = cells.assign(
            seed=seeds, median_l1=scores, n_cells=scores
        )  # the number of cells is no score of this experiment
        shown[::-1].to_csv(tmp_path / "tables" / f"{stem}_cells.csv", index=False)
        cells.assign(score="median_l1").to_csv(tmp_path / "tables" / f"{stem}.csv", index=False)
        config = {"experiment": {"name": "imputation"}, "dataset": {"name": "cortex"}, "protocol": {"name": name}}
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
        assert (f"\n## {key}\n" in text) == (written[key].value != run[key].value)
