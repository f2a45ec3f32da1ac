"""The Slurm executor: every job one of Slurm's, submitted with submitit, computed on its node by the local executor."""

import importlib.util
import math
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from . import local, supervise

POLL_SECONDS = 3.0
STARTING_MINUTES = 5  # of Slurm's, beyond the time of ours: imports, and our limit must strike first
STARTING_GB = 1.0  # the process that watches over the job


def run_jobs(
    jobs,
    results_dir,
    *,
    n_jobs="auto",
    threads=1,
    gpus=0,
    timeout_minutes=120,
    memory_gb=8,
    retries=2,
    partition=None,
    account=None,
    options=None,
    setup=None,
    verbose=True,
):
    """Compute ``jobs`` on a Slurm cluster; each leaves a record in the store. Parameters: conf/executor/slurm.yaml.

    Raises
    ------
    OSError
        Where submitit or Slurm's commands are missing, or Slurm refuses a job.
    """
    limits = {"threads": threads, "memory_gb": memory_gb, "timeout_minutes": timeout_minutes}
    if not jobs:
        return
    require()
    with tempfile.TemporaryDirectory(dir=results_dir, prefix=".slurm-", ignore_cleanup_errors=True) as folder:
        more = dict(options or {}) | {"requeue": True}
        more |= {name: value for name, value in {"partition": partition, "account": account}.items() if value}
        engine = _Slurm(folder, Path(results_dir).resolve(), limits, more, setup)
        supervise(engine, jobs, results_dir, n_jobs=n_jobs, retries=retries, verbose=verbose, gpus=gpus, **limits)


def require():
    """Raise OSError where submitit or Slurm's commands are missing: a run asks before it reads anything."""
    if importlib.util.find_spec("submitit") is None:
        raise OSError(
            "executor=slurm needs submitit, which is not installed: pip install -c constraints.txt -e '.[slurm]'."
        )
    missing = [command for command in ("sbatch", "srun", "squeue", "scancel") if not shutil.which(command)]
    if missing:
        raise OSError(
            f"executor=slurm needs Slurm's {missing[0]}, which is not on this machine: start the run on a login "
            "node of the cluster, or install Slurm's commands (Debian: slurm-client)."
        )


class _Slurm:
    poll_seconds = POLL_SECONDS

    def __init__(self, folder, results_dir, limits, options, setup):
        import submitit

        self.results_dir, self.limits, self.setup, self.options = results_dir, limits, setup, options
        self.name = f"jobs-{uuid.uuid4().hex[:10]}"  # of the jobs of this run and no other
        self.executor = submitit.SlurmExecutor(folder=folder)
        self.refused = submitit.core.utils.FailedJobError
        self.submitted = {}

    def submit(self, job, asked):
        parameters = {"cpus_per_task": asked.cpus, "srun_args": [f"--cpus-per-task={asked.cpus}"]}
        parameters |= {"time": math.ceil(asked.timeout_minutes + STARTING_MINUTES), "job_name": self.name}
        if asked.memory_gb != "auto":
            parameters["mem"] = f"{round((asked.memory_gb + STARTING_GB) * 1024)}M"
        if asked.gpus:
            parameters["gpus_per_node"] = asked.gpus
        self.executor.parameters.clear()
        self.executor.update_parameters(**parameters, setup=self.setup, additional_parameters=self.options)
        try:
            own = self.executor.submit(_on_node, job, str(self.results_dir), self.limits)
        except self.refused as error:
            raise OSError(
                f"Slurm refuses the job of {job.label} ({' '.join(str(error).split())}): change what it asks for "
                "(executor.partition, methods.NAME._resources_), or submit fewer at once (executor.n_jobs)."
            ) from error
        self.submitted[own.job_id] = own
        return own.job_id

    def states(self, handles):
        """From squeue: sacct needs a database that a small cluster does not have."""
        command = ["squeue", "--noheader", "--name", self.name, "--format", "%i %T"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        if said.returncode:  # the controller restarts: nothing is known, so nothing has ended
            return dict.fromkeys(handles, "unknown: squeue does not answer")
        return dict(line.lower().split() for line in said.stdout.splitlines())

    def why(self, handle):
        log = self.submitted[handle].stderr() or self.submitted[handle].stdout() or ""
        return f"job {handle} of Slurm ended early", log

    def cancel(self, handles):
        """By name: it finds a job too that was submitted in the moment of the Ctrl-C."""
        subprocess.run(["scancel", "--quiet", "--name", self.name], capture_output=True, check=False)


def _on_node(job, results_dir, limits):
    """One job under the local executor."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # scancel: leave as at Ctrl-C, the job stops
    local.run_jobs([job], results_dir, n_jobs=1, verbose=False, **limits)
