"""The bridge on a real R, and its words where R, rpy2 or an R package is missing."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from r_env import bridge

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ROUNDTRIP, NOWHERE = HERE / "roundtrip.R", HERE / "nowhere.R"
needs_r = pytest.mark.r


def echo(x):
    return bridge.call(ROUNDTRIP, "echo", x=x)["x"]


def python(code, **environment):
    """Run code in a process of its own; return (exit status, last line of its output, all that it wrote to stderr)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, (done.stdout.splitlines() or [""])[-1], done.stderr


@needs_r
@pytest.mark.parametrize(
    ("array", "r_type"),
    [
        (np.arange(6, dtype=np.int64).reshape(2, 3), "integer"),
        (np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "integer"),
        (np.arange(6.0).reshape(3, 2).T, "double"),
        (np.array([1.5, np.nan, np.inf]), "double"),
        (np.array([2**40, -(2**31)]), "double"),
        (np.array([True, False, True]), "logical"),
        (np.array([[True], [False]]), "logical"),
        (np.array(["é", "", "two words"]), "character"),
        (np.array([["a", None]], dtype=object), "character"),
        (np.zeros(0), "double"),
    ],
)
def test_arrays_come_back_as_they_went(array, r_type):
    back = echo(array)
    np.testing.assert_array_equal(back, array)
    assert back.shape == array.shape
    described = bridge.call(ROUNDTRIP, "what", x=array)
    assert described["type"][0] == r_type
    if array.ndim > 1:
        np.testing.assert_array_equal(described["dim"], array.shape)


@needs_r
@pytest.mark.parametrize("value", [3, 2.5, True, "text"])
def test_a_scalar_is_a_vector_of_one(value):
    back = echo(value)
    assert back.shape == (1,)
    assert back[0] == value
    assert echo(None) is None


@needs_r
def test_frames_categoricals_and_dicts():
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, np.nan], "s": ["p", None]}, index=["first", "second"])
    frame["c"] = pd.Categorical(["u", None], categories=["v", "u"])
    pd.testing.assert_frame_equal(echo(frame), frame, check_dtype=False, check_column_type=False)
    assert bridge.call(ROUNDTRIP, "what", x=frame["c"])["class"][0] == "factor"
    back = echo({"a": [1, 2], "inner": {"b": "deep"}})
    assert list(back) == ["a", "inner"]
    assert back["inner"]["b"][0] == "deep"
    with pytest.raises(TypeError, match="no vector for values of type object"):
        echo(np.array([object()]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a column that became strings would be no error of its own
        with pytest.raises(UserWarning, match='column "wide"'):
            echo(pd.DataFrame({"wide": [2**40]}))


@needs_r
@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, sp.coo_matrix])
def test_sparse_counts_arrive_as_a_dgcmatrix(form):
    if bridge.missing(["Matrix"]):
        pytest.skip("R package Matrix is not installed")
    X = sp.random(7, 5, 0.4, random_state=0, data_rvs=lambda n: np.arange(1, n + 1)).astype(np.int32)
    described = bridge.call(ROUNDTRIP, "what", x=form(X))
    assert described["class"][0] == "dgCMatrix"
    np.testing.assert_array_equal(bridge.call(ROUNDTRIP, "dense", x=form(X))["x"], X.toarray())
    unsorted = sp.csc_matrix((np.array([1, 2]), np.array([1, 0]), np.array([0, 2])), shape=(2, 1))
    np.testing.assert_array_equal(bridge.call(ROUNDTRIP, "dense", x=unsorted)["x"], [[2], [1]])
    assert list(unsorted.indices) == [1, 0]
    assert list(unsorted.data) == [1, 2]


@needs_r
def test_missing_values_of_r():
    given = bridge.call(ROUNDTRIP, "missing_values")
    np.testing.assert_array_equal(given["integer"], [1, np.nan])
    np.testing.assert_array_equal(given["real"], [1, np.nan, np.nan, np.inf])
    np.log(given["real"])  # a signalling NaN would warn
    np.testing.assert_array_equal(given["logical"], [1, np.nan])
    assert list(given["string"]) == ["a", None, "é"]
    assert given["whole"].dtype == bool
    assert given["empty"].shape == (0,)
    assert list(given["factor"].categories) == ["v", "u"]
    assert list(given["factor"].codes) == [1, -1, 0]
    assert list(given["frame"].index) == ["first", "second"]
    assert list(given["frame"]["s"]) == ["x", None]
    assert given["nested"][1]["deep"][0] == "yes"
    np.testing.assert_array_equal(given["matrix"], [[1, 3, 5], [2, 4, 6]])
    np.testing.assert_array_equal(given["letters"], [["a", "c"], ["b", "d"]])
    assert given["null"] is None
    assert bridge.call(ROUNDTRIP, "nothing") is None


