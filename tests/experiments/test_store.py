"""The record store: atomic, resumable, tolerant of damage."""

import contextlib
import hashlib
import itertools
import json
import multiprocessing
import os
import time
import warnings

import numpy as np
import pytest

from experiments.loop.locks import Claims, alone
from experiments.loop.store import Store, atomic, sweep

RECORD = {"key": "k", "status": "done"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "imputation")


@pytest.fixture
def forked():
    """Run a function in another process, from the moment that it says it is ready until it is killed."""
    context, started = multiprocessing.get_context("fork"), []

    @contextlib.contextmanager
    def forked(function, kill=True):
        ready = context.Event()
        process = context.Process(target=function, args=(ready,))
        process.start()
        started.append(process)
        assert ready.wait(60)
        yield
        if kill:
            process.kill()
            process.join()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # libraries hold idle threads
        yield forked
    for process in started:
        process.kill()
        process.join()


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


def test_what_another_run_computes_anew_is_not_brought_back(store, forked):
    store.write(RECORD, {"a": np.zeros(2)})

    def compute_anew(ready):
        with store.anew(["k"]):
            ready.set()
            time.sleep(600)

    with forked(compute_anew), store.anew([]):
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


def test_kill_while_writing_never_tears_a_record(store, forked, tmp_path):
    """A process that rewrites one record without pause is killed again and again: the record always reads whole."""

    def rewrite(ready):
        for i in itertools.count():
            store.write(RECORD | {"text": str(i) * 200000}, {})
            ready.set()

    for pause in (0, 0.02, 0.05, 0.1, 0.2):
        with forked(rewrite):
            time.sleep(pause)
        assert store.load("k")["status"] == "done"
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


def test_a_claim_lasts_as_long_as_its_holder(tmp_path, forked):
    taken = []

    def hold(ready):
        claims = Claims(tmp_path)
        if claims.take("k"):
            ready.set()
        time.sleep(600)

    with forked(hold):
        claims = Claims(tmp_path)
        taken += [claims.take("k"), claims.take("other")]
    assert taken == [False, True]
    assert claims.take("k")
    claims.close()


def test_who_publishes_is_alone(tmp_path, forked):
    """A second one comes to its turn when the first is done, or gone."""
    log = tmp_path / "log"

    def publish(ready):
        ready.set()
        with alone(tmp_path), open(log, "a") as file:
            file.write("second ")

    with alone(tmp_path), forked(publish, kill=False):
        time.sleep(0.3)
        assert not log.exists()
    deadline = time.monotonic() + 10
    while not (log.exists() and log.read_text() == "second "):
        assert time.monotonic() < deadline
        time.sleep(0.02)
