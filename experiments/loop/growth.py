"""Sizes one after the other: what a limit stopped at one size is not started at a larger one."""

from .executors import record_failure
from .store import Store


def run_growing(run_jobs, jobs, results_dir, axis):
    """Compute ``jobs`` size by size; what a method has not finished beyond a size that it was stopped at is skipped.

    Where a method ends at its limit of hours, each larger size would cost those hours again and end there too.

    Parameters
    ----------
    run_jobs : callable
        Of an executor: ``run_jobs(jobs, results_dir)``.
    jobs : list of Job
        Those that are not finished.
    results_dir : path
    axis : str
        The axis along which time and memory grow; its values are numbers.
    """
    stopped = {}  # row -> why its larger sizes are not started
    for size in sorted({job.axes[axis] for job in jobs}):
        started = []
        for job in (job for job in jobs if job.axes[axis] == size):
            if _row(job, axis) not in stopped:
                started.append(job)
            elif not Store(results_dir, job.experiment).is_final(job.key):  # another run may have been here
                reason = stopped[_row(job, axis)]
                record_failure(job, results_dir, threads=None, status="skipped", reason=reason)
        run_jobs(started, results_dir)
        for job in started:
            limit = _limit(Store(results_dir, job.experiment).read(job.key))
            if limit:
                stopped[_row(job, axis)] = f"not started: {limit} was reached at {axis}={size}"


def _row(job, axis):
    """What tells a job from others of the same size."""
    return job.method, job.seed, *(value for name, value in job.axes.items() if name != axis)


def _limit(record):
    """The option that ended a job, if one did."""
    if record is not None and record["status"] == "timeout":
        return "timeout_minutes"
    return "memory_gb" if record is not None and record["reason"].startswith("memory: ") else None
