"""The Ray executor: every job a task of a Ray cluster, computed on its node by the local executor."""

import importlib.util
import os
import socket
import sys
from pathlib import Path

from . import local, supervise

POLL_SECONDS = 0.5
STOP_SECONDS = 15.0


def run_jobs(
    jobs,
    results_dir,
    *,
    address="auto",
    n_jobs="auto",
    threads=1,
    gpus=0,
    timeout_minutes=120,
    memory_gb=8,
    retries=2,
    verbose=True,
):
    """Compute ``jobs`` on a Ray cluster; each leaves a record in the store. Parameters: conf/executor/ray.yaml.

    Raises
    ------
    OSError
        Where ray is missing, or no cluster answers at ``address``.
    """
    limits = {"threads": threads, "memory_gb": memory_gb, "timeout_minutes": timeout_minutes}
    if not jobs:
        return
    require()
    engine = _Ray(address, Path(results_dir).resolve(), limits)
    try:
        supervise(engine, jobs, results_dir, n_jobs=n_jobs, retries=retries, verbose=verbose, gpus=gpus, **limits)
    finally:
        engine.ray.shutdown()


def require():
    """Raise OSError where ray is missing: a run asks before it reads anything."""
    if importlib.util.find_spec("ray") is None:
        raise OSError("executor=ray needs ray, which is not installed: pip install -c constraints.txt -e '.[ray]'.")


class _Ray:
    poll_seconds = POLL_SECONDS

    def __init__(self, address, results_dir, limits):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self.ray, self.results_dir, self.limits = ray, results_dir, limits
        environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}}
        try:
            if ":" in address and "//" not in address:  # ray.init itself would try for minutes
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(address=address, runtime_env=environment, log_to_driver=False, logging_level="WARNING")
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"No Ray cluster answers at executor.address={address} ({str(error).splitlines()[-1]}): start one with "
                "`ray start --head`, name another, HOST:PORT, or take executor.address=local for one on this machine."
            ) from error
        # One job per worker process: a job sees the GPUs that were given to it, not to the one before.
        self.task = ray.remote(max_calls=1, max_retries=0)(_on_worker)

    def submit(self, job, asked):
        memory = {} if asked.memory_gb == "auto" else {"memory": int(asked.memory_gb * 2**30)}
        task = self.task.options(num_cpus=asked.cpus, num_gpus=asked.gpus, name=job.label, **memory)
        return task.remote(job, str(self.results_dir), self.limits, os.getcwd())

    def states(self, handles):
        _, alive = self.ray.wait(handles, num_returns=len(handles), timeout=0) if handles else ([], [])
        return dict.fromkeys(alive, "submitted")

    def why(self, handle):
        try:
            self.ray.get(handle)
        except Exception as error:
            return f"{type(error).__name__} of Ray", str(error)
        return "the task left no record that is seen from here (a results_dir that is not shared?)", ""

    def cancel(self, handles):
        for handle in handles:
            self.ray.cancel(handle)
        if handles:
            self.ray.wait(handles, num_returns=len(handles), timeout=STOP_SECONDS)  # the jobs stop what they started


def _on_worker(job, results_dir, limits, folder):
    """The task: one job under the local executor, in the folder that paths are relative to."""
    os.chdir(folder)
    local.run_jobs([job], results_dir, n_jobs=1, verbose=False, **limits)
