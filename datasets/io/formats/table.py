"""What every reader gives, and what damaged files have in common."""

import contextlib
import gzip
import lzma
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ...base import InvalidDataset
from .foreign import refuse_foreign
from .unpack import unpacked

KNOWN = ".h5ad, .zarr, .h5mu, 10x .h5, 10x folder, .mtx, .loom, .csv, .tsv"


@dataclass
class Table:
    """Counts as a file holds them: ``X`` (n_cells, n_genes), names, and what annotates rows and columns.

    ``raw`` is the table of the same cells that AnnData keeps aside as ``.raw``; ``files`` are those that were read.
    """

    X: sp.csr_matrix
    cells: np.ndarray
    genes: np.ndarray
    obs: pd.DataFrame = field(default_factory=pd.DataFrame)
    var: pd.DataFrame = field(default_factory=pd.DataFrame)
    obsm: Mapping = field(default_factory=dict)
    layers: Mapping = field(default_factory=dict)
    raw: "Table | None" = None
    files: list = field(default_factory=list)

    def check(self, place):
        """Raise InvalidDataset where there are other names than cells and genes: the file is damaged."""
        named = len(self.cells), len(self.genes)
        if self.X is not None and self.X.shape != named:
            raise InvalidDataset(
                f"{place} holds {self.X.shape[0]} cells × {self.X.shape[1]} genes and names {named[0]} cells and "
                f"{named[1]} genes: it is damaged, make or download it again."
            )


@contextlib.contextmanager
def readable(path):
    """Refuse empty files and what is no data, and turn the many errors of damaged files into one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for programmers; what matters to the data, the contract says
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas leaves fields out
            if Path(path).is_file():
                with unpacked(Path(path)) as stream:
                    refuse_foreign(stream.read(512), path)
            yield
    except InvalidDataset:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InvalidDataset(f"{path} is cut off or damaged ({_reason(error)}): download it again.") from error
    except UnicodeDecodeError:
        raise InvalidDataset(
            f"{path} is neither text in UTF-8 nor a format this reader knows ({KNOWN}): save it as UTF-8, download it "
            "again, or convert it to one of these."
        ) from None
    except FileNotFoundError:
        raise
    except Exception as error:  # the libraries behind the formats raise nearly anything over a damaged file
        raise InvalidDataset(
            f"{path} cannot be read ({_reason(error)}): check that it is the whole, right file."
        ) from error


def _reason(error):
    return str(error).strip().splitlines()[0].rstrip(".:") if str(error).strip() else type(error).__name__


def strings(array):
    """Names as text, where HDF5 holds bytes."""
    return np.array([item.decode() if isinstance(item, bytes) else str(item) for item in array])
