"""Files as streams of bytes, through whatever they are compressed with; what is inside decides, not the name."""

import bz2
import contextlib
import gzip
import io
import lzma
from pathlib import Path

COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
ENDINGS = (".gz", ".bz2", ".xz")


@contextlib.contextmanager
def unpacked(source):
    """A file or bytes as a stream that can be sought, without their compression.

    Parameters
    ----------
    source : Path or io.BytesIO
    """
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open(source, "rb")) if isinstance(source, Path) else source
        stream.seek(0)
        opened = opener(stream)
        yield stack.enter_context(opened(stream, "rb")) if opened else stream


def opener(stream):
    """What opens a compressed stream; None where it is not compressed. The stream stays at its beginning."""
    head = stream.read(6)
    stream.seek(0)
    return next((opened for magic, opened in COMPRESSED.items() if head.startswith(magic)), None)


def without_ending(name):
    """The name of a file without that of its compression."""
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def in_memory(source):
    """What is inside a file or bytes as a path or bytes that libraries for HDF5 and zip archives open."""
    with unpacked(source) as stream:
        is_plain = stream is source or isinstance(stream, io.BufferedReader)
        return source if is_plain else io.BytesIO(stream.read())
