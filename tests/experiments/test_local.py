"""The local executor against methods that crash, hang, exhaust memory: one row is lost, the run lives."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from experiments.cell import Cell
from experiments.local import run_cells
from experiments.store import Store

PROTOCOL = {
    "name": "as_written",
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "corruption": {"uniform": {"fraction": 0.1, "zero_probability": 0.9}},
    "imputation": {"scored": "changed"},
}


@pytest.fixture
def compute(tmp_path, small_h5ad):
    """Run one cell per planted method; return their records by method name."""

    def compute(*methods, limits=None, **parameters):
        loader = {"_target_": "datasets.h5ad.load", "path": str(small_h5ad), "name": "small"}
        dataset = {"name": "small", "loader": loader}
        cells = [
            Cell(
                experiment="imputation",
                module="experiments.imputation",
                dataset=dataset,
                dataset_hash="h",
                method=method,
                config={"_target_": f"planted.{method}"} | parameters,
                protocol=PROTOCOL,
                axes={"corruption": "uniform"},
                seed=0,
            ).with_key()
            for method in methods
        ]
        run_cells(cells, tmp_path, n_jobs=2, verbose=False, **(limits or {}))
        store = Store(tmp_path, "imputation")
        assert not list(store.folder.glob("*.tmp"))
        return {cell.method: store.read(cell.key) for cell in cells}

    return compute


def test_a_failure_costs_one_row(compute):
    records = compute("Raises", "Aborts", "NotANumber", "CannotImpute", "Absent", "Noise")
    assert {name: record["status"] for name, record in records.items()} == {
        "Raises": "failed",
        "Aborts": "failed",
        "NotANumber": "failed",
        "CannotImpute": "skipped",
        "Absent": "skipped",
        "Noise": "done",
    }
    assert records["Raises"]["reason"] == "planted failure"
    assert "RuntimeError: planted failure" in records["Raises"]["traceback"]
    assert records["Aborts"]["reason"] == "the process died: signal SIGABRT"
    assert "last words" in records["Aborts"]["traceback"]
    assert records["NotANumber"]["reason"] == "the score median_l1 is NaN"
    assert records["CannotImpute"]["reason"] == "CannotImpute has no impute()"
    assert records["Absent"]["reason"] == "R package zinbwave is not installed (r_env/README.md)"
    done = records["Noise"]
    assert done["scores"]["median_l1"] > 0
    assert done["peak_memory_mb"] > 10
    assert done["threads"] == 1
    assert done["versions"]["numpy"]
    assert done["dataset_source"]["origin"]


def test_a_hang_ends_with_all_its_children(compute, tmp_path):
    pids = tmp_path / "pids"
    started = time.monotonic()
    record = compute("Hangs", limits={"timeout_minutes": 6 / 60}, pid_file=str(pids))["Hangs"]
    assert time.monotonic() - started < 60
    assert record["status"] == "timeout"
    assert "executor.timeout_minutes" in record["reason"]
    for pid in map(int, pids.read_text().split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_exhausted_memory_ends_the_cell(compute):
    record = compute("Hungry", limits={"memory_gb": 1.0})["Hungry"]
    assert record["status"] == "failed"
    assert record["reason"].startswith("memory: 1.")
    assert record["peak_memory_mb"] > 1024


def test_the_seed_of_a_method_comes_from_the_cell(compute):
    first = compute("Noise")["Noise"]
    again = compute("Noise", random_state=first["seeds"]["fit"])["Noise"]
    assert first["key"] != again["key"]
    assert first["scores"] == again["scores"]


def test_ctrl_c_stops_the_children_and_keeps_the_store(tmp_path, small_h5ad):
    """The whole command, interrupted in the middle of a cell: exit code 130, no process left, the next run resumes."""
    here = Path(__file__).parent
    pids = tmp_path / "pids"
    conf = tmp_path / "conf" / "method"
    conf.mkdir(parents=True)
    (conf / "hangs.yaml").write_text(f"_target_: planted.Hangs\npid_file: {pids}\n")
    command = [sys.executable, "-m", "experiments.run", "--config-dir", str(conf.parent), "+exp=imputation"]
    command += ["dataset=h5ad", f"dataset.path={small_h5ad}", "seeds=[0]", "experiment.axes.corruption=[uniform]"]
    command += ["~methods.scvi", "~methods.scvi_offset", "~methods.fa", "~methods.pca"]
    command += [f"results_dir={tmp_path / 'results'}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here)])}
    options = {"cwd": tmp_path, "env": environment, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen([*command, "+method@methods.hangs=hangs"], stdout=subprocess.DEVNULL, **options)
    deadline = time.monotonic() + 120
    while not (pids.exists() and len(pids.read_text().split()) == 2):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command resumes" in errors
    for pid in map(int, pids.read_text().split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    again = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert again.returncode == 0, again.stderr
