"""The archives in results/records/ are of today's code: the runs of conf/ find their jobs in them.

After a change of code that computes, `python -m experiments.rekey` carries over what comes out the same, and
`python -m experiments.pack` folds it in (docs/records.md).
"""

import subprocess

import pytest

from experiments.loop import config
from experiments.loop.archive import Archive
from experiments.loop.jobs import enumerate_jobs
from experiments.loop.paths import ROOT

ARCHIVES = sorted((ROOT / "results" / "records").glob("*/*.zip"))


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_job_of_a_run_is_on_record_under_its_key_of_today(path):
    archive = Archive(path)
    records = [archive.load(key) for key in archive]
    ((experiment, dataset, protocol),) = {tuple(r[n] for n in ("experiment", "dataset", "protocol")) for r in records}
    (digest,) = {record["dataset_hash"] for record in records}
    jobs = enumerate_jobs(config.today(experiment, dataset, protocol, None), digest)
    assert len(jobs) >= 5
    assert {job.key for job in jobs} <= set(archive)
    assert all(record["status"] == "done" for record in records)


def test_there_are_archives_and_they_are_small():
    assert len(ARCHIVES) >= 12
    assert sum(path.stat().st_size for path in ARCHIVES) < 20e6


def test_the_repository_carries_of_figures_the_pictures_that_the_page_shows():
    listed = subprocess.run(["git", "ls-files", "-z", "results"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = [name for name in listed.stdout.split("\0") if name]
    figures = [name for name in files if name.startswith("results/figures/")]
    assert len(figures) > 100
    assert [name for name in figures if not name.endswith(".png") or "flip=" in name or "[" in name] == []
    assert sum((ROOT / name).stat().st_size for name in files if (ROOT / name).is_file()) < 35e6
