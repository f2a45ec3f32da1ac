"""Where the files of a run go among those that are there."""

import json

import pandas as pd
import pytest

from experiments.loop.config import PLAIN as NO_CHANGE
from experiments.loop.config import Identity
from experiments.loop.names import Change, stem
from experiments.loop.place import UNFINISHED, clear_unfinished, place

NAMES = ("imputation", "cortex", "as_written")
PLAIN = "imputation_cortex_as_written"
SOURCE, HASH = {"sha256": "ab" * 32}, "12" * 32


def table(**status):
    """One row per job: a method, two corruptions, two seeds; with the status of some."""
    rows = [{"method": m, "p": p, "seed": s} for m in ("pca", "fa") for p in (0.1, 0.9) for s in (0, 1)]
    for row in rows:
        row["status"] = status.get(f"{row['method']}_{row['seed']}", "done")
    return pd.DataFrame(rows)


@pytest.fixture
def results(tmp_path):
    """What the plain run left, all of it finished."""
    for folder in ("runs", "tables", "figures"):
        (tmp_path / folder).mkdir()
    (tmp_path / "runs" / f"{PLAIN}.json").write_text(json.dumps({"provenance": {"dataset_hash": [HASH]}}))
    table().to_csv(tmp_path / "tables" / f"{PLAIN}_jobs.csv", index=False)
    return tmp_path


def called(results, jobs, identity=NO_CHANGE, source=SOURCE, data=HASH):
    changes, lost = place(results, NAMES, identity, source, [data], jobs, ["p"])
    return stem(NAMES, changes), lost


def test_a_run_that_finished_as_much_takes_its_place(results):
    assert called(results, table()) == (PLAIN, [])
    assert called(results / "empty", table(pca_0="failed")) == (PLAIN, [])


@pytest.mark.parametrize("status", ["failed", "timeout", "skipped"])
def test_a_run_that_finished_less_is_told_what(results, status):
    assert called(results, table(pca_1=status)) == (PLAIN, ["pca, 0.1, 1", "pca, 0.9, 1"])


def test_what_a_run_does_not_have_any_more_is_not_lost(results):
    jobs = table()
    assert called(results, jobs[jobs["method"] == "fa"]) == (PLAIN, [])  # the yaml has one method less


def test_what_was_not_finished_before_is_not_lost(results):
    table(fa_0="failed").to_csv(results / "tables" / f"{PLAIN}_jobs.csv", index=False)
    assert called(results, table(fa_0="timeout")) == (PLAIN, [])
    (results / "tables" / f"{PLAIN}_jobs.csv").write_bytes(b"\xff\xfe\x00broken")
    assert called(results, table(fa_0="timeout")) == (PLAIN, [])


def test_the_same_settings_on_other_data_stand_beside(results):
    one, other = ({"sha256": {"counts": letters * 32}} for letters in ("cd", "ce"))
    name, _ = called(results, table(), source=one, data="34" * 32)
    assert name.startswith(f"{PLAIN}_data=")
    assert name != called(results, table(), source=other, data="56" * 32)[0]
    assert called(results, table()) == (PLAIN, [])
    assert called(results, table(), source=one) == (PLAIN, [])  # another file with the same in it


def test_a_file_of_the_users_own_has_its_content_in_the_name(results):
    own = Identity((Change("seeds=0", alters=False),), own_file=True)
    assert called(results, table(), own)[0] == f"{PLAIN}_data=abababab,seeds=0"


def test_a_missing_peer_is_in_the_name(results):
    jobs = table().assign(peer="missing")
    changes, _ = place(results, NAMES, NO_CHANGE, SOURCE, [HASH], jobs, ["p", "peer"])
    assert changes == [Change("peer=missing", alters=False)]


def test_what_stood_beside_unfinished_goes_once_all_is_finished(results):
    beside = [f"{PLAIN}_unfinished{ending}" for ending in (".csv", "_jobs.csv")]
    assert stem(NAMES, [UNFINISHED]) == f"{PLAIN}_unfinished"
    for name in beside:
        (results / "tables" / name).touch()
    (results / "tables" / f"{PLAIN}_seeds=0,unfinished.csv").touch()
    clear_unfinished(results, NAMES, [])
    left = {path.name for path in (results / "tables").iterdir()}
    assert left == {f"{PLAIN}_jobs.csv", f"{PLAIN}_seeds=0,unfinished.csv"}
