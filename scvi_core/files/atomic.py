"""Files that are whole at every moment, for everybody who writes one."""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import time
from pathlib import Path

# What writing a file fails with; the block of `writing` may fail with others, which are not about the file.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
NO_PLACE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


class NotWritten(OSError):
    """A file could not be written; as text it is one sentence: where, why, what is there now, what to do."""

    def __str__(self):
        return self.strerror


@contextlib.contextmanager
def writing(path, mode="wb", **options):
    """Open a new file that takes the place of ``path`` when the block ends without an error.

    At every moment, even when the machine stops, the old file or the new one is there and whole. Until it takes its
    place the new one stands beside it under a name of its own (``.NAME.*.tmp``, also the ``name`` of what is yielded),
    and is removed where the block fails; `sweep` removes what a process that was killed has left.

    Parameters
    ----------
    path : path
        Where it is a link, the file that it points to is replaced. Its folder has to be there.
    mode : {"wb", "w"}
    **options
        Of `open`, such as ``encoding``.

    Yields
    ------
    file

    Raises
    ------
    NotWritten
        The disk is full, the folder is not there or read-only, ``path`` is a folder, …
    """
    path = Path(os.path.realpath(path))  # what a link points to
    if path.exists() and not path.is_file():
        raise NotWritten(errno.EISDIR, f"{path} is not a file: name a file to write to.")
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(new, mode.replace("w", "x"), **options) as file:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(OSError):  # who may read the old one may read the new one
                shutil.copymode(path, new)
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(new, path)  # still locked: nobody takes it for a leftover
        _flush_folder(path.parent)
    except OSError as error:
        if error.errno not in NO_ROOM | NO_PLACE or error.filename not in (None, str(new)):
            raise
        kept = "what was there before is whole" if path.exists() else "nothing was written"
        sentence = (
            f"{path} could not be written ({error.strerror or error}): {kept}; make room there or write elsewhere."
        )
        raise NotWritten(error.errno, sentence) from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


def replace(path, content):
    """Write bytes to a file as `writing` does."""
    with writing(path) as file:
        file.write(content)


def sweep(paths, older_than=1.0):
    """Remove those files that a killed process left while it was `writing`; one that is being written is locked.

    Parameters
    ----------
    paths : iterable of Path
        Candidates, such as ``folder.rglob(".*.tmp")``.
    older_than : float, seconds
        A younger one may be about to be locked.
    """
    for path in paths:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - path.stat().st_mtime > older_than:
                path.unlink()


def _flush_folder(folder):
    """Have the new name itself on the disk; what cannot be asked for on this file system is not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
