"""Sizes one after the other: what reached a limit is not started at a larger size, and only that."""

import pytest

from experiments.loop.executors import record_failure
from experiments.loop.growth import run_growing
from experiments.loop.job import Job
from experiments.loop.store import Store

TIMEOUT = ("timeout", "stopped after 5.0 minutes (executor.timeout_minutes)")
MEMORY = ("failed", "memory: 9.1 GB in use, limit 8.0 GB")


def jobs():
    """Two methods at three sizes of cells and two of genes, out of order."""
    return [
        Job(
            experiment="scalability", module="experiments.scalability", dataset={"name": "x"}, dataset_hash="h",
            method=method, config={"_target_": "planted.Noise", "scale": scale}, protocol={"name": "p"},
            axes={"n_cells": n_cells, "n_genes": n_genes}, seed=0,
        ).with_key()
        for n_cells in (4000, 1000, 2000)
        for n_genes in (20, 100)
        for method, scale in (("slow", 1.0), ("fast", 2.0))
    ]  # fmt: skip


@pytest.fixture
def outcomes(tmp_path):
    """Run the jobs with an executor that writes ``outcome(job)``; return statuses and reasons by row."""

    def run(outcome):
        started = []

        def run_jobs(jobs, results_dir):
            for job in jobs:
                started.append(job)
                status, reason = outcome(job)
                record_failure(job, results_dir, 1, status, reason)

        run_growing(run_jobs, jobs(), tmp_path, "n_cells")
        assert [job.axes["n_cells"] for job in started] == sorted(job.axes["n_cells"] for job in started)
        store, found = Store(tmp_path, "scalability"), {}
        for job in jobs():
            record = store.read(job.key)
            found[job.method, job.axes["n_cells"], job.axes["n_genes"]] = record["status"], record["reason"]
        return found

    return run


@pytest.mark.parametrize("limit", [TIMEOUT, MEMORY])
def test_what_reached_a_limit_is_not_started_at_larger_sizes(outcomes, limit):
    def outcome(job):
        slow = job.method == "slow" and job.axes["n_genes"] == 100 and job.axes["n_cells"] >= 2000
        return limit if slow else ("done", "")

    found = outcomes(outcome)
    assert found.pop(("slow", 2000, 100)) == limit
    status, reason = found.pop(("slow", 4000, 100))
    assert status == "skipped"
    option = "timeout_minutes" if limit == TIMEOUT else "memory_gb"
    assert reason == f"not started: {option} was reached at n_cells=2000"
    assert set(found.values()) == {("done", "")}


def test_another_failure_says_nothing_of_larger_sizes(outcomes):
    failure = ("failed", "planted failure")
    found = outcomes(lambda job: failure if job.axes["n_cells"] == 1000 else ("done", ""))
    assert [found["slow", n, 20] for n in (1000, 2000, 4000)] == [failure, ("done", ""), ("done", "")]


def test_what_another_run_finished_meanwhile_is_kept(tmp_path):
    larger = next(job for job in jobs() if job.method == "slow" and job.axes == {"n_cells": 4000, "n_genes": 20})

    def run_jobs(started, results_dir):
        for job in started:
            record_failure(job, results_dir, 1, *(TIMEOUT if job.method == "slow" else ("done", "")))
            if job.axes["n_cells"] == 1000:  # while this size is computed here
                record_failure(larger, results_dir, 1, "done", "")

    run_growing(run_jobs, jobs(), tmp_path, "n_cells")
    assert Store(tmp_path, "scalability").read(larger.key)["status"] == "done"
