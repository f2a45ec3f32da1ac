"""The record store: atomic, resumable, tolerant of damage."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments.loop.claims import Claims
from experiments.loop.store import Store, atomic, sweep

RECORD = {"key": "k", "status": "done"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "imputation")


def test_round_trip(store):
    store.write(RECORD, {"a": np.arange(6.0).reshape(2, 3)})
    record = store.read("k")
    assert record | RECORD == record
    np.testing.assert_array_equal(store.arrays(record)["a"], np.arange(6.0).reshape(2, 3))
    assert store.is_final("k")
    assert sorted(path.name for path in store.folder.iterdir()) == ["k.json", "k.npz"]


def test_absent_is_not_final(store):
    assert store.read("k") is None
    assert not store.is_final("k")


@pytest.mark.parametrize("status", ["failed", "timeout", "skipped"])
def test_only_done_is_final(store, status):
    store.write(RECORD | {"status": status}, {})
    assert not store.is_final("k")


def test_what_is_not_finished_anew_keeps_its_earlier_record(store):
    for key in "abc":
        store.write(RECORD | {"key": key, "written": "before"}, {"a": np.zeros(2)})
    with store.anew(["a", "b", "absent"]) as kept:
        assert [store.is_final(key) for key in "abc"] == [False, False, True]
        store.write(RECORD | {"key": "a", "written": "now"}, {"a": np.ones(2)})
        store.write(RECORD | {"key": "b", "status": "failed"}, {})
    assert [(record["key"], record["status"]) for record in kept] == [("b", "failed")]
    assert [store.read(key)["written"] for key in "abc"] == ["now", "before", "before"]
    assert [store.arrays(store.read(key))["a"][0] for key in "abc"] == [1, 0, 0]
    assert len(list(store.folder.iterdir())) == 6


def test_a_run_that_is_interrupted_or_killed_while_it_computes_anew_loses_nothing(store):
    store.write(RECORD, {"a": np.zeros(2)})
    with pytest.raises(KeyboardInterrupt), store.anew(["k"]):
        raise KeyboardInterrupt
    assert store.is_final("k")
    killed = store.anew(["k"])
    killed.__enter__()  # and never left
    assert not store.is_final("k")
    with store.anew([]):
        assert store.is_final("k")


DAMAGED = ["", '{"key": "k", "sta', "[]", '"k"', '{"key": "other", "status": "done"}', '{"key": "k"}', "\xff"]
DAMAGED += ['{"key": "k", "status": "done", "arrays": []}', "[" * 100_000, '{"key": "k", "status": 3}']


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_record_is_set_aside_and_computed_again(store, text):
    store.path("k").write_text(text, encoding="latin-1")
    with pytest.warns(UserWarning, match="damaged"):
        assert not store.is_final("k")
    assert store.path("k", ".json.damaged").exists()
    assert not store.path("k").exists()


@pytest.mark.parametrize(("old", "new"), [("2.5", "2.4"), ("done", "gone"), ('"b": 1', '"b": 2'), ("facts", "fact")])
def test_a_record_changed_by_hand_is_set_aside(store, old, new):
    record = RECORD | {"scores": {"x": 2.5, "y": float("nan")}, "facts": {10: {"b": 1}, 9: (1, 2)}}
    store.write(record, {})
    assert store.read("k")["scores"]["x"] == 2.5
    path = store.path("k")
    path.write_text(path.read_text().replace(old, new))
    with pytest.warns(UserWarning, match="its content is not what was written"):
        assert store.read("k") is None
    assert path.with_suffix(".json.damaged").exists()


def test_a_record_without_its_digest_is_damaged(store):
    store.write(RECORD, {})
    content = json.loads(store.path("k").read_text())
    content["igest"] = content.pop("digest")
    store.path("k").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="digest is missing"):
        assert store.read("k") is None


def test_damaged_arrays_are_computed_again(store):
    store.write(RECORD, {"a": np.ones(1000)})
    path = store.path("k", ".npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="cannot be read"):
        assert not store.is_final("k")


SWAPPED = [np.ones(3), np.zeros(4), np.zeros((3, 1)), np.zeros(3, dtype=np.float32), np.array([0, -0.0, 0])]


@pytest.mark.parametrize("other", SWAPPED)
def test_arrays_that_are_sound_and_those_of_another_record_are_computed_again(store, other):
    store.write(RECORD, {"a": np.zeros(3)})
    store.write(RECORD | {"key": "l"}, {"a": other})
    assert store.is_final("l")
    store.path("l", ".npz").replace(store.path("k", ".npz"))
    with pytest.warns(UserWarning, match="a is not what the record was written with"):
        assert not store.is_final("k")


def test_records_of_earlier_versions_are_read(store):
    """They have the names of their arrays where today's have digests, and their own digest says so."""
    store.write(RECORD, {"a": np.zeros(3)})
    record = store.read("k") | {"arrays": ["a"]}
    content = json.dumps(record, sort_keys=True).encode()
    store.path("k").write_text(json.dumps(record | {"digest": hashlib.sha256(content).hexdigest()}))
    assert store.is_final("k")
    assert list(store.arrays(store.read("k"))) == ["a"]


def test_kill_while_writing_never_tears_a_record(tmp_path):
    """A process that rewrites one record without pause is killed again and again: the record always reads whole."""
    code = (
        "import sys, itertools; from experiments.loop.store import Store\n"
        "store, record = Store(sys.argv[1], 'e'), {'key': 'k', 'status': 'done'}\n"
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
    for path in store.folder.glob(".*.tmp"):
        os.utime(path, (time.time() - 60, time.time() - 60))
    sweep(tmp_path)
    assert [path.name for path in store.folder.iterdir()] == ["k.json"]


def test_only_what_nobody_writes_is_swept(tmp_path):
    stray = tmp_path / "tables" / ".x.csv.abc.tmp"
    stray.parent.mkdir()
    stray.write_text("half")
    os.utime(stray, (time.time() - 60, time.time() - 60))
    with atomic(tmp_path / "figures" / "y.csv", "w") as file:
        file.write("half of the new")
        file.flush()
        os.utime(file.fileno(), (time.time() - 60, time.time() - 60))
        sweep(tmp_path)
        assert not stray.exists()
    assert (tmp_path / "figures" / "y.csv").read_text() == "half of the new"


def test_a_claim_lasts_as_long_as_its_holder(tmp_path):
    code = (
        "import sys, time; from experiments.loop.claims import Claims\n"
        "claims = Claims(sys.argv[1]); print(claims.take('k'), flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with process.stdout as said:
        assert said.readline() == "True\n"
        claims = Claims(tmp_path)
        assert not claims.take("k")
        assert claims.take("other")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert claims.take("k")
    claims.close()
