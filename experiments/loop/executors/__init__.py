"""Executors: where the jobs of an experiment run; a yaml in conf/executor/ names ``run_jobs`` of a module.

``local`` computes jobs on this machine. ``slurm`` and ``ray`` hand each job to a node that computes it by ``local``,
so limits, crashes and claims mean the same everywhere. A further engine is one module with ``submit``, ``states``,
``why`` and ``cancel`` for ``supervise``, and one yaml. A module may have ``require()``, which raises OSError where
something that it needs is missing; a run asks it before it reads anything.
"""

import math
import os
import time
from collections import Counter, deque
from typing import NamedTuple

from tqdm import tqdm

from .. import job as job_module
from ..store import Store

LATE_SECONDS = 10.0  # a record may show up on a shared file system this long after a job has ended


class Resources(NamedTuple):
    """What one job asks for: ``_resources_`` of its method, and the executor's values for what that leaves out."""

    cpus: int
    gpus: float
    memory_gb: float | str  # "auto": what the executor gives where nothing is asked
    timeout_minutes: float


def resources(job, *, threads, gpus=0, memory_gb="auto", timeout_minutes):
    """Resources of ``job``; ValueError where its method asks for what there is not."""
    defaults = Resources(threads, gpus, memory_gb, timeout_minutes)
    own = job.config.get("_resources_") or {}
    where = f"methods.{job.method}._resources_"
    for name, value in own.items():
        if name not in Resources._fields:
            raise ValueError(f"{where}.{name} is not a resource; there are: {', '.join(Resources._fields)}.")
        lowest = {"cpus": 1, "gpus": 0}.get(name, 1e-9)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < lowest:
            raise ValueError(f"{where}.{name}={value}: give a number, e.g. {where}.{name}=2.")
    return defaults._replace(**own)


def at_once(n_jobs, threads, most):
    """How many jobs go on at once: ``n_jobs``, or ``most`` where that is "auto"; ValueError where either is below 1."""
    if threads < 1 or (n_jobs != "auto" and int(n_jobs) < 1):
        raise ValueError(f"executor.threads={threads}, executor.n_jobs={n_jobs}: both must be at least 1.")
    return most if n_jobs == "auto" else int(n_jobs)


def supervise(engine, jobs, results_dir, *, n_jobs, retries, verbose, **defaults):
    """Keep ``jobs`` going on ``engine`` until each has a record.

    One that ends without leaving it (a lost node, a killed process) is submitted again, ``retries`` times. What is
    still submitted when this is left, by Ctrl-C too, is cancelled.

    Parameters
    ----------
    engine : object
        ``submit(job, resources)`` returns a handle of its own on the job; ``states(handles)`` the state of each that
        has not ended; ``why(handle)`` a reason and a log for one that ended without a record; ``cancel(handles)`` ends
        them; ``poll_seconds`` is how long it is left alone.
    n_jobs : int or "auto"
        Jobs submitted at once; ``auto`` is all of them.
    defaults
        Of ``resources``.
    """
    # Who claims a job (locks.Claims)? Its node does, by computing it with the local executor; the submitter never:
    # what it has submitted would wait for it. So a claim lives and dies with the process that computes. Where a file
    # system has no locks between machines, two runs may compute one job, to the same result.
    most = at_once(n_jobs, defaults["threads"], math.inf)
    asked = {job.key: resources(job, **defaults) for job in jobs}
    waiting, running, ended, losses = deque(jobs), {}, {}, Counter()
    with tqdm(total=len(jobs), unit="job", disable=not verbose or not jobs, dynamic_ncols=True) as bar:
        try:
            while waiting or running:
                poll_at = time.monotonic() + engine.poll_seconds
                while waiting and len(running) < most and time.monotonic() < poll_at:
                    job = waiting.popleft()
                    store = Store(results_dir, job.experiment)
                    if not store.is_final(job.key):  # another run may have been here
                        store.path(job.key).unlink(missing_ok=True)  # an old failure is not this run's outcome
                        running[engine.submit(job, asked[job.key])] = job
                time.sleep(max(0.0, poll_at - time.monotonic()))
                states = engine.states(list(running))
                for handle in [handle for handle in running if handle not in states]:
                    job = running[handle]
                    if not _recorded(job, results_dir):
                        if time.monotonic() - ended.setdefault(handle, time.monotonic()) < LATE_SECONDS:
                            continue
                        losses[job.key] += 1
                        if losses[job.key] <= retries:
                            waiting.append(job)
                        else:
                            reason, log = engine.why(handle)
                            reason = f"lost {losses[job.key]} times (executor.retries={retries}): {reason}"
                            record_failure(job, results_dir, asked[job.key].cpus, "failed", reason, log)
                    del running[handle]
                counts = Counter(states.values()) + Counter({"to submit": len(waiting)})
                bar.set_postfix_str(", ".join(f"{n} {state}" for state, n in counts.items()), refresh=False)
                bar.update(len(jobs) - len(waiting) - len(running) - bar.n)
        finally:
            engine.cancel(list(running))


def _recorded(job, results_dir):
    store = Store(results_dir, job.experiment)
    os.listdir(store.folder)  # makes a network file system look again
    return store.read(job.key) is not None


def record_failure(job, results_dir, *outcome, **more):
    """Write the record of a job that could not write its own; the arguments are those of `loop.job.failure`."""
    Store(results_dir, job.experiment).write(job_module.failure(job, *outcome, **more), {})
