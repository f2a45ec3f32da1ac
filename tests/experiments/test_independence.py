"""One method's result depends neither on which others run nor on their order; all see the same task."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from test_run import command

from experiments.loop import job
from experiments.loop.jobs import enumerate_jobs
from experiments.loop.store import Store
from experiments.report import table

PROTOCOL = {
    "name": "as_written",
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "corruption": {"uniform": {"fraction": 0.1, "zero_probability": 0.9}},
    "imputation": {"scored": "changed"},
    "scvi": {"library_cells": "fitted"},
}
METHODS = {
    "scvi": {"_target_": "scvi_core.SCVI", "n_epochs": 2, "n_hidden": 8, "n_latent": 3},
    "noise": {"_target_": "planted.Noise"},
    "biscuit": {"_target_": "baselines.biscuit.BISCUIT", "n_iterations": 2},
    "fa": {"_target_": "baselines.fa.FA", "n_latent": 3},
    "magic": {"_target_": "baselines.magic.MAGIC", "n_pca_components": 5},
}


def records(folder, small_h5ad, names):
    """All records of a run of these methods in this order, one after another in this one process; by key."""
    loader = {"_target_": "datasets.h5ad.load", "path": str(small_h5ad), "name": "small", "batch_key": "donor"}
    config = {
        "experiment": {"name": "imputation", "module": "experiments.imputation", "axes": {"corruption": ["uniform"]}},
        "dataset": {"name": "small", "loader": loader},
        "methods": {name: METHODS[name] for name in names},
        "protocol": PROTOCOL,
        "seeds": [0, 1],
    }
    jobs = enumerate_jobs(config, "h")
    for one in jobs:
        job.run(one, folder, 1)
    store = Store(folder, "imputation")
    found = {one.key: store.read(one.key) for one in jobs}
    return {key: record | {"values": store.arrays(record)} for key, record in found.items()}


@pytest.mark.slow
def test_a_result_does_not_depend_on_what_else_runs_or_in_which_order(tmp_path, small_h5ad):
    orders = [list(METHODS), list(METHODS)[::-1], ["scvi"], ["fa", "noise"]]
    whole, *others = (records(tmp_path / str(i), small_h5ad, names) for i, names in enumerate(orders))
    assert len(whole) == 2 * len(METHODS)
    for other in others:
        assert other.keys() <= whole.keys()
        for key, record in other.items():
            assert record["status"] == "done", record["reason"]
            assert record["scores"] == whole[key]["scores"]  # to the bit
            assert record["facts"] == whole[key]["facts"]
            for name, value in record["values"].items():
                np.testing.assert_array_equal(value, whole[key]["values"][name])
    by_seed = {seed: [r for r in whole.values() if r["seed"] == seed] for seed in (0, 1)}
    masks = {seed: {r["facts"]["corrupted_sha256"] for r in group} for seed, group in by_seed.items()}
    assert [len(found) for found in masks.values()] == [1, 1]  # the same mask for all methods
    assert masks[0] != masks[1]
    assert len({record["scores"]["median_l1"] for record in by_seed[0]}) > 3


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_a_task_that_is_not_the_same_for_all_is_named(odd):
    rows = itertools.product(["uniform", "binomial"], [0, 1], ["FA", "PCA", "scVI"])
    jobs = pd.DataFrame(rows, columns=["corruption", "seed", "label"]).assign(status="done")
    jobs["corrupted_sha256"] = jobs["corruption"] + jobs["seed"].astype(str)
    jobs["generative_sha256"] = jobs["label"]  # of what was fitted
    assert table.differing(jobs, ["corruption"]) == []
    jobs.loc[3 + odd, "corrupted_sha256"] = "other"
    (said,) = table.differing(jobs, ["corruption"])
    label = ["FA", "PCA", "scVI"][odd]
    assert said.startswith(f"corrupted_sha256 of {label} is not that of the other methods (corruption uniform, seed 1)")
    jobs.loc[3 + odd, "status"] = "failed"
    assert table.differing(jobs, ["corruption"]) == []
    assert table.differing(jobs[jobs["seed"] == 0].drop(columns="corruption"), []) != []  # two tasks in one


@pytest.mark.slow
def test_a_record_of_another_task_is_said_by_the_run(tmp_path, small_h5ad):
    methods = [f"~methods.{name}" for name in ("scvi", "scvi_offset", "fa", "zifa", "zinbwave", "magic", "biscuit")]
    arguments = ["+exp=imputation", "dataset=h5ad", f"dataset.path={small_h5ad}", "seeds=[0]", *methods]
    arguments += ["experiment.axes.corruption=[uniform]"]
    first = command(*arguments, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    store = Store(tmp_path / "results", "imputation")
    paths = {json.loads(path.read_text())["label"]: path for path in store.folder.glob("*.json")}
    record = store.read(paths["PCA"].stem)
    arrays = store.arrays(record)
    record["facts"]["corrupted_sha256"] = "0" * 64  # a whole record, of other counts
    store.write(record, arrays)
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "4 on record, 0 to compute" in done.stdout
    assert "error: corrupted_sha256 of PCA is not that of the other methods (corruption uniform, seed 0)" in done.stderr
    assert "Traceback" not in done.stderr
