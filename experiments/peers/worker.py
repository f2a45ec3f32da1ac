"""One program of a comparison, in a process of its own that answers requests; see `experiments.peers.Program`.

A request is a line ``{"do": name of a method, ...its arguments}`` on the standard input. The answer, a line on the
standard output, has what the method returned, the seconds it took by the clock and by the processor, and the peak of
the process's memory so far. Training answers once an epoch and waits for its next turn. The standard library is all
that is imported at first: this file is read by the interpreter of the other program as well.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path


class Worker:
    """Methods of a subclass are the requests it answers; pinned to the first ``n_cores``, or to none with 0."""

    def __init__(self, n_cores):
        if n_cores and hasattr(os, "sched_setaffinity"):  # before the numerical libraries count the cores
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores])
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is no answer

    def serve(self):
        """Answer requests until one says that the next turn has come, or there are no more."""
        for line in iter(sys.stdin.readline, ""):
            request = json.loads(line)
            name = request.pop("do")
            if name == "go":
                return
            self._start_clock()
            self._answer(getattr(self, name)(**request))
        sys.exit()

    def turn(self):
        """Called in between two epochs: answer for the one, wait for the other."""
        self._answer(None)
        self.serve()
        self._start_clock()

    @staticmethod
    def keep(path, values):
        """Write an array where it is asked for; none travels through an answer."""
        if path is not None:
            import numpy as np

            np.save(path, values)

    def _start_clock(self):
        self._clocks = time.perf_counter(), time.process_time()

    def _answer(self, result):
        wall, cpu = time.perf_counter() - self._clocks[0], time.process_time() - self._clocks[1]
        answer = {"result": result, "seconds": wall, "cpu_seconds": cpu, "memory_mb": _peak_memory()}
        print(json.dumps(answer), file=self._answers, flush=True)


def _peak_memory():
    """MiB. What getrusage says begins with the memory of the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
