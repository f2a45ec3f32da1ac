"""Executors beside the local one: a job means the same, a lost job is submitted again, Ctrl-C cancels.

The loop they share is tested with an engine that loses jobs on purpose. Slurm and Ray are tested as a user runs them,
on a cluster of two nodes that the test starts on the loopback of this machine; where they are not installed, skipped.
"""

import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from experiments.loop import executors
from experiments.loop.job import Job
from experiments.loop.settings import executor
from experiments.loop.store import Store

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
QUICK = ["+exp=imputation", "dataset=h5ad", "experiment.axes.corruption=[uniform]", "~methods.scvi"]
QUICK += ["~methods.scvi_offset", "~methods.fa", "~methods.zifa", "~methods.zinbwave", "~methods.magic"]
QUICK += ["~methods.biscuit", "~methods.pca", "~methods.gene_mean", "~methods.identity", "~methods.oracle"]
DEFAULTS = {"threads": 1, "timeout_minutes": 120}


def job(seed=0, **own):
    config = {"_target_": "baselines.pca.PCA", "n_latent": 2} | ({"_resources_": own} if own else {})
    dataset = {"name": "small"}
    protocol = {"name": "as_written"}
    parts = ("imputation", "experiments.imputation", dataset, "hash", "pca", config, protocol, {}, seed)
    return Job(*parts).with_key()


def test_a_method_asks_and_the_executor_has_the_rest():
    asked = executors.resources(job(gpus=0.5, memory_gb=64), threads=2, memory_gb=8, timeout_minutes=120)
    assert asked == (2, 0.5, 64, 120)
    assert job(memory_gb=64).key == job().key  # what it asks for changes no result


@pytest.mark.parametrize("own", [{"gpu": 1}, {"cpus": 0}, {"memory_gb": "8"}, {"timeout_minutes": 0}, {"gpus": True}])
def test_what_cannot_be_asked_for_is_said(own):
    with pytest.raises(ValueError, match=rf"methods\.pca\._resources_\.{next(iter(own))}"):
        executors.resources(job(**own), **DEFAULTS)


@pytest.mark.parametrize("name", ["local", "slurm", "ray"])
def test_the_address_in_users_own_configurations_is_the_same_executor(name, monkeypatch):
    monkeypatch.setattr(f"experiments.loop.executors.{name}.require", lambda: None, raising=False)
    found = executor({"_target_": f"experiments.executors.{name}.run_cells", "threads": 2})
    assert found.func is importlib.import_module(f"experiments.loop.executors.{name}").run_jobs
    assert found.keywords == {"threads": 2}


class Lossy:
    """An engine that has ended what was submitted at the next look; a job succeeds at its ``succeeds_at``-th time."""

    poll_seconds = 0.01

    def __init__(self, results_dir, succeeds_at):
        self.results_dir, self.succeeds_at = results_dir, succeeds_at
        self.jobs, self.most, self.cancelled = [], 0, None

    def submit(self, job, asked):
        self.jobs.append(job)
        if sum(c.key == job.key for c in self.jobs) == self.succeeds_at.get(job.seed, 1):
            Store(self.results_dir, "imputation").write({"key": job.key, "status": "done", "arrays": []}, {})
        return len(self.jobs) - 1

    def states(self, jobs):
        self.most = max(self.most, len(jobs))
        return {}

    def why(self, job):
        return f"job {job} vanished", "last words"

    def cancel(self, jobs):
        self.cancelled = jobs


def supervise(engine, jobs, tmp_path, monkeypatch, n_jobs="auto"):
    monkeypatch.setattr(executors, "LATE_SECONDS", 0.0)
    executors.supervise(engine, jobs, tmp_path, n_jobs=n_jobs, retries=2, verbose=False, **DEFAULTS)
    return [Store(tmp_path, "imputation").read(job.key) for job in jobs]


def test_a_lost_job_is_submitted_again_and_given_up_in_the_end(tmp_path, monkeypatch):
    engine = Lossy(tmp_path, {1: 3, 2: 4})
    records = supervise(engine, [job(seed) for seed in range(3)], tmp_path, monkeypatch)
    assert [record["status"] for record in records] == ["done", "done", "failed"]
    assert [sum(c.seed == seed for c in engine.jobs) for seed in range(3)] == [1, 3, 3]
    assert records[2]["reason"].startswith("lost 3 times (executor.retries=2): job ")
    assert records[2]["traceback"] == "last words"
    assert engine.cancelled == []


