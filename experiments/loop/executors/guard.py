"""The process above a job: all that the job has started ends with it, and both end with the run.

Who starts a process, leaves it and lets it go on (a daemon, ``nohup``) is not its parent any more when he ends, and
whatever looks below him does not find it. On Linux the guard is made the next parent of all that its job leaves behind
(a subreaper), so nothing that a job starts is ever lost sight of. Elsewhere what has left its parent goes on.
"""

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from multiprocessing import util

import psutil

SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36  # of prctl(2)
POLL_SECONDS = 0.05
STOP_SECONDS = 5.0  # for each of a request to end and an order


def watch(function, arguments, log):
    """Call ``function(*arguments)`` in a child with its output in the file ``log``; end as the child ends.

    To be the target of a process of `multiprocessing`: it ends its child, with all that this has started, when it gets
    a SIGTERM and when the process that started it is gone.
    """
    os.setsid()
    _prctl(SET_CHILD_SUBREAPER, 1)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    sys.stdout.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    run, status = multiprocessing.parent_process(), None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # preloaded libraries hold idle threads
        job = os.fork()
    if job == 0:
        _work(function, arguments)
    try:
        while status is None and run.is_alive():
            time.sleep(POLL_SECONDS)
            status = _reap().get(job)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signals = (signal.SIGTERM, signal.SIGKILL) if run.is_alive() else (signal.SIGKILL,)
        status = _end_all_below(signals).get(job, status)
    _end_like(status)


def _work(function, arguments):
    """The job: it never returns, and no thread that it leaves behind keeps it."""
    code, guard = 1, os.getppid()
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        _prctl(SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:  # else it has ended before it could take the job with it
            function(*arguments)
            code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):  # closed by the job, for one
            util._run_finalizers()  # of semaphores and the like; not all that ends a process, which waits for others
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _end_all_below(signals):
    """End every process below this one, by one signal after the other; return how its children ended, {pid: status}."""
    statuses = _reap()
    for number in signals:
        deadline, asked = time.monotonic() + STOP_SECONDS, set()
        while (below := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
            for process in below:
                if process not in asked or number == signal.SIGKILL:
                    asked.add(process)
                    with contextlib.suppress(psutil.Error):
                        process.send_signal(number)
            time.sleep(POLL_SECONDS / 5)
            statuses |= _reap()
    return statuses


def _reap():
    """{pid: status} of the children that have ended; those that were adopted too, or they would stay as zombies."""
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while (child := os.waitpid(-1, os.WNOHANG))[0]:
            ended[child[0]] = os.waitstatus_to_exitcode(child[1])
    return ended


def _end_like(exitcode):
    if exitcode is not None and exitcode < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -exitcode not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-exitcode, signal.SIG_DFL)
        os.kill(os.getpid(), -exitcode)
    sys.exit(exitcode or 0)


def _prctl(option, value):
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, int(value), 0, 0, 0)
