"""Records in one file: read where it lies, refused where it is not what was written."""

import io
import json
import zipfile

import numpy as np
import pytest

from experiments.loop import archive
from experiments.loop.archive import Archive
from experiments.loop.digest import key_of
from experiments.loop.job import Job, describe
from experiments.loop.merging import merge
from experiments.loop.store import Store


def job(seed):
    config = {"_target_": "baselines.pca.PCA", "_label_": "PCA", "n_latent": 2}
    of = {"experiment": "imputation", "module": "experiments.imputation", "dataset": {"name": "small"}}
    return Job(**of, dataset_hash="0", method="pca", config=config, protocol={"name": "as_run"}, axes={}, seed=seed)


JOBS = {made.key: made for made in (job(seed).with_key() for seed in (0, 1))}
K, M = sorted(JOBS)


def record(key=K, **other):
    made = {"status": "done", "reason": "", "scores": {"error": 0.1}, "facts": {}}
    return describe(JOBS[key], threads=1) | made | other


@pytest.fixture
def store(tmp_path):
    """Two records with arrays in an archive, and none in files of their own."""
    store = Store(tmp_path, "imputation")
    written = [(record(K), {"grid": np.array([[1 / 3, 2.0]])}), (record(M, scores={"error": 1 / 3}), {})]
    archive.write(store.folder / "cortex_as_run.zip", written)
    return store


def members(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rewritten(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        for name, data in content.items():
            file.writestr(name, data)


def test_a_record_is_read_from_the_archive_beside(store):
    assert list(store) == [K, M]
    assert store.is_final(K)
    assert store.read(M)["scores"] == {"error": 1 / 3}
    np.testing.assert_array_equal(store.arrays(store.read(K))["grid"], np.array([[1 / 3, 2.0]], dtype=np.float32))
    assert store.read("absent") is None


def test_the_same_records_are_the_same_bytes(store, tmp_path):
    path = store.folder / "cortex_as_run.zip"
    again = tmp_path / "again.zip"
    packed = Archive(path)
    archive.write(again, [(packed.load(key), packed.arrays(packed.load(key))) for key in reversed(list(packed))])
    assert again.read_bytes() == path.read_bytes()


def test_a_record_of_its_own_file_comes_first(store):
    store.write(record(K, scores={"error": 7.0}), {})
    assert store.read(K)["scores"] == {"error": 7.0}
    assert store.arrays(store.read(K)) == {}


def test_computed_anew_the_archived_record_does_not_count_until_that_failed(store):
    with store.anew([K, M]) as kept:
        assert not store.is_final(K)
        store.write(record(K, scores={"error": 7.0}), {})
        store.write(record(M, status="failed", reason="planted"), {})
    assert [found["reason"] for found in kept] == ["planted"]
    assert store.read(K)["scores"] == {"error": 7.0}
    assert store.read(M)["scores"] == {"error": 1 / 3}


def digit(content):
    content["records.jsonl"] = content["records.jsonl"].replace(b"0.333", b"0.334")


def array(content):
    changed = io.BytesIO()
    np.save(changed, np.array([[9.0, 2.0]], dtype=np.float32))
    content[f"arrays/{K}/grid.npy"] = changed.getvalue()


@pytest.mark.parametrize(("damage", "lost"), [(digit, M), (array, K)])
def test_what_was_changed_is_not_a_result(store, damage, lost):
    path = store.folder / "cortex_as_run.zip"
    content = members(path)
    damage(content)
    rewritten(path, content)
    with pytest.warns(UserWarning, match=rf"{lost} .* not what"):
        assert not store.is_final(lost)
    assert store.is_final({K: M, M: K}[lost])


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def outside(path):
    rewritten(path, members(path) | {"../../evil.json": b"{}"})


def no_zip(path):
    path.write_text("not a zip")


def no_records(path):
    rewritten(path, {"arrays/k/a.npy": b""})


@pytest.mark.parametrize("damage", [cut, outside, no_zip, no_records])
def test_an_archive_that_is_none_is_said_and_passed_over(store, damage):
    path = store.folder / "cortex_as_run.zip"
    damage(path)
    with pytest.warns(UserWarning, match=r"The archive .*cortex_as_run.zip is .*computed again"):
        assert not store.is_final(K)
    with pytest.raises(ValueError, match="archive"):
        list(Archive(path))


def test_records_of_another_machine_are_taken_in(store, tmp_path):
    own = Store(tmp_path / "mine", "imputation")
    own.write(record(M, scores={"error": 1 / 3}, written="earlier"), {})
    found = merge(store.folder / "cortex_as_run.zip", tmp_path / "mine")
    assert found == {"new": 1, "same": 1, "unfinished": 0, "conflicts": [], "damaged": []}
    assert own.read(K)["scores"] == {"error": 0.1}
    assert "grid" in own.arrays(own.read(K))
    assert own.read(M)["written"] == "earlier"


def test_other_scores_under_the_same_key_are_said_and_replace_nothing(store, tmp_path):
    own = Store(tmp_path / "mine", "imputation")
    own.write(record(M, scores={"error": 0.5}), {})
    found = merge(tmp_path, tmp_path / "mine")
    assert found["new"] == 1
    (sentence,) = found["conflicts"]
    assert f"PCA, seed {JOBS[M].seed} ({M}): error 0.5 → 0.333" in sentence
    assert own.read(M)["scores"] == {"error": 0.5}


def test_damaged_records_of_another_machine_are_said_and_left(store, tmp_path):
    content = members(store.folder / "cortex_as_run.zip")
    digit(content)
    rewritten(tmp_path / "theirs.zip", content)
    found = merge(tmp_path / "theirs.zip", tmp_path / "mine")
    assert found["new"] == 1
    assert [f"{M} in" in sentence for sentence in found["damaged"]] == [True]


def test_a_foreign_record_cannot_leave_the_folder(tmp_path):
    archive.write(tmp_path / "theirs.zip", [(record(K, experiment="../../evil"), {})])
    found = merge(tmp_path / "theirs.zip", tmp_path / "mine")
    assert len(found["damaged"]) == 1
    assert not list(tmp_path.rglob("*evil*"))


def test_a_record_under_the_key_of_another_job_is_none_whoever_sealed_it(store, tmp_path):
    assert key_of(json.loads(json.dumps(record(K), sort_keys=True))) == K
    odd = record(M) | {"key": K}
    nameless = {name: value for name, value in odd.items() if name != "module"}
    for made, said in ((odd, "its key is that of another job"), (nameless, "of an earlier version")):
        archive.write(tmp_path / "odd.zip", [(made, {})])
        (sentence,) = merge(tmp_path / "odd.zip", tmp_path / "mine")["damaged"]
        assert said in sentence
    archive.write(store.folder / "cortex_as_run.zip", [(odd, {})])
    with pytest.warns(UserWarning, match="its key is that of another job"):
        assert not Store(tmp_path, "imputation").is_final(K)


def test_a_damaged_archive_of_a_folder_is_said(store, tmp_path):
    cut(store.folder / "cortex_as_run.zip")
    with pytest.warns(UserWarning, match="damaged"):
        (sentence,) = merge(tmp_path, tmp_path / "mine")["damaged"]
    assert "cortex_as_run.zip is damaged" in sentence


def test_nothing_to_take_in_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="no records"):
        merge(tmp_path / "nowhere", tmp_path / "mine")
