"""The way into R, and the only file that imports rpy2.

R code lives in ``.R`` files: a script defines functions, and names the packages it needs in its own ``library()``
lines. :func:`call` runs one of those functions on arrays and frames. R starts with the first call and not before.
"""

import contextlib
import functools
import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import signal
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import scipy.sparse as sp

HERE = Path(__file__).resolve().parent
HELP = "(r_env/README.md)"
logger = logging.getLogger(__name__)


class RUnavailable(RuntimeError):
    """R, rpy2 or an R package is not installed; ``skip`` lets the run loop record it as skipped, not failed."""

    skip = True


class RError(RuntimeError):
    """R stopped with an error; the message is R's own."""


def available():
    """Return None where R can be used and otherwise, in a sentence, what is missing; starts R."""
    try:
        _r()
    except RUnavailable as reason:
        return str(reason)
    return None


def missing(packages):
    """Return those of the named R packages that are not installed."""
    packages = list(packages)
    installed = _to_python(_r().installed(_to_r(packages)))
    return [package for package, there in zip(packages, installed, strict=True) if not there]


def needs(script):
    """Return the names of the R packages that a script loads with ``library(NAME)`` lines."""
    return re.findall(r"^library\((\w[\w.]*)\)", _path(script).read_text(), re.MULTILINE)


def require(script):
    """Raise RUnavailable unless R and every package that a script needs are installed."""
    absent = missing(needs(script))
    if absent:
        noun, verb = ("package", "is") if len(absent) == 1 else ("packages", "are")
        raise RUnavailable(f"R {noun} {', '.join(absent)} {verb} not installed {HELP}")


def call(script, function, /, **arguments):
    """Source an ``.R`` file and call one of its functions.

    Parameters
    ----------
    script : str or path
        The file; a relative name is one of this folder.
    function : str
        The function to call.
    **arguments
        Numbers, strings, None; sequences of them and numeric, boolean or string arrays (None is NA in strings, NaN in
        floats); sparse matrices, which arrive as Matrix's ``dgCMatrix``; categoricals (factors); data frames; dicts
        (named lists).

    Returns
    -------
    dict, or what else the function returned
        A named list is a dict, a data frame a data frame, a vector or matrix an array (a single number has shape (1,)).
        Integers and logicals with NA become floats with NaN, a string NA becomes None, a factor a categorical.

    Raises
    ------
    RUnavailable
        R, or a package that the script needs, is not installed.
    RError
        The R code stopped.
    """
    require(script)
    r, path = _r(), _path(script)
    with r.lock, _interrupts_reach_r():
        r.printed.clear()
        outcome = _to_python(r.run(_to_r(str(path)), _to_r(function), _to_r(arguments)))
        printed = "".join(r.printed).strip()
    for log, texts in (
        (logger.debug, [printed] if printed else []),
        (logger.info, outcome["messages"]),
        (logger.warning, outcome["warnings"]),
    ):
        for text, times in Counter(texts).items():
            log("%s: %s%s", path.name, text.strip(), f" ({times} times)" if times > 1 else "")
    if outcome["error"] is not None:
        raise RError(f"{outcome['error'][0].strip()} (R, {function}() in {path.name})")
    return outcome["value"]


def session():
    """Return R's version and those of the packages it has loaded, or None where this process has not used R."""
    if not _r.cache_info().currsize:
        return None
    found = _to_python(_r().session())
    rpy2 = importlib.metadata.version("rpy2-rinterface")
    return {"R": found["R"][0], "rpy2": rpy2, "packages": dict(zip(found["names"], found["packages"], strict=True))}


def _path(script):
    return HERE / script


@functools.cache
def _r():
    """Start R once in this process; return the functions of bridge.R and the parts of rpy2 that are used here."""
    if not (shutil.which("R") or os.environ.get("R_HOME")):
        raise RUnavailable(f"R is not installed {HELP}")
    if importlib.util.find_spec("rpy2") is None:
        raise RUnavailable(f"the Python package rpy2-rinterface is not installed {HELP}")
    if importlib.util.find_spec("_rinterface_cffi_api") is None:
        os.environ.setdefault("RPY2_CFFI_MODE", "ABI")  # or rpy2 announces on the terminal that it has no other
    os.environ.setdefault("LANGUAGE", "en")  # messages that end up in records do not depend on the user's locale
    library_path = os.environ.get("LD_LIBRARY_PATH")
    try:
        from rpy2 import rinterface
        from rpy2.rinterface_lib import callbacks, embedded, openrlib

        if not embedded.isinitialized():  # the user's saved workspace and start-up file have no say in results
            embedded.set_initoptions(("rpy2", "--quiet", "--no-save", "--no-restore", "--no-init-file"))
        rinterface.initr()
    except Exception as error:
        raise RUnavailable(f"rpy2 does not load R: {error} {HELP}") from error
    # R puts its folders into the search path of child processes, where they would hide a Python's own libpython.
    if library_path is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = library_path
    printed = []
    callbacks.consolewrite_print = callbacks.consolewrite_warnerror = printed.append
    base = rinterface.baseenv
    scope = base["new.env"](parent=base)
    base["sys.source"](rinterface.StrSexpVector([str(HERE / "bridge.R")]), envir=scope)
    functions = {name: scope[name] for name in ("run", "describe", "installed", "sparse", "session")}
    return SimpleNamespace(
        **functions, types=rinterface, base=base, lib=openrlib.rlib, lock=openrlib.rlock, printed=printed
    )


