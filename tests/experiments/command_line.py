"""The command line: through `main()` in this process, and in a fresh one where that is what is tested."""

import contextlib
import io
import multiprocessing.process
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.global_hydra import GlobalHydra

from experiments import run

ROOT = Path(__file__).parents[2]


def fresh(*arguments, cwd, path=()):
    """``python -m experiments.run`` with these arguments in a process of its own."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, path)]),
        "PYTHONWARNINGS": "error,ignore:scVI has not converged",
    }
    environment.pop("HYDRA_FULL_ERROR", None)
    call = [sys.executable, "-m", "experiments.run", *arguments]
    return subprocess.run(call, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def command(*arguments, cwd, path=(), main=run.main):
    """The same through the same ``main()`` without starting Python and importing everything twice once more.

    The processes of jobs are still their own: they come from one server, which this process starts at the first call.
    ``main`` is that of another command, such as `experiments.rekey`.
    """
    output, errors = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(cwd):
        for folder in path:
            patch.syspath_prepend(folder)
        patch.setattr(sys, "argv", [main.__module__, *arguments])
        patch.setattr(multiprocessing.process, "ORIGINAL_DIR", str(cwd))  # where the processes of jobs begin
        patch.setattr(run, "failures", [], raising=False)
        patch.setattr(GlobalHydra.instance(), "hydra", None)  # a fixture of the caller's may hold one
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                code = main()
            finally:
                signal.signal(signal.SIGTERM, handler)
    return SimpleNamespace(returncode=code, stdout=output.getvalue(), stderr=errors.getvalue())