def test_no_more_jobs_at_once_than_asked_for(tmp_path, monkeypatch):
    engine = Lossy(tmp_path, {})
    engine.poll_seconds = 0.3  # time to submit them all
    supervise(engine, [job(seed) for seed in range(5)], tmp_path, monkeypatch, n_jobs=2)
    assert engine.most == 2
    assert len(engine.jobs) == 5


def test_a_finished_cell_is_not_submitted_and_an_old_failure_is(tmp_path, monkeypatch):
    store = Store(tmp_path, "imputation")
    for seed, status in enumerate(["done", "failed"]):
        store.write({"key": job(seed).key, "status": status, "arrays": []}, {})
    engine = Lossy(tmp_path, {})
    records = supervise(engine, [job(0), job(1)], tmp_path, monkeypatch)
    assert [c.seed for c in engine.jobs] == [1]
    assert records[1]["status"] == "done"


def test_whatever_ends_the_loop_cancels_what_was_submitted(tmp_path):
    engine = Lossy(tmp_path, {0: 9})

    def interrupt(jobs):
        raise KeyboardInterrupt

    engine.states = interrupt
    with pytest.raises(KeyboardInterrupt):
        executors.supervise(engine, [job()], tmp_path, n_jobs=1, retries=2, verbose=False, **DEFAULTS)
    assert engine.cancelled == [0]


@pytest.mark.parametrize("name", ["slurm", "ray"])
def test_what_is_missing_is_said_in_one_sentence(name, tmp_path, monkeypatch):
    """No package, and then no sbatch and no cluster."""
    run_jobs = importlib.import_module(f"experiments.loop.executors.{name}").run_jobs
    package = {"slurm": "submitit", "ray": "ray"}[name]
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, package, None)
        missing = rf"executor={name} needs {package}, which is not installed: pip install"
        with pytest.raises(OSError, match=missing):
            run_jobs([job()], tmp_path)
        with pytest.raises(OSError, match=missing):  # before anything is read
            executor({"_target_": f"experiments.loop.executors.{name}.run_jobs"})
    if name == "slurm" and importlib.util.find_spec("submitit"):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(OSError, match="executor=slurm needs Slurm's sbatch, which is not on this machine"):
            run_jobs([job()], tmp_path)
    if name == "ray" and importlib.util.find_spec("ray"):
        with pytest.raises(OSError, match=r"No Ray cluster answers at executor\.address=127\.0\.0\.2:1 .*refused"):
            run_jobs([job()], tmp_path, address="127.0.0.2:1")
    assert not list(tmp_path.iterdir())


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def until(true, seconds=180, process=None):
    deadline = time.monotonic() + seconds
    while not true():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)


def listens(*address):
    with socket.socket() as client:
        return client.connect_ex(address) == 0


def kill_watcher(pid):
    """kill -9 of the process that computes a job on its node: above the job are its guard, the fork server, and it."""
    psutil.Process(pid).parent().parent().parent().kill()


