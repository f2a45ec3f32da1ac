"""The record store: atomic, resumable, tolerant of damage."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments.store import Store, atomic

RECORD = {"key": "k", "status": "done", "arrays": ["a"]}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "imputation")


def test_round_trip(store):
    store.write(RECORD, {"a": np.arange(6.0).reshape(2, 3)})
    assert store.read("k") == RECORD
    np.testing.assert_array_equal(store.arrays(RECORD)["a"], np.arange(6.0).reshape(2, 3))
    assert store.is_final("k")
    assert sorted(path.name for path in store.folder.iterdir()) == ["k.json", "k.npz"]


def test_absent_is_not_final(store):
    assert store.read("k") is None
    assert not store.is_final("k")


@pytest.mark.parametrize("status", ["failed", "timeout", "skipped"])
def test_only_done_is_final(store, status):
    store.write(RECORD | {"status": status, "arrays": []}, {})
    assert not store.is_final("k")


DAMAGED = ["", '{"key": "k", "sta', "[]", '{"key": "other", "status": "done"}', '{"key": "k"}', "\xff"]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_record_is_set_aside_and_computed_again(store, text):
    store.path("k").write_text(text, encoding="latin-1")
    with pytest.warns(UserWarning, match="damaged"):
        assert not store.is_final("k")
    assert store.path("k", ".json.damaged").exists()
    assert not store.path("k").exists()


def test_damaged_arrays_are_computed_again(store):
    store.write(RECORD, {"a": np.ones(1000)})
    path = store.path("k", ".npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="cannot be read"):
        assert not store.is_final("k")


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write():
        with atomic(path, "w") as file:
            file.write("half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_kill_while_writing_never_tears_a_record(tmp_path):
    """A process that rewrites one record without pause is killed again and again: the record always reads whole."""
    code = (
        "import sys, itertools; from experiments.store import Store\n"
        "store, record = Store(sys.argv[1], 'e'), {'key': 'k', 'status': 'done', 'arrays': []}\n"
        "for i in itertools.count(): store.write(record | {'text': str(i) * 200000}, {})"
    )
    store = Store(tmp_path, "e")
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
        deadline = time.monotonic() + 60
        before = store.path("k").stat().st_mtime_ns if store.path("k").exists() else 0
        while not (store.path("k").exists() and store.path("k").stat().st_mtime_ns > before):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert json.loads(store.path("k").read_text())["status"] == "done"
    store.sweep(older_than=-1)
    assert [path.name for path in store.folder.iterdir()] == ["k.json"]
