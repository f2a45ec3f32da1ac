"""Jobs by the code of an earlier commit and by today's: each by its own, and only where records are of that code."""

import shutil
import subprocess

import pytest
from command_line import command

from experiments.loop import twice
from experiments.loop.carry import differences, settings_of, today_of
from experiments.loop.paths import ROOT
from experiments.loop.store import Store

CODE = ("baselines", "conf", "datasets", "experiments", "r_env", "scvi_core")


def git(folder, *arguments):
    own = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.slow
def test_each_code_computes_its_own_records(tmp_path, monkeypatch):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    repository = tmp_path / "repository"
    for name in CODE:
        shutil.copytree(ROOT / name, repository / name, ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    git(repository, "init")
    git(repository, "add", ".")
    git(repository, "commit", "--message", "as it is")
    monkeypatch.setattr(twice, "ROOT", repository)
    own = ["+exp=imputation", "dataset=simulated", "dataset.n_cells=60", "methods=[gene_mean]", "seeds=[0]"]
    done = command(*own, "experiment.axes.corruption=[uniform]", "results_dir=results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "results", "imputation")
    (record,) = (store.load(key) for key in store)
    old = today_of(record, settings_of)
    with twice.computed_twice([old], tmp_path / "results", "imputation", "HEAD", n_jobs=1) as (earlier, today):
        before, after = earlier.load(record["key"]), today.load(old.job.key)
        assert differences(before, after, earlier.arrays(before), today.arrays(after)) == []
        assert before["written"] != after["written"] != record["written"]  # three jobs, not one read three times
    source = repository / "baselines" / "controls.py"
    source.write_text(source.read_text().replace("X.mean(axis=0)", "2 * X.mean(axis=0)"))
    git(repository, "commit", "--all", "--message", "other means")
    with (
        pytest.raises(ValueError, match="is not of this code"),
        twice.computed_twice([old], tmp_path / "results", "imputation", "HEAD", n_jobs=1),
    ):
        pass
    with (
        pytest.raises(ValueError, match="git worktree add failed"),
        twice.computed_twice([old], tmp_path / "results", "imputation", "nowhere"),
    ):
        pass
