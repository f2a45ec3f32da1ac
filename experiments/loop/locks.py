"""Who is at work on a results folder: which jobs are being computed, and who writes tables, figures and page."""

import contextlib
import fcntl
import hashlib
from pathlib import Path


class Claims:
    """Which jobs are being computed, by any run on the same results: the second to come leaves a job to the first.

    A claim is a lock on one byte of a file; the system drops it when its holder ends, however that happens.
    """

    def __init__(self, results_dir, name=".claims"):
        path = Path(results_dir) / "records" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "ab")  # noqa: SIM115 -- held as long as the claims

    def take(self, key):
        """Claim a job; return False where another run has it."""
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(key))
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # a file system without locks: both may compute the job, to the same result
            return True
        return True

    def release(self, key):
        with contextlib.suppress(OSError):
            fcntl.lockf(self.file, fcntl.LOCK_UN, 1, _byte(key))

    def close(self):
        self.file.close()


def _byte(key):
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big")


@contextlib.contextmanager
def alone(results_dir):
    """Hold a results folder against other runs while what several of them write there is read and written."""
    path = Path(results_dir) / "records" / ".publishing"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.lockf(file, fcntl.LOCK_EX)
        yield