@needs_r
def test_what_r_says_goes_to_the_log(caplog, capfd):
    with caplog.at_level(logging.DEBUG, logger="r_env.bridge"):
        bridge.call(ROUNDTRIP, "chatty")
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("DEBUG", 'roundtrip.R: [1] "printed"') in said
    assert ("INFO", "roundtrip.R: a message") in said
    assert ("WARNING", "roundtrip.R: a warning (3 times)") in said
    assert capfd.readouterr() == ("", "")


@needs_r
def test_an_r_error_is_a_python_error_with_its_message():
    with pytest.raises(bridge.RError, match=r"^gene Sox9 cannot be fitted \(R, fail\(\) in roundtrip.R\)$"):
        bridge.call(ROUNDTRIP, "fail", x="Sox9")
    with pytest.raises(bridge.RError, match="unused argument"):
        bridge.call(ROUNDTRIP, "nothing", y=1)
    with pytest.raises(TypeError, match="object of class environment: return vectors"):
        bridge.call(ROUNDTRIP, "unusual")
    np.testing.assert_array_equal(echo([1, 2]), [1, 2])  # and R is as usable as before


@needs_r
def test_a_missing_package_is_named():
    assert bridge.needs(NOWHERE) == ["zinbwave.of.nowhere"]
    assert bridge.missing(["stats", "zinbwave.of.nowhere"]) == ["zinbwave.of.nowhere"]
    with pytest.raises(bridge.RUnavailable) as caught:
        bridge.call(NOWHERE, "never")
    assert str(caught.value) == "R package zinbwave.of.nowhere is not installed (r_env/README.md)"
    assert caught.value.skip


@pytest.mark.slow
def test_without_r_the_reason_is_said(tmp_path):
    code = "from r_env import bridge; print(bridge.available())"
    absent = {"PATH": str(tmp_path), "R_HOME": ""}
    assert python(code, **absent) == (0, "R is not installed (r_env/README.md)", "")
    (tmp_path / "R").touch(mode=0o755)
    hide = "import sys; sys.modules['rpy2'] = None; import importlib.util as u; u.find_spec = lambda name: None; "
    said = "the Python package rpy2 is not installed (r_env/README.md)"
    assert python(hide + code, **absent) == (0, said, "")


def test_importing_the_bridge_does_not_start_r():
    code = "import sys; from r_env import bridge; print(bridge.session(), 'rpy2' in sys.modules)"
    assert python(code) == (0, "None False", "")


@needs_r
def test_in_a_process_of_its_own_with_warnings_as_errors():
    code = f"from r_env.bridge import call; print(call({str(ROUNDTRIP)!r}, 'echo', x=[1, 2])['x'])"
    assert python(code, LC_ALL="C") == (0, "[1 2]", "")


@needs_r
@pytest.mark.parametrize("path", ["", "/opt/somewhere"])
def test_child_processes_find_the_libraries_they_found_before(path):
    """R adds Debian's library folder to LD_LIBRARY_PATH, and a Python from elsewhere then loads Debian's libpython."""
    code = "import os; from r_env import bridge; bridge.available(); print(os.environ.get('LD_LIBRARY_PATH'))"
    assert python(code, LD_LIBRARY_PATH=path)[:2] == (0, path)


@needs_r
def test_in_another_thread():
    given = []
    thread = threading.Thread(target=lambda: given.append(echo(np.arange(3))))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(given, [[0, 1, 2]])


@needs_r
def test_the_session_names_the_versions():
    echo(1)
    session = bridge.session()
    assert session["R"].startswith("R version ")
    assert session["rpy2"]
    assert "stats" not in session["packages"]


@needs_r
def test_ctrl_c_stops_r():
    before = signal.getsignal(signal.SIGINT)
    main = threading.main_thread().ident
    timer = threading.Timer(1.0, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        bridge.call(ROUNDTRIP, "endless")
    assert time.monotonic() - started < 30
    assert signal.getsignal(signal.SIGINT) is before
    np.testing.assert_array_equal(echo([1, 2]), [1, 2])
