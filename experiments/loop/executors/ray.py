"""The Ray executor: every cell a task of a Ray cluster, computed on its node by the local executor."""

import os
import socket
import sys
from pathlib import Path

from . import local, supervise

POLL_SECONDS = 0.5
STOP_SECONDS = 15.0


def run_cells(
    cells,
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
    """Compute ``cells`` on a Ray cluster; each leaves a record in the store. Parameters: conf/executor/ray.yaml.

    Raises
    ------
    OSError
        Where ray is missing, or no cluster answers at ``address``.
    """
    limits = {"threads": threads, "memory_gb": memory_gb, "timeout_minutes": timeout_minutes}
    if not cells:
        return
    engine = _Ray(address, Path(results_dir).resolve(), limits)
    try:
        supervise(engine, cells, results_dir, n_jobs=n_jobs, retries=retries, verbose=verbose, gpus=gpus, **limits)
    finally:
        engine.ray.shutdown()


class _Ray:
    poll_seconds = POLL_SECONDS

    def __init__(self, address, results_dir, limits):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise OSError(
                "executor=ray needs ray, which is not installed: pip install -c constraints.txt -e '.[ray]'."
            ) from error
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
        # One cell per worker process: a cell sees the GPUs that were given to it, not to the one before.
        self.task = ray.remote(max_calls=1, max_retries=0)(_on_worker)

    def submit(self, cell, asked):
        memory = {} if asked.memory_gb == "auto" else {"memory": int(asked.memory_gb * 2**30)}
        task = self.task.options(num_cpus=asked.cpus, num_gpus=asked.gpus, name=cell.label, **memory)
        return task.remote(cell, str(self.results_dir), self.limits, os.getcwd())

    def states(self, jobs):
        _, alive = self.ray.wait(jobs, num_returns=len(jobs), timeout=0) if jobs else ([], [])
        return dict.fromkeys(alive, "submitted")

    def why(self, job):
        try:
            self.ray.get(job)
        except Exception as error:
            return f"{type(error).__name__} of Ray", str(error)
        return "the task left no record that is seen from here (a results_dir that is not shared?)", ""

    def cancel(self, jobs):
        for job in jobs:
            self.ray.cancel(job)
        if jobs:
            self.ray.wait(jobs, num_returns=len(jobs), timeout=STOP_SECONDS)  # the cells stop what they started


def _on_worker(cell, results_dir, limits, folder):
    """The task: one cell under the local executor, in the folder that paths are relative to."""
    os.chdir(folder)
    local.run_cells([cell], results_dir, n_jobs=1, verbose=False, **limits)
