"""Executors: where the cells of an experiment run; a yaml in conf/executor/ names ``run_cells`` of a module.

``local`` computes cells on this machine. ``slurm`` and ``ray`` hand each cell to a node that computes it by ``local``,
so limits, crashes and claims mean the same everywhere. A further engine is one module with ``submit``, ``states``,
``why`` and ``cancel`` for ``supervise``, and one yaml.
"""

import math
import os
import time
from collections import Counter, deque
from typing import NamedTuple

from tqdm import tqdm

from .. import job as cell_module
from ..store import Store

LATE_SECONDS = 10.0  # a record may show up on a shared file system this long after its job has ended


class Resources(NamedTuple):
    """What one cell asks for: ``_resources_`` of its method, and the executor's values for what that leaves out."""

    cpus: int
    gpus: float
    memory_gb: float | str  # "auto": what the executor gives where nothing is asked
    timeout_minutes: float


def resources(cell, *, threads, gpus=0, memory_gb="auto", timeout_minutes):
    """Resources of ``cell``; ValueError where its method asks for what there is not."""
    defaults = Resources(threads, gpus, memory_gb, timeout_minutes)
    own = cell.config.get("_resources_") or {}
    where = f"methods.{cell.method}._resources_"
    for name, value in own.items():
        if name not in Resources._fields:
            raise ValueError(f"{where}.{name} is not a resource; there are: {', '.join(Resources._fields)}.")
        lowest = {"cpus": 1, "gpus": 0}.get(name, 1e-9)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < lowest:
            raise ValueError(f"{where}.{name}={value}: give a number, e.g. {where}.{name}=2.")
    return defaults._replace(**own)


def supervise(engine, cells, results_dir, *, n_jobs, retries, verbose, **defaults):
    """Keep the jobs of ``cells`` going on ``engine`` until each cell has a record.

    A job that ends without leaving one (a lost node, a killed process, a cancelled job) is submitted again, ``retries``
    times. What is still submitted when this is left, by Ctrl-C too, is cancelled.

    Parameters
    ----------
    engine : object
        ``submit(cell, resources)`` returns a job; ``states(jobs)`` the state of each job that has not ended;
        ``why(job)`` a reason and a log for one that ended without a record; ``cancel(jobs)`` ends jobs;
        ``poll_seconds`` is how long it is left alone.
    n_jobs : int or "auto"
        Jobs submitted at once; ``auto`` is all of them.
    defaults
        Of ``resources``.
    """
    # Who claims a cell (store.Claims)? Its node does, by computing it with the local executor; the submitter never: its
    # own job would wait for it. So a claim lives and dies with the process that computes. Where a file system has no
    # locks between machines, two runs may compute one cell, to the same result.
    if defaults["threads"] < 1 or (n_jobs != "auto" and int(n_jobs) < 1):
        raise ValueError(f"executor.threads={defaults['threads']}, executor.n_jobs={n_jobs}: both must be at least 1.")
    asked = {cell.key: resources(cell, **defaults) for cell in cells}
    at_once = math.inf if n_jobs == "auto" else int(n_jobs)
    waiting, running, ended, losses = deque(cells), {}, {}, Counter()
    with tqdm(total=len(cells), unit="cell", disable=not verbose or not cells, dynamic_ncols=True) as bar:
        try:
            while waiting or running:
                poll_at = time.monotonic() + engine.poll_seconds
                while waiting and len(running) < at_once and time.monotonic() < poll_at:
                    cell = waiting.popleft()
                    store = Store(results_dir, cell.experiment)
                    if not store.is_final(cell.key):  # another run may have been here
                        store.path(cell.key).unlink(missing_ok=True)  # an old failure is not this run's outcome
                        running[engine.submit(cell, asked[cell.key])] = cell
                time.sleep(max(0.0, poll_at - time.monotonic()))
                states = engine.states(list(running))
                for job in [job for job in running if job not in states]:
                    cell = running[job]
                    if not _recorded(cell, results_dir):
                        if time.monotonic() - ended.setdefault(job, time.monotonic()) < LATE_SECONDS:
                            continue
                        losses[cell.key] += 1
                        if losses[cell.key] <= retries:
                            waiting.append(cell)
                        else:
                            reason, log = engine.why(job)
                            reason = f"lost {losses[cell.key]} times (executor.retries={retries}): {reason}"
                            record_failure(cell, results_dir, asked[cell.key].cpus, "failed", reason, log)
                    del running[job]
                counts = Counter(states.values()) + Counter({"to submit": len(waiting)})
                bar.set_postfix_str(", ".join(f"{n} {state}" for state, n in counts.items()), refresh=False)
                bar.update(len(cells) - len(waiting) - len(running) - bar.n)
        finally:
            engine.cancel(list(running))


def _recorded(cell, results_dir):
    store = Store(results_dir, cell.experiment)
    os.listdir(store.folder)  # makes a network file system look again
    return store.read(cell.key) is not None


def record_failure(cell, results_dir, threads, status, reason, log="", seconds=0.0, peak_memory_mb=0.0):
    """The record of a cell that could not write its own."""
    outcome = {"status": status, "reason": reason, "scores": {}, "facts": {}, "seconds": {"total": seconds}}
    outcome |= {"traceback": log[-4000:], "peak_memory_mb": peak_memory_mb}
    Store(results_dir, cell.experiment).write(cell_module.describe(cell, threads) | outcome, {})