@contextlib.contextmanager
def _interrupts_reach_r():
    """Turn Ctrl-C into an R interrupt while R computes: Python's own handler would raise inside a callback, in vain."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    lib, interrupted = _r().lib, []

    def interrupt(signum, frame):
        interrupted.append(signum)
        lib.R_interrupts_pending = 1

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except BaseException as error:
        if interrupted:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, previous)
        lib.R_interrupts_pending = 0
    if interrupted:
        raise KeyboardInterrupt


def _to_r(value):
    r = _r()
    types = r.types
    if value is None:
        return types.NULL
    if isinstance(value, types.Sexp):
        return value
    if isinstance(value, dict):
        return _attributes(types.ListSexpVector([_to_r(v) for v in value.values()]), names=[str(k) for k in value])
    if isinstance(value, pd.DataFrame):
        columns = types.ListSexpVector([_to_r(value.iloc[:, k]) for k in range(value.shape[1])])
        rows = [str(name) for name in value.index]
        return _attributes(columns, names=[str(c) for c in value.columns], **{"row.names": rows, "class": "data.frame"})
    if sp.issparse(value):
        X = sp.csc_matrix(value)
        X.sort_indices()
        parts = (X.indices, X.indptr, X.data.astype(np.float64), np.array(X.shape))
        return r.sparse(*(_to_r(part) for part in parts))
    if isinstance(getattr(value, "dtype", None), pd.CategoricalDtype):
        value = pd.Categorical(value)
        codes = types.IntSexpVector([types.NA_Integer if c < 0 else int(c) + 1 for c in value.codes])
        return _attributes(codes, levels=[str(c) for c in value.categories], **{"class": "factor"})
    return _array_to_r(np.asarray(value), types, r.base)


def _array_to_r(array, types, base):
    shape, kind = array.shape, array.dtype.kind
    flat = np.ravel(array, order="F")
    if kind == "b":
        vector = base["as.logical"](types.IntSexpVector.from_memoryview(memoryview(flat.astype(np.int32))))
    elif kind in "iu":
        if flat.size and (flat.max() > np.iinfo(np.int32).max or flat.min() <= np.iinfo(np.int32).min):
            vector = types.FloatSexpVector.from_memoryview(memoryview(flat.astype(np.float64)))
        else:
            vector = types.IntSexpVector.from_memoryview(memoryview(flat.astype(np.int32)))
    elif kind == "f":
        vector = types.FloatSexpVector.from_memoryview(memoryview(flat.astype(np.float64)))
    elif kind in "UO" and all(isinstance(v, str) or v is None for v in flat):
        vector = types.StrSexpVector([types.NA_Character if v is None else str(v) for v in flat])
    else:
        odd = next((type(v).__name__ for v in flat if not isinstance(v, str)), array.dtype)
        raise TypeError(f"R has no vector for values of type {odd}: pass numbers, booleans, strings or None.")
    return _attributes(vector, dim=np.array(shape)) if len(shape) > 1 else vector


def _attributes(vector, **attributes):
    for name, value in attributes.items():
        vector.do_slot_assign(name, _to_r(value))
    return vector


def _to_python(value):
    r = _r()
    types = r.types
    kind, dim, names, levels, rows = r.describe(value)
    kind = kind[0]
    if kind == "null":
        return None
    if kind == "vector":
        array = _vector_to_python(value, types)
        return array if dim is types.NULL else array.reshape(tuple(dim), order="F")
    if kind == "factor":
        codes = [-1 if code is types.NA_Integer else code - 1 for code in value]
        return pd.Categorical.from_codes(codes, categories=list(levels))
    if kind == "list":
        values = [_to_python(item) for item in value]
        return values if names is types.NULL else dict(zip(names, values, strict=True))
    if kind == "frame":
        columns = {name: _to_python(column) for name, column in zip(names, value, strict=True)}
        return pd.DataFrame(columns, index=list(rows))
    raise TypeError(f"The R function returned an object of class {kind}: return vectors, data frames or lists of them.")


def _vector_to_python(value, types):
    if isinstance(value, types.StrSexpVector):
        return np.array([None if item is types.NA_Character else item for item in value], dtype=object)
    array = np.ravel(np.array(value.memoryview()), order="F")
    if isinstance(value, types.FloatSexpVector):
        return np.where(np.isnan(array), np.nan, array)  # R's NA is a signalling NaN, which arithmetic warns of
    absent = array == np.iinfo(np.int32).min  # R's NA
    if absent.any():
        return np.where(absent, np.nan, array)
    return array.astype(bool) if isinstance(value, types.BoolSexpVector) else array
