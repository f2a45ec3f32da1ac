"""Jobs on record computed once more; what is on record, what is missing, how long it would take."""

import json
from types import SimpleNamespace

import pytest

from experiments import check
from experiments.loop import config
from experiments.loop.digest import key_of, sealed
from experiments.loop.job import run
from experiments.loop.jobs import enumerate_jobs, expected
from experiments.loop.store import Store
from experiments.report import inventory


@pytest.fixture
def store(tmp_path):
    """Two finished jobs of the control that imputes the mean of each gene, on simulated counts, at two seeds."""
    settings = config.today("imputation", "simulated", "as_written", "gene_mean")
    small = settings["dataset"] | {"loader": settings["dataset"]["loader"] | {"n_cells": 60, "n_genes": 12}}
    settings |= {"dataset": small, "methods": {"gene_mean": settings["methods"]["gene_mean"]}, "seeds": [0, 1]}
    jobs = enumerate_jobs(settings, "unknown")
    for job in [job for job in jobs if job.axes["corruption"] == "uniform"]:
        run(job, tmp_path, threads=1)
    return Store(tmp_path, "imputation")


def change(store, which, **other):
    """Somebody writes another value into a record and seals it."""
    record = store.load(which)
    for part, value in other.items():
        record[part] = record[part] | value if isinstance(value, dict) else value
    store.path(which).write_text(json.dumps(sealed(record)))


@pytest.fixture
def checked(store, tmp_path, monkeypatch, capsys):
    """The outcome of a check of all that is on record: exit code and lines."""
    monkeypatch.setattr("experiments.loop.carry._hash_of_data", lambda dataset: "unknown")

    def call(*arguments):
        code = check.main(["--results", str(tmp_path), "--n", "9", "--n-jobs", "1", *arguments])
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return call


@pytest.mark.slow
def test_a_job_comes_out_as_its_record_has_it_or_differs(store, checked):
    first, second = store
    done = checked()
    assert done.code == 0, done.out
    assert done.out.count("equal to the last digit") == 2
    change(store, first, scores={"median_l1": 99.0})
    done = checked()
    assert done.code == 1
    assert done.out.count("equal to the last digit") == 1
    assert "DIFFERS  imputation, simulated, as_written, gene mean, uniform, seed" in done.out
    assert "median_l1 99.0 → " in done.out
    store.path(second).write_text(store.path(second).read_text()[:-20])
    assert "is damaged" in checked("--job", second, "--job", first).err


@pytest.mark.slow
def test_a_record_of_another_machine_may_differ_by_as_much_as_its_seeds_do(store, checked):
    first, second = (store.load(key) for key in store)
    apart = abs(first["scores"]["median_l1"] - second["scores"]["median_l1"]) or 0.1
    elsewhere = {"cpu": "another", "cores": 2, "system": "Linux"}
    change(store, second["key"], machine=elsewhere)
    assert "equal to the last digit (computed on another" in checked("--job", second["key"]).out
    change(store, second["key"], scores={"median_l1": second["scores"]["median_l1"] * (1 + 1e-9)})
    assert "equal within 1e-06 (computed on another" in checked("--job", second["key"]).out
    near, far = (second["scores"]["median_l1"] + share * apart for share in (0.5, 30))
    change(store, second["key"], machine=elsewhere, scores={"median_l1": near})
    done = checked("--job", second["key"])
    assert done.code == 0, done.out
    assert "as near as another seed (computed on another" in done.out
    change(store, second["key"], scores={"median_l1": far}, facts={"corrupted_sha256": "0"})
    done = checked("--job", second["key"])
    assert done.code == 1
    assert "corrupted_sha256 0 → " in done.out


def test_nothing_to_check_is_a_sentence(tmp_path):
    with pytest.raises(SystemExit):
        check.main(["--results", str(tmp_path)])


def test_how_long_a_job_takes_is_what_its_like_took(tmp_path):
    store = Store(tmp_path, "imputation")
    for n, (dataset, size, seconds) in enumerate([("a", 1, 2.0), ("a", 1, 4.0), ("a", 9, 30.0), ("b", 9, 100.0)]):
        record = {"key": f"k{n}", "status": "done", "method": "pca", "dataset": dataset, "axes": {"size": size}}
        store.write(record | {"seconds": {"total": seconds}, "seed": n, "protocol": "as_run"}, {})
    failed = {"status": "failed", "method": "fa", "dataset": "a", "axes": {}, "seconds": {"total": 1.0}}
    store.write(failed | {"key": "f"}, {})
    asked = [("pca", "a", 1), ("pca", "a", 5), ("pca", "c", 1), ("fa", "a", 1)]
    jobs = [
        SimpleNamespace(
            key=f"{m}{d}{s}",
            method=m,
            dataset={"name": d},
            protocol={"name": "as_run"},
            axes={"size": s},
            seed=0,
            label=m.upper(),
        )
        for m, d, s in asked
    ]
    assert expected(jobs, store) == [3.0, 4.0, 17.0, None]
    said = inventory.forecast(jobs, jobs, store)
    assert said.startswith("4 jobs, 0 on record, 1 more of earlier code (python -m experiments.rekey), 4 would be")
    assert "PCA: 3 jobs, about 24.0 s" in said
    assert "FA: 1 jobs, like none on record" in said
    assert said.endswith("In all about 24.0 s and 1 jobs that are like none on record, on one core.")


def test_what_is_on_record_and_what_is_missing(store):
    (line,) = inventory.on_record(store.folder.parents[1])
    assert "imputation, simulated, as written: 2 of 110 jobs; the others take about " in line
    for key in list(store):  # as if the code had changed since
        record = store.load(key) | {"experiment_code": "0"}
        store.write(record | {"key": key_of(record)}, store.arrays(record))
        store.remove(key)
    (line,) = inventory.on_record(store.folder.parents[1])
    assert "0 of 110 jobs, 2 more of earlier code (python -m experiments.rekey)" in line
