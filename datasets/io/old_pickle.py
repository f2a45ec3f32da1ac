"""Read the authors' metadata pickles without giving them the power to run code.

``pbmc_metadata.pickle`` and its siblings were written by pandas 0.2x: today's pandas cannot be relied on to open
them, and a pickle may call anything it names. This reader admits the dozen names such files hold, maps the pandas
ones to inert records, and builds fresh data frames from the arrays inside.
"""

import pickle

import numpy as np
import pandas as pd

from ..base import InvalidDataset


class _Record:
    """Stands in for a pandas object: keeps the state it was saved with, and does nothing else."""

    def __setstate__(self, state):
        self.state = state


class _Frame(_Record):
    pass


class _Index:
    pass


def _index(_, parts):
    return np.asarray(parts["data"])


_ADMITTED = {
    ("pandas.core.frame", "DataFrame"): _Frame,
    ("pandas.core.internals", "BlockManager"): _Record,
    ("pandas.core.internals.managers", "BlockManager"): _Record,
    ("pandas.core.indexes.base", "_new_Index"): _index,
    ("pandas.core.indexes.base", "Index"): _Index,
    ("pandas.core.indexes.numeric", "Int64Index"): _Index,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("builtins", "slice"): slice,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module, name):
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise InvalidDataset(
                f"the pickle asks for {module}.{name}, which no metadata file of the authors does: do not use it"
            ) from None


def read_metadata(path):
    """Read a metadata pickle: a dict of data frames and arrays.

    Raises
    ------
    InvalidDataset
        The file is damaged, or names anything but the few classes that such a file holds.
    """
    try:
        with open(path, "rb") as stream:
            content = _Restricted(stream, encoding="latin1").load()
    except InvalidDataset as error:
        raise InvalidDataset(f"{path} is refused: {error}.") from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InvalidDataset(f"{path} is not a whole pickle ({error}): fetch it again.") from error
    if not isinstance(content, dict):
        raise InvalidDataset(f"{path} holds a {type(content).__name__}, not a dict of tables: it is another file.")
    return {key: _frame(value) if isinstance(value, _Frame) else value for key, value in content.items()}


def _frame(frame):
    """A data frame from the state of a BlockManager: (axes, blocks, items, newer form of the same)."""
    manager = frame.state.get("_data") or frame.state["_mgr"]
    axes, blocks, items = manager.state[:3]
    columns = {}
    for names, values in zip(items, blocks, strict=True):
        columns.update(zip(names, values, strict=True))
    return pd.DataFrame({name: columns[name] for name in axes[0]}, index=pd.Index(axes[1]))
