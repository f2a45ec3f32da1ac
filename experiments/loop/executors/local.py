"""The local executor: every job in a process of its own, with a wall-clock and a memory limit.

A crash in R or C, a hang or an exhausted memory costs one row of the table, not the run.
"""

import contextlib
import multiprocessing
import os
import signal
import time
import warnings

import psutil
from tqdm import tqdm

from .. import job as job_module
from ..locks import Claims
from ..outcome import one_line
from ..store import Store
from . import at_once, guard, record_failure, resources

# Imported once, by the server that jobs are forked from: everything slow that a job or the main module imports.
PRELOAD = [
    "torch",
    "anndata",
    "sklearn.model_selection",
    "experiments.loop.job",
    "experiments.loop.executors.guard",
    "experiments.report.table",
    "experiments.report.page",
]
POLL_SECONDS = 0.1


def run_jobs(jobs, results_dir, *, n_jobs="auto", threads=1, timeout_minutes=120, memory_gb="auto", verbose=True):
    """Compute ``jobs``; each leaves a record in the store.

    Parameters
    ----------
    jobs : list of Job
        Those that are not finished. A job that another run is computing is left to it, and taken where that fails.
    results_dir : path
    n_jobs : int or "auto"
        Jobs at once; ``auto`` is the number of cores over ``threads``.
    threads : int
        CPU threads of one job; one that asks for more (``_resources_``) takes the place of several.
    timeout_minutes, memory_gb : float
        Limits of one job; ``memory_gb`` is resident memory, ``auto`` is 80% of the machine's over ``n_jobs``.

    Raises
    ------
    KeyboardInterrupt
        After the running jobs were stopped; what is finished stays.
    """
    n_jobs = at_once(n_jobs, threads, max(1, (os.cpu_count() or 1) // max(1, threads)))
    if memory_gb == "auto":
        memory_gb = 0.8 * psutil.virtual_memory().total / 2**30 / n_jobs
    limits = {"threads": threads, "memory_gb": memory_gb, "timeout_minutes": timeout_minutes}
    asked = {job.key: resources(job, **limits) for job in jobs}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    waiting, running, claims = list(jobs), [], Claims(results_dir)
    with tqdm(total=len(jobs), unit="job", disable=not verbose or not jobs, dynamic_ncols=True) as bar:
        try:
            while waiting or running:
                for job in list(waiting):
                    busy = sum(child.asked.cpus for child in running)
                    if running and busy + asked[job.key].cpus > n_jobs * threads:
                        break
                    if not claims.take(job.key):
                        continue
                    waiting.remove(job)
                    store = Store(results_dir, job.experiment)
                    if store.is_final(job.key):
                        claims.release(job.key)
                        bar.update()
                    else:
                        running.append(_Child(context, job, store, results_dir, asked[job.key]))
                elsewhere = ["waiting for another run"] if waiting and len(running) < n_jobs else []
                bar.set_postfix_str(", ".join([child.title for child in running] + elsewhere), refresh=False)
                time.sleep(POLL_SECONDS)
                for child in list(running):
                    if child.finished():
                        running.remove(child)
                        claims.release(child.job.key)
                        bar.update()
        finally:
            for child in running:
                child.process.terminate()  # all at once, then one after the other
            for child in running:
                child.stop()
            claims.close()


class _Child:
    """A running job below its guard, its log, its peak memory."""

    def __init__(self, context, job, store, results_dir, asked):
        self.job, self.store, self.results_dir, self.asked = job, store, results_dir, asked
        self.title = f"{job.label} {'/'.join(map(str, job.axes.values()))} seed {job.seed}"
        self.log = store.path(job.key, ".log")
        self.started, self.peak, self.below = time.monotonic(), 0, []
        store.path(job.key).unlink(missing_ok=True)  # an old failure must not be taken for this run's outcome
        self.log.write_bytes(b"")  # here, where a folder that takes nothing is said to the user
        call = job_module.run, (job, str(results_dir), asked.cpus), str(self.log)
        self.process = context.Process(target=guard.watch, args=call)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # preloaded libraries hold idle threads
            self.process.start()

    def finished(self):
        """Whether the job has ended, ending it where it is past a limit; then its record is in the store."""
        if self.process.is_alive():
            self.below = _below(self.process.pid) or self.below
            self.peak = max(self.peak, _resident(self.below))
            minutes, gigabytes = self.asked.timeout_minutes, self.asked.memory_gb
            if time.monotonic() - self.started > minutes * 60:
                own = "timeout_minutes" in (self.job.config.get("_resources_") or {})
                limit = f"{'_resources_' if own else 'executor'}.timeout_minutes"
                self._end("timeout", f"stopped after {minutes:.1f} minutes ({limit})")
            elif self.peak > gigabytes * 2**30:
                self._end("failed", f"memory: {self.peak / 2**30:.1f} GB in use, limit {gigabytes:.1f} GB")
            else:
                return False
            return True
        self.stop()
        if self.store.read(self.job.key) is None:
            self._record("failed", _death(self.process.exitcode, self._said()))
        elif self.process.exitcode == 0:
            self.log.unlink(missing_ok=True)
        return True

    def stop(self):
        """End the job and all that it started (R included)."""
        self.process.terminate()
        self.process.join(3 * guard.STOP_SECONDS)
        self.process.kill()
        self.process.join()
        for process in self.below:  # of a guard that was itself killed
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _end(self, status, reason):
        self.stop()
        if self.store.read(self.job.key) is None:  # what is finished stays, however its process ends
            self._record(status, reason)

    def _said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _record(self, status, reason):
        seconds, peak = time.monotonic() - self.started, self.peak / 2**20
        record_failure(self.job, self.results_dir, self.asked.cpus, status, reason, self._said(), seconds, peak)


def _below(pid):
    """The processes below a guard: its job and all that this has started."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _resident(processes):
    """Resident bytes of processes."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _death(exitcode, said):
    if exitcode is not None and exitcode < 0:
        return f"the process died: signal {signal.Signals(-exitcode).name}"
    last = one_line(said.strip().rpartition("\n")[2])
    return f"the process ended without a result: exit code {exitcode}" + (f", {last}" if last else " (os._exit?)")
