"""The local executor against methods that crash, hang, exhaust memory: one row is lost, the run lives."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from experiments.loop import job as job_module
from experiments.loop.executors.local import run_jobs
from experiments.loop.job import Job
from experiments.loop.store import Store

PROTOCOL = {
    "name": "as_written",
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "corruption": {"uniform": {"fraction": 0.1, "zero_probability": 0.9}},
    "imputation": {"scored": "changed"},
}


def job_of(method, path, **parameters):
    loader = {"_target_": "datasets.h5ad.load", "path": str(path), "name": "small"}
    return Job(
        experiment="imputation",
        module="experiments.imputation",
        dataset={"name": "small", "loader": loader},
        dataset_hash="h",
        method=method,
        config={"_target_": f"planted.{method}"} | parameters,
        protocol=PROTOCOL,
        axes={"corruption": "uniform"},
        seed=0,
    ).with_key()


@pytest.fixture
def compute(tmp_path, small_h5ad):
    """Run one job per planted method; return their records by method name."""

    def compute(*methods, limits=None, **parameters):
        jobs = [job_of(method, small_h5ad, **parameters) for method in methods]
        run_jobs(jobs, tmp_path, n_jobs=2, verbose=False, **(limits or {}))
        store = Store(tmp_path, "imputation")
        assert not list(store.folder.glob("*.tmp"))
        return {job.method: store.read(job.key) for job in jobs}

    return compute


def assert_ended(pid_file):
    """No process of those in the file goes on, at the latest in a moment."""
    pids = [int(pid) for pid in pid_file.read_text().split()]
    assert pids
    deadline = time.monotonic() + 5
    while left := [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_a_method_that_goes_to_another_folder_leaves_its_record_where_it_belongs(tmp_path, small_h5ad, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = job_of("Wanders", small_h5ad)
    job_module.run(job, "results", 1)
    assert Path.cwd() == Path("/")
    assert Store(tmp_path / "results", "imputation").load(job.key)["status"] == "done"


@pytest.mark.slow
def test_a_failure_costs_one_row(compute):
    odd = ("Exits", "Quits", "Interrupts")
    records = compute("Raises", "Aborts", "NotANumber", "Infinite", "CannotImpute", "Absent", "Noise", *odd)
    ended = {name: records.pop(name) for name in odd}
    assert {record["status"] for record in ended.values()} == {"failed"}
    assert ended["Exits"]["reason"].startswith("its code called sys.exit(3), which ends a program: let it raise")
    assert ended["Interrupts"]["reason"].startswith("its code raised KeyboardInterrupt")
    assert ended["Quits"]["reason"] == "the process ended without a result: exit code 0 (os._exit?)"
    assert {name: record["status"] for name, record in records.items()} == {
        "Raises": "failed",
        "Aborts": "failed",
        "NotANumber": "failed",
        "Infinite": "failed",
        "CannotImpute": "skipped",
        "Absent": "skipped",
        "Noise": "done",
    }
    assert records["Raises"]["reason"] == "planted failure"
    assert "RuntimeError: planted failure" in records["Raises"]["traceback"]
    assert records["Aborts"]["reason"] == "the process died: signal SIGABRT"
    assert "last words" in records["Aborts"]["traceback"]
    for name, value in (("NotANumber", "nan"), ("Infinite", "inf")):
        assert records[name]["reason"].startswith(f"impute() returned {value} for cell 0 and gene 0")
    assert records["CannotImpute"]["reason"] == "CannotImpute has no impute()"
    assert records["Absent"]["reason"] == "R package zinbwave is not installed (r_env/README.md)"
    done = records["Noise"]
    assert done["scores"]["median_l1"] > 0
    assert done["peak_memory_mb"] > 10
    assert done["threads"] == 1
    assert done["versions"]["numpy"]
    assert done["dataset_source"]["origin"]


def test_a_score_that_is_no_number_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr("experiments.imputation.evaluate", lambda *args, **axes: ({"median_l1": math.inf}, {}, {}))
    noise = {"_target_": "planted.Noise"}
    job = Job("imputation", "experiments.imputation", {"name": "x"}, "h", "noise", noise, PROTOCOL, {}, 0).with_key()
    monkeypatch.setattr(job_module, "load_dataset", lambda config: SimpleNamespace(uns={"source": {}}))
    job_module.run(job, tmp_path, threads=1)
    record = Store(tmp_path, "imputation").read(job.key)
    assert record["status"] == "failed"
    assert record["reason"] == "the score median_l1 is inf"


@pytest.mark.slow
def test_a_hang_ends_with_all_its_children(compute, tmp_path):
    pids = tmp_path / "pids"
    started = time.monotonic()
    record = compute("Hangs", limits={"timeout_minutes": 6 / 60}, pid_file=str(pids))["Hangs"]
    assert time.monotonic() - started < 60
    assert record["status"] == "timeout"
    assert "executor.timeout_minutes" in record["reason"]
    assert_ended(pids)


@pytest.mark.slow
def test_what_a_finished_job_leaves_running_ends_with_it(compute, tmp_path):
    record = compute("Leaves", pid_file=str(tmp_path / "pids"))["Leaves"]
    assert record["status"] == "done"
    assert record["seconds"]["total"] < 60  # it waits for no thread either
    assert_ended(tmp_path / "pids")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["guard", "job"])
def test_a_killed_process_of_a_job_leaves_nothing_running(compute, tmp_path, victim):
    pids = tmp_path / "pids"

    def strike():
        while not (pids.exists() and len(pids.read_text().split()) == 2):
            time.sleep(0.05)
        time.sleep(0.5)  # in which the run looks at what there is
        job = psutil.Process(int(pids.read_text().split()[0]))
        (job.parent() if victim == "guard" else job).kill()

    threading.Thread(target=strike, daemon=True).start()
    record = compute("Hangs", pid_file=str(pids))["Hangs"]
    assert record["reason"] == "the process died: signal SIGKILL"
    assert_ended(pids)


@pytest.mark.slow
def test_exhausted_memory_ends_the_job(compute):
    record = compute("Hungry", _resources_={"memory_gb": 1.0})["Hungry"]
    assert record["status"] == "failed"
    assert record["reason"].startswith("memory: 1.")
    assert record["peak_memory_mb"] > 1024


@pytest.mark.slow
def test_the_seed_of_a_method_comes_from_the_job(compute):
    first = compute("Noise")["Noise"]
    again = compute("Noise", random_state=first["seeds"]["fit"])["Noise"]
    assert first["key"] != again["key"]
    assert first["scores"] == again["scores"]


@pytest.fixture
def interrupted(tmp_path, small_h5ad):
    """The whole command, struck by a signal in the middle of its last job; what it had finished is on record."""
    here, pids, conf = Path(__file__).parent, tmp_path / "pids", tmp_path / "conf" / "method"
    conf.mkdir(parents=True)
    (conf / "hangs.yaml").write_text(f"_target_: planted.Hangs\npid_file: {pids}\n")
    command = [sys.executable, "-m", "experiments.run", "--config-dir", str(conf.parent), "+exp=imputation"]
    command += ["dataset=h5ad", f"dataset.path={small_h5ad}", "seeds=[0]", "experiment.axes.corruption=[uniform]"]
    command += ["~methods.scvi", "~methods.scvi_offset", "~methods.fa", "~methods.pca"]
    command += ["~methods.zifa", "~methods.zinbwave", "~methods.magic", "~methods.biscuit"]
    command += ["+method@methods.hangs=hangs", "executor.n_jobs=1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here)])}
    options = {"cwd": tmp_path, "env": environment, "text": True, "start_new_session": True}

    def strike(number):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        deadline = time.monotonic() + 240
        while not (pids.exists() and len(pids.read_text().split()) == 2):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=180)
        assert_ended(pids)
        store = Store(tmp_path / "results", "imputation")
        keys = [path.stem for path in store.folder.glob("*.json")]
        assert len(keys) == 3
        assert all(map(store.is_final, keys))
        return process.returncode, errors

    return strike


@pytest.mark.slow
def test_ctrl_c_stops_the_children_and_keeps_the_store(interrupted):
    code, errors = interrupted(signal.SIGINT)
    assert code == 130
    assert "the same command resumes" in errors


@pytest.mark.slow
def test_a_killed_run_takes_its_jobs_with_it_and_keeps_what_is_finished(interrupted):
    code, _ = interrupted(signal.SIGKILL)
    assert code == -signal.SIGKILL
