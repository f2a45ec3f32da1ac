"""Two programs side by side: ours and scvi-tools, each in a process of its own, taking turns on the same cores.

The other program lives in an environment of its own, ``.venv-peers``, so that this one does not depend on it.
"""

import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from ..loop.paths import ROOT

# Run as scripts; imported here, they count in the hash of the code behind a record.
from . import ours, scvi_tools, worker  # noqa: F401

PEER = "scvi_tools"  # the worker of this folder that runs the other program
FOLDER = Path(__file__).parent
ENVIRONMENT = ROOT / ".venv-peers"
PYTHON = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin") / "python"
SAME = 1e-4  # of the largest latent coordinate: rounding is below 1e-5


class PeerMissing(RuntimeError):
    """There is no other program here: a job that needs one is skipped."""

    skip = True


class PeerFailed(RuntimeError):
    """A program of a comparison ended; the message has what it said last."""


def version():
    """The version of scvi-tools in ``.venv-peers``, None where it is not there."""
    if not PYTHON.exists():
        return None
    code = "import importlib.metadata as m; print(m.version('scvi-tools'))"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def install():
    """Make ``.venv-peers`` with scvi-tools and the same release of PyTorch as here; raises where pip fails."""
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    same_torch = "torch==" + importlib.metadata.version("torch").split("+")[0]
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "scvi-tools", same_torch], check=True)


def prepare(config):
    """Install scvi-tools where asked for; return the axis that notes in every row what there is to compare with."""
    if config["peers"] not in (None, "install"):
        raise ValueError(f"peers={config['peers']}: choose peers=install, or leave it out.")
    if config["peers"] == "install" and version() is None:
        install()
    found = version()
    if found is None:
        print("scvi-tools is not installed beside: the ratios are missing (peers=install makes .venv-peers).")
    return {"peer": ["missing" if found is None else f"scvi-tools {found}"]}


class Program:
    """A worker of this folder as a process: ``"ours"`` or ``"scvi_tools"``.

    Parameters
    ----------
    name : str
    n_threads : int
        Threads of its numerical libraries.
    pinned : bool
        To the first so many cores: for timing, where it takes turns with others.
    folder : path
        Where it runs, and where what the library writes beside its results is left.
    """

    def __init__(self, name, n_threads, pinned, folder):
        environment = os.environ | {
            "OMP_NUM_THREADS": str(n_threads),
            "MKL_NUM_THREADS": str(n_threads),
            "OPENBLAS_NUM_THREADS": str(n_threads),
            "OMP_WAIT_POLICY": "passive",  # waiting threads leave the cores to the other program
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": str(ROOT) if name == "ours" else "",
        }
        self.name, self.folder = name, Path(folder)
        self.log = open(self.folder / f"{name}.log", "w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable if name == "ours" else PYTHON, FOLDER / f"{name}.py", str(n_threads if pinned else 0)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=folder,
            env=environment,
        )

    def ask(self, do, **arguments):
        """Have a request done and return the answer (`worker.Worker`); raises PeerFailed."""
        try:
            print(json.dumps({"do": do} | arguments), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            said = self.log.read().strip().splitlines() or ["nothing"]
            raise PeerFailed(f"{self.name} ended while asked to {do}; it said last: {said[-1]}")
        return json.loads(line)

    def array(self, do, **arguments):
        """What a request computes, an array that travels by a file."""
        path = self.folder / f"{self.name}.npy"
        self.ask(do, path=str(path), **arguments)
        return np.load(path)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


def train_in_turns(programs, method, after_round=None):
    """Train all programs ``method.n_epochs`` epochs, each in turn; return {name: answers of its epochs}."""
    warmup = 0.8 * method.n_epochs if method.kl_warmup_epochs is None else method.kl_warmup_epochs
    answers = {program.name: [] for program in programs}
    for epoch in range(method.n_epochs):
        for program in in_turn(programs, epoch):
            if epoch == 0:
                answer = program.ask("train", n_epochs=method.n_epochs, kl_warmup_epochs=warmup)
            else:
                answer = program.ask("go")
            answers[program.name].append(answer)
        if after_round is not None:
            after_round()
    return answers


def ask_in_turns(programs, n_rounds, do, **arguments):
    """Ask all programs the same ``n_rounds`` times; return {name: answers}."""
    answers = {program.name: [] for program in programs}
    for i in range(n_rounds):
        for program in in_turn(programs, i):
            answers[program.name].append(program.ask(do, **arguments))
    return answers


def in_turn(programs, i):
    """The programs in the order of round ``i``: who comes first changes."""
    return programs if i % 2 == 0 else programs[::-1]


@contextlib.contextmanager
def side_by_side(names, method, X, heldout, *, n_threads=1, pinned=False):
    """Both programs with their counts and an untrained model each, with the settings and initial weights of ``method``.

    Parameters
    ----------
    names : sequence of str
        ``"ours"`` comes first: it draws the initial weights.
    method : SCVI
        Unfitted; batches are not used.
    X, heldout : csr_matrix, shape (n_cells, n_genes)
    n_threads, pinned
        See `Program`.

    Yields
    ------
    programs : list of Program
    seconds : dict
        From the start of each program, imports included, until it could train.

    Raises
    ------
    PeerFailed
        The programs do not place the held-out cells alike in latent space before training: they are not one model.
    """
    parameters = {name: value for name, value in method.get_params().items() if name != "kl_schedule"}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        paths = {name: str(Path(folder) / f"{name}.npz") for name in ("counts", "heldout", "weights")}
        sp.save_npz(paths["counts"], X, compressed=False)
        sp.save_npz(paths["heldout"], heldout, compressed=False)
        programs, seconds, latent = [], {}, {}
        for name in names:
            begin = time.perf_counter()
            programs.append(stack.enter_context(Program(name, n_threads, pinned, folder)))
            programs[-1].ask("load", parameters=parameters, **paths)
            seconds[name] = time.perf_counter() - begin
        for program in programs:
            latent[program.name] = program.array("latent")
            error = np.abs(latent[program.name] - latent[names[0]]).max()
            if not error < SAME * np.abs(latent[names[0]]).max():
                raise PeerFailed(f"{program.name} has other initial weights: latent positions differ by {error:.2g}.")
        yield programs, seconds
