"""What every reader gives, and what damaged files have in common."""

import contextlib
import gzip
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ...base import InvalidDataset
from ..fetch import looks_like_html

GZIP = b"\x1f\x8b"


@dataclass
class Table:
    """Counts as a file holds them: ``X`` (n_cells, n_genes), names, and what annotates rows and columns."""

    X: sp.csr_matrix
    cells: np.ndarray
    genes: np.ndarray
    obs: pd.DataFrame = field(default_factory=pd.DataFrame)
    var: pd.DataFrame = field(default_factory=pd.DataFrame)
    obsm: dict = field(default_factory=dict)
    layers: dict = field(default_factory=dict)


@contextlib.contextmanager
def readable(path):
    """Refuse empty files and web pages, and turn the many errors of damaged files into one sentence."""
    try:
        if Path(path).is_file():
            _refuse_what_is_no_data(path)
        yield
    except InvalidDataset:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise InvalidDataset(f"{path} is cut off or damaged ({_reason(error)}): download it again.") from error
    except UnicodeDecodeError:
        raise InvalidDataset(
            f"{path} is neither text nor a format this reader knows (10x .h5, 10x folder, .h5ad, .loom, .csv, .tsv): "
            "download it again, or convert it to one of these."
        ) from None
    except FileNotFoundError:
        raise
    except Exception as error:  # the libraries behind the formats raise nearly anything over a damaged file
        raise InvalidDataset(
            f"{path} cannot be read ({_reason(error)}): check that it is the whole, right file."
        ) from error


def _reason(error):
    return str(error).splitlines()[0].rstrip(".:") if str(error) else type(error).__name__


def _refuse_what_is_no_data(path):
    with open(path, "rb") as stream:
        head = stream.read(512)
    if not head:
        raise InvalidDataset(f"{path} is empty: download it again.")
    if head.startswith(GZIP):
        with gzip.open(path) as stream:
            head = stream.read(512)
    if looks_like_html(head):
        raise InvalidDataset(f"{path} is a web page, not data: download the file itself again.")


def strings(array):
    """Names as text, where HDF5 holds bytes."""
    return np.array([item.decode() if isinstance(item, bytes) else str(item) for item in array])
