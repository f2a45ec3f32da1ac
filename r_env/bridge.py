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
import warnings
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
    installed = _ask(_r().installed, packages)
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
        outcome = _ask(r.run, str(path), function, arguments)
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
    found, rpy2 = _ask(_r().session), importlib.metadata.version("rpy2")
    return {"R": found["R"][0], "rpy2": rpy2, "packages": dict(zip(found["names"], found["packages"], strict=True))}


def _path(script):
    return HERE / script


@functools.cache
def _r():
    """Start R once in this process; return the functions of bridge.R and the parts of rpy2 that are used here."""
    if not (shutil.which("R") or os.environ.get("R_HOME")):
        raise RUnavailable(f"R is not installed {HELP}")
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
        from rpy2 import robjects  # not before: it would start R with options of its own
    except ModuleNotFoundError as error:
        raise RUnavailable(f"the Python package {error.name} is not installed {HELP}") from error
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
    functions = {name: scope[name] for name in ("run", "installed", "sparse", "session")}
    rules = _rules(rinterface, robjects, functions["sparse"])
    return SimpleNamespace(**functions, rules=rules, lib=openrlib.rlib, lock=openrlib.rlock, printed=printed)


def _rules(types, robjects, sparse):
    """rpy2's conversions with those for numpy and pandas, and what these leave out or do otherwise."""
    from rpy2.robjects import numpy2ri, pandas2ri

    rules = robjects.default_converter + numpy2ri.converter + pandas2ri.converter
    array, as_vector, dim = (types.baseenv[name] for name in ("array", "as.vector", "dim"))

    def array_to_r(value):
        value = np.atleast_1d(value)
        if value.dtype.kind == "O":
            for item in value.flat:
                if not (item is None or isinstance(item, str)):
                    odd = type(item).__name__
                    raise TypeError(
                        f"R has no vector for values of type {odd}: pass numbers, booleans, strings or None."
                    )
            strings = [types.NA_Character if item is None else item for item in value.ravel(order="F")]
            vector = array(types.StrSexpVector(strings), dim=types.IntSexpVector(value.shape))
        else:
            if value.dtype.kind in "iu":  # R's integers have 32 bits, and the lowest of them is NA
                narrow = not value.size or -(2**31) < value.min() <= value.max() < 2**31
                value = value.astype(np.int32 if narrow else np.float64)
            vector = numpy2ri.converter.py2rpy(value)
        return as_vector(vector) if value.ndim == 1 else vector

    def sparse_to_r(value):
        value = sp.csc_matrix(value, dtype=np.float64).sorted_indices()  # a copy: the caller's stays as it is
        return sparse(*map(array_to_r, (value.indices, value.indptr, value.data, value.shape)))

    def frame_to_r(value):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # rpy2 would make a column into strings, or leave out the names of the rows
            return pandas2ri.converter.py2rpy(value)

    def strings_to_python(value):
        strings = np.array([None if item is types.NA_Character else item for item in value], dtype=object)
        shape = dim(value)
        return strings if shape is types.NULL else strings.reshape(tuple(shape), order="F")

    def list_to_python(value):
        items = [rules.rpy2py(item) for item in value]
        for item in (value, *items):
            if isinstance(item, types.Sexp) and item.rclass[0] != "list":
                said = f"The R function returned an object of class {item.rclass[0]}"
                raise TypeError(f"{said}: return vectors, data frames or lists of them.")
        return items if value.names is types.NULL else dict(zip(value.names, items, strict=True))

    for kind in (np.ndarray, np.generic, list, tuple, str, bool, int, float):
        rules.py2rpy.register(kind, array_to_r)
    for kind in (sp.spmatrix, sp.sparray):
        rules.py2rpy.register(kind, sparse_to_r)
    rules.py2rpy.register(pd.DataFrame, frame_to_r)
    rules.py2rpy.register(dict, robjects.ListVector)
    rules.py2rpy.register(type(None), lambda value: types.NULL)
    rules.rpy2py.register(type(types.NULL), lambda value: None)
    rules.rpy2py.register(types.BoolSexpVector, lambda value: np.array(value, dtype=bool))
    rules.rpy2py.register(types.StrSexpVector, strings_to_python)
    rules.rpy2py_nc_map[types.ListSexpVector].update({}, default=list_to_python)
    return rules


def _ask(function, *arguments):
    """Call a function of bridge.R on Python values; the rules hold in this thread, and for this call."""
    with _r().rules.context() as rules:
        return rules.rpy2py(function(*map(rules.py2rpy, arguments)))


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
