"""Files that are whole at every moment, for everybody who writes one."""

import contextlib
import os
from pathlib import Path


def replace(path, content):
    """Write bytes to a file so that at every moment, even when the machine stops, the old or the new one is whole.

    Parameters
    ----------
    path : path
        Where it is a link, the file that it points to is replaced.
    content : bytes-like

    Raises
    ------
    OSError
        Of the kind of the failure; says whether what was there before is whole.
    """
    path = Path(os.path.realpath(path))  # what a link points to
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(new, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        kept = "what was there before is whole" if path.exists() else "nothing was written"
        raise OSError(error.errno, f"{path} could not be written ({error.strerror}): {kept}") from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink()
