"""Compile a C file of this package at first use, with whatever C compiler the system has."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

# Signs of zero, errno and floating point traps mean nothing here; sums are not reordered but where the source says so.
FLAGS = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
HERE = ("-march=native", "-ffp-contract=fast")  # instructions of this processor, multiplication and addition fused
TYPES = {"i": ctypes.c_int, "q": ctypes.c_int64, "f": ctypes.c_float, "p": ctypes.c_void_p}


class NoCompiler(RuntimeError):
    """There is no C compiler, or it does not compile the file; the message says which."""


@functools.cache
def load(name, target=HERE):
    """Return the file ``name`` of this package, compiled for ``target``, as a `ctypes.CDLL`.

    The result is kept in the user's cache folder under a hash of source, flags, compiler and processor: it is compiled
    once on a machine, also where several processes ask for it at the same moment.

    Raises
    ------
    NoCompiler
    """
    source = Path(__file__).with_name(name)
    compiler = _compiler()
    key = "\n".join([source.read_text(), *FLAGS, *target, compiler, _version(compiler), _processor(), str(_openmp())])
    library = _cache() / f"{source.stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so"
    if not library.exists():
        _compile(compiler, target, source, library)
    return ctypes.CDLL(str(library))


def _compile(compiler, target, source, library):
    """Write under a name of its own and rename: other processes see a whole library or none."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        out = Path(folder) / library.name
        # PyTorch has an OpenMP runtime in the process already: a second one would be a second pool of threads.
        for threads, runtime in (
            ("-fopenmp", ["-Wl,--as-needed", *_openmp()]),
            ("-fopenmp", []),
            ("-fopenmp-simd", []),
        ):
            command = [compiler, *FLAGS, *target, threads, str(source), *runtime, "-lm", "-o", str(out)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                os.replace(out, library)
                return
    reason = (done.stderr.strip() or "no message").splitlines()[0]
    raise NoCompiler(f"{compiler} does not compile {source.name}: {reason}")


def _compiler():
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise NoCompiler("there is no C compiler (cc, gcc or clang) on the PATH")


def _version(compiler):
    return subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout


def _openmp():
    """The OpenMP runtime that PyTorch brings with it, a list of no or one path."""
    import torch

    return sorted(map(str, (Path(torch.__file__).parent / "lib").glob("libgomp*.so*")))[:1]


def _processor():
    """What -march=native looks at."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "scvi_core"
