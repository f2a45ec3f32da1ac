"""What a computation costs: wall clock, processor time, memory."""

import gc
import resource
import sys
import time
from typing import NamedTuple

import psutil


class Cost(NamedTuple):
    """Of one call."""

    wall: float  # seconds
    cpu: float  # seconds of all threads and of finished child processes
    resident_mb: float  # memory resident before it
    peak_mb: float  # peak of the resident memory during it
    gpu_mb: float  # peak of PyTorch's allocations on the GPU; 0 without one


def measure(function):
    """Call ``function`` and return its result and its `Cost`.

    Where the kernel can start the peak of the resident memory anew (Linux), the peak is that of the call alone.
    Elsewhere it is that of the process so far, so a larger peak before the call stands for it. Memory that the
    process holds but does not use at the start, and so gives to the call, is not seen; pages of files that are mapped
    into memory are.
    """
    gc.collect()
    _restart_peak()
    cuda = _cuda()
    if cuda:
        cuda.synchronize()
        cuda.reset_peak_memory_stats()
    before, cpu, wall = psutil.Process().memory_info().rss, _cpu(), time.perf_counter()
    result = function()
    if cuda:
        cuda.synchronize()
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    gpu = cuda.max_memory_allocated() if cuda else 0
    return result, Cost(wall, cpu, before / 2**20, max(_peak(), before) / 2**20, gpu / 2**20)


def _cpu():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _restart_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def _peak():
    """Largest resident memory since the last restart, bytes."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cuda():
    """PyTorch's CUDA where it is in use or can be."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch and torch.cuda.is_available() else None
