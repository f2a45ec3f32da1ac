"""Methods that misbehave on purpose, for the tests of the run loop."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

from baselines.base import Method
from baselines.controls import GeneMean, Identity
from experiments.loop.job import run


class Noise(Method):
    """Imputes noise that depends on its seed alone."""

    def __init__(self, scale=1.0, random_state=0):
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, batch=None):
        return self

    def impute(self, X, batch=None):
        return self.scale * np.random.default_rng(self.random_state).random(X.shape)


class Raises(Method):
    def fit(self, X, batch=None):
        raise RuntimeError("planted failure")

    def impute(self, X, batch=None):
        raise AssertionError


class Aborts(Identity):
    def fit(self, X, batch=None):
        print("last words", flush=True)
        os.abort()


def let_go():
    """Start a process that ignores polite requests, in a session of its own, whose parent ends; return its id."""
    script = "trap '' TERM; sleep 600 >/dev/null 2>&1 & echo $!"
    return int(subprocess.check_output(["setsid", "sh", "-c", script]))


class Leaves(Noise):
    """Leaves a process and a thread behind, and is done."""

    def __init__(self, pid_file="", random_state=0):
        self.pid_file = pid_file
        self.scale = 1.0
        self.random_state = random_state

    def fit(self, X, batch=None):
        threading.Thread(target=time.sleep, args=(600,)).start()
        with open(self.pid_file, "w") as file:
            file.write(str(let_go()))
        return self


class Exits(Identity):
    def fit(self, X, batch=None):
        raise SystemExit(3)


class Quits(Identity):
    def fit(self, X, batch=None):
        os._exit(0)


class Interrupts(Identity):
    def fit(self, X, batch=None):
        raise KeyboardInterrupt


class Hangs(Identity):
    """Starts a process that outlives a polite request, and waits for ever."""

    def __init__(self, pid_file=""):
        self.pid_file = pid_file

    def fit(self, X, batch=None):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = let_go()
        with open(self.pid_file, "w") as file:
            file.write(f"{os.getpid()} {child}")
        time.sleep(600)


class Hungry(Identity):
    def fit(self, X, batch=None):
        hoard = []
        while True:
            hoard.append(np.ones(2**24))
            time.sleep(0.05)


class Wanders(Identity):
    """Goes to another folder and stays there."""

    def fit(self, X, batch=None):
        os.chdir("/")
        return self


class NotANumber(Identity):
    def impute(self, X, batch=None):
        return np.full(X.shape, np.nan)


class Infinite(Identity):
    def impute(self, X, batch=None):
        return np.full(X.shape, np.inf)


class CannotImpute(Method):
    def fit(self, X, batch=None):
        return self


class Absent(Identity):
    def fit(self, X, batch=None):
        error = RuntimeError("R package zinbwave is not installed (r_env/README.md)")
        error.skip = True
        raise error


class FillsTheDisk(Identity):
    """Leaves no room for its own record."""

    def __init__(self, path=""):
        self.path = path

    def fit(self, X, batch=None):
        with contextlib.suppress(OSError), open(self.path, "wb", buffering=0) as file:
            while True:
                file.write(bytes(2**12))
        return self


class Removes(Identity):
    """Removes all records that there are, at its first fit."""

    def __init__(self, folder=""):
        self.folder = folder

    def fit(self, X, batch=None):
        mark = Path(self.folder, "removed")
        if not mark.exists():
            mark.touch()
            for path in Path(self.folder).rglob("*.json"):
                path.unlink()
        return self


class Tallied(Noise):
    """Adds a line to a file at each fit."""

    def __init__(self, tally="", random_state=0):
        self.tally = tally
        self.random_state = random_state
        self.scale = 1.0

    def fit(self, X, batch=None):
        time.sleep(1)
        with open(self.tally, "a") as file:
            file.write(f"{self.random_state}\n")
        return self


class Stalls(Hangs):
    """Hangs at its first fit with a seed, not at the second."""

    def __init__(self, folder="", random_state=0):
        self.folder = folder
        self.random_state = random_state

    def fit(self, X, batch=None):
        self.pid_file = os.path.join(self.folder, str(self.random_state))
        return self if os.path.exists(self.pid_file) else super().fit(X)


class Echo(Method):
    """Cheats: imputes what it was given."""

    def fit(self, X, batch=None):
        return self

    def impute(self, X, batch=None):
        return X.toarray()


class GeneMeanAgain(GeneMean):
    """Knows nothing, as the control does, and is entered as a method."""


class Knows(Method):
    """Imputes the truth: looks a cell up among the counts before the corruption, which only lowers them."""

    def __init__(self, truth=""):
        self.truth = truth

    def fit(self, X, batch=None):
        self.cells_ = np.load(self.truth)
        return self

    def impute(self, X, batch=None):
        distance = np.abs(X.toarray()[:, None] - self.cells_[None]).sum(axis=2)
        return self.cells_[distance.argmin(axis=1)].astype(float)


class AsksForTheTruth(Echo):
    sees_truth = True


class AsksForTheReference(Method):
    def fit(self, X, batch=None):
        return self

    def compare(self, X, group_a, group_b, batch=None, *, bulk=None):
        raise AssertionError


def run_here(jobs, results_dir, *, n_jobs="auto", threads=1, timeout_minutes=120, memory_gb="auto"):
    """An executor without processes: what they cost is not what is tested."""
    for job in jobs:
        run(job, results_dir, threads)
