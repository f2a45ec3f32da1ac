"""Every job of a run has a row in the end, whatever became of its record."""

import dataclasses

import numpy as np
import pytest
from test_job import BASE

from experiments.loop.collect import collect
from experiments.loop.job import describe
from experiments.loop.store import Store
from experiments.report.table import frame, summarise


@pytest.fixture
def jobs(tmp_path):
    """Three seeds on record, the first with an array."""
    store = Store(tmp_path, "imputation")
    jobs = [dataclasses.replace(BASE, seed=seed).with_key() for seed in range(3)]
    for job in jobs:
        outcome = {"status": "done", "reason": "", "scores": {"x": 1.0}, "facts": {}, "seconds": {"total": 1.0}}
        store.write(describe(job, 1) | outcome | {"peak_memory_mb": 1.0}, {"a": np.full(2, job.seed)})
    return store, jobs


def test_records_come_in_the_order_of_jobs_with_their_arrays(jobs):
    store, jobs = jobs
    records, arrays = collect(store, jobs[::-1])
    assert [record["seed"] for record in records] == [2, 1, 0]
    assert [list(found["a"]) for found in arrays] == [[2, 2], [1, 1], [0, 0]]


def lose(store, key):
    store.path(key).unlink()


def lose_arrays(store, key):
    store.path(key, ".npz").unlink()


def tear(store, key):
    store.path(key).write_text("{")


@pytest.mark.filterwarnings("ignore:The record .* is damaged")
@pytest.mark.parametrize("harm", [lose, lose_arrays, tear])
def test_what_is_gone_is_a_failure_with_a_row(jobs, harm):
    store, jobs = jobs
    harm(store, jobs[1].key)
    records, arrays = collect(store, jobs)
    assert [record["status"] for record in records] == ["done", "failed", "done"]
    assert "while the run went on; the same command computes it again" in records[1]["reason"]
    assert "Errno" not in records[1]["reason"]
    assert arrays[1] == {}
    rows = frame(records)
    assert list(rows["seed"]) == [0, 1, 2]
    (row,) = summarise(rows, ["corruption"], {"x": None}, None).itertuples()
    assert (row.n_seeds, row.n_missing) == (2, 1)