@pytest.fixture(scope="module")
def slurm():
    """Slurm of two nodes: environment, options, how to lose the job of a process."""
    if not (
        importlib.util.find_spec("submitit") and shutil.which("sbatch") and shutil.which("munged", path="/usr/sbin")
    ):
        pytest.skip("submitit, Slurm or munge is not installed (pip install -e '.[slurm]'; Debian: slurm-wlm, munge)")
    start = ["sh", str(ROOT / "tests/slurm/start.sh"), "sh", "-c", "echo $SLURM_CONF; cat"]  # until its input ends
    with subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        conf = cluster.stdout.readline().strip()
        assert conf, "Slurm did not start"
        environment = {"SLURM_CONF": conf}

        def lose(pid):
            subprocess.run(
                ["scancel", psutil.Process(pid).environ()["SLURM_JOB_ID"]], check=True, env=os.environ | environment
            )

        yield environment, ["executor=slurm"], lose
        left = subprocess.run(["squeue", "--noheader"], env=os.environ | environment, capture_output=True, text=True)
        cluster.communicate()
    assert left.stdout == ""


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    """A Ray cluster of two machines, 127.0.0.2 and 127.0.0.3; losing a job is losing the second machine."""
    command = shutil.which("ray", path=os.path.dirname(sys.executable))
    if command is None:
        pytest.skip("ray is not installed (pip install -e '.[ray]')")
    with socket.create_server(("127.0.0.2", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(tmp_path_factory.mktemp("ray"))
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    options = {"env": os.environ | environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    more = ["--num-cpus=1", "--object-store-memory=100000000", "--block"]
    head = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"]
    nodes = [subprocess.Popen([command, "start", *head, "--node-ip-address=127.0.0.2", *more], **options)]
    try:
        until(lambda: listens("127.0.0.2", port), process=nodes[0])
        other = [f"--address=127.0.0.2:{port}", "--node-ip-address=127.0.0.3"]
        nodes.append(subprocess.Popen([command, "start", *other, *more], **options))
        yield environment, ["executor=ray", f"executor.address=127.0.0.2:{port}"], kill_watcher
    finally:
        for node in reversed(nodes):
            node.terminate()
            node.wait(60)


@pytest.fixture
def start(request, tmp_path, small_h5ad):
    """Start the whole command on a cluster, with as many jobs that stall at first as asked for."""
    environment, options, lose = request.getfixturevalue(request.param)
    (tmp_path / "conf" / "method").mkdir(parents=True)
    (tmp_path / "pids").mkdir()
    (tmp_path / "conf/method/stalls.yaml").write_text(
        f"_target_: planted.Stalls\nfolder: {tmp_path}/pids\n_resources_: {{memory_gb: 3, timeout_minutes: 30}}\n"
    )
    command = [sys.executable, "-m", "experiments.run", "--config-dir", "conf", *QUICK, f"dataset.path={small_h5ad}"]
    command += ["+method@methods.stalls=stalls", *options]
    environment = os.environ | environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}

    def start(n):
        process = subprocess.Popen([*command, f"seeds={[*range(n)]}"], cwd=tmp_path, env=environment, **piped)

        def pids():
            return [[int(pid) for pid in path.read_text().split()] for path in (tmp_path / "pids").iterdir()]

        until(lambda: [len(pair) for pair in pids()] == [2, 2], process=process)
        return process, pids, lose, environment

    return start


clusters = pytest.mark.parametrize("start", ["slurm", "ray"], indirect=True)


@pytest.mark.cluster
@clusters
def test_jobs_killed_under_way_are_submitted_again_and_every_cell_is_done(start, tmp_path):
    process, pids, lose, _ = start(2)
    (first, first_child), (second, second_child) = pids()
    kill_watcher(first)
    lose(second)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, said + errors
    store = Store(tmp_path / "results", "imputation")
    records = [store.read(path.stem) for path in store.folder.glob("*.json")]
    assert [record["status"] for record in records] == ["done", "done"]
    assert not {record["process"] for record in records} & {first, second}
    for pid in (first, first_child, second, second_child):
        until(lambda pid=pid: gone(pid), 20)
    assert {path.name for path in (tmp_path / "results").iterdir()} <= {
        "figures",
        "records",
        "report",
        "runs",
        "tables",
    }


@pytest.mark.cluster
@clusters
def test_ctrl_c_cancels_what_was_submitted(start, tmp_path):
    process, pids, _, environment = start(3)  # two run, one waits
    if "SLURM_CONF" in environment:
        ask = ["squeue", "--noheader", "--format", "%C %m %l %T"]
        queue = subprocess.run(ask, env=environment, capture_output=True, text=True, check=True).stdout
        assert sorted(queue.splitlines()) == ["1 4G 35:00 PENDING", "1 4G 35:00 RUNNING", "1 4G 35:00 RUNNING"]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command resumes" in errors
    for pid in itertools.chain(*pids()):
        until(lambda pid=pid: gone(pid), 30)
    if "SLURM_CONF" in environment:
        ask = ["squeue", "--noheader"]
        until(lambda: subprocess.run(ask, env=environment, capture_output=True, check=True).stdout == b"", 30)
    assert len(pids()) == 2  # the third never started
    assert not list((tmp_path / "results/records/imputation").glob("*.json"))  # cancelled is not failed
