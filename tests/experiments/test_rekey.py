"""Records of earlier code under today's keys: only where a sample of their jobs comes out the same."""

import importlib
import json
import sys

import numpy as np
import pytest
from command_line import command

from experiments import rekey, run
from experiments.loop.carry import _into, differences
from experiments.loop.provenance import code_version

METHODS = """
import numpy as np

from baselines.base import Method, check_counts


class Constant(Method):
    value = 1.0

    def fit(self, X, batch=None):
        return self

    def impute(self, X, batch=None):
        return np.full(X.shape, self.value)
"""
EXPERIMENT = """
# @package _global_
defaults: [/method@methods.kept: kept, /method@methods.altered: altered, override /dataset: simulated]
experiment: {name: small, module: experiments.imputation, axes: {corruption: [uniform]}}
dataset: {n_cells: 40, n_genes: 12}
"""


@pytest.fixture(scope="module")
def rekeyed(tmp_path_factory):
    """A run of two methods; then both change their code, one of them its result, and a record is torn."""
    folder = tmp_path_factory.mktemp("rekey")
    for name in ("kept", "altered"):
        (folder / f"{name}.py").write_text(METHODS)
        block = f"_target_: {name}.Constant\n"
        (folder / "conf" / "method").mkdir(parents=True, exist_ok=True)
        (folder / "conf" / "method" / f"{name}.yaml").write_text(block)
    (folder / "conf" / "exp").mkdir()
    (folder / "conf" / "exp" / "small.yaml").write_text(EXPERIMENT)

    def call(module, *arguments):
        for name in ("kept", "altered"):  # a new command reads them anew
            sys.modules.pop(name, None)
        code_version.cache_clear()
        importlib.invalidate_caches()
        own = ["--config-dir", str(folder / "conf")]
        return command(*own, *arguments, cwd=folder, path=[folder], main=module.main)

    def records():
        found = {}
        for path in (folder / "results/records/small").glob("*.json"):
            try:
                found[path.stem] = json.loads(path.read_text())
            except ValueError:
                found[path.stem] = None
        return found

    done = call(run, "+exp=small", "seeds=[0,1,2,3]")
    assert done.returncode == 0, done.stderr
    before = records()
    for name, value in (("kept", "1.0"), ("altered", "2.0")):
        source = METHODS.replace("value = 1.0", f"value = {value}").replace(
            "return self\n", "return (self)\n\n    n = 3\n"
        )
        (folder / f"{name}.py").write_text(source)
    torn = max(key for key, record in before.items() if record["method"] == "kept")
    path = folder / f"results/records/small/{torn}.json"
    path.write_text(path.read_text()[:-40])
    first = call(rekey, "--sample", "1")
    after = records()
    return {"call": call, "records": records, "before": before, "torn": torn, "first": first, "after": after}


@pytest.mark.slow
def test_what_comes_out_the_same_is_carried_and_says_so(rekeyed):
    before, torn = rekeyed["before"], rekeyed["torn"]
    new = {key: record for key, record in rekeyed["after"].items() if key not in before and record["method"] == "kept"}
    assert len(new) == 3  # of four seeds, one torn
    carried = {key: record for key, record in new.items() if "carried_from" in record}
    assert len(carried) == 2  # and one computed again
    (sample,) = set(new) - set(carried)
    for record in carried.values():
        origin = record["carried_from"]
        old = before[origin["key"]]
        assert origin["key"] != torn
        assert origin["sample"] == [sample]
        assert origin["code"] == {"method_code": old["method_code"], "experiment_code": old["experiment_code"]}
        assert origin["commit"] == old["git_commit"]
        assert record["scores"] == old["scores"]
        assert record["seed"] == old["seed"]
        assert record["method_code"] != old["method_code"]
    assert before.keys() <= rekeyed["after"].keys()  # nothing is removed


@pytest.mark.slow
def test_what_comes_out_otherwise_is_refused(rekeyed):
    done = rekeyed["first"]
    assert done.returncode == 1, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if " altered " in line)
    assert "differs: simulated, uniform, seed" in line
    assert "median_l1" in line
    new = [r for k, r in rekeyed["after"].items() if k not in rekeyed["before"] and r["method"] == "altered"]
    assert len(new) == 1  # the one that was computed again
    assert "carried_from" not in new[0]


@pytest.mark.slow
def test_a_torn_record_is_named_and_left(rekeyed):
    assert f"damaged: {rekeyed['torn']}" in rekeyed["first"].stdout
    assert rekeyed["after"][rekeyed["torn"]] is None


@pytest.mark.slow
def test_a_run_finds_what_was_carried_and_a_second_call_has_nothing_to_compute(rekeyed):
    done = rekeyed["call"](rekey, "--sample", "1", "--method", "kept", "--remove-old")
    assert "to compute again" not in done.stdout
    there = rekeyed["records"]()
    old = {key for key, record in rekeyed["before"].items() if record["method"] == "kept"}
    assert old & there.keys() == {rekeyed["torn"]}
    done = rekeyed["call"](run, "+exp=small", "seeds=[0,1,2,3]", "~methods.altered")
    assert "4 jobs, 3 on record, 1 to compute." in done.stdout
    assert done.returncode == 0, done.stderr


RECORD = {"status": "done", "reason": "", "scores": {"a": 1.0}, "facts": {"cells_sha256": "x", "n": 3}}


def test_scores_are_compared_to_the_last_digit_and_arrays_within_it():
    def against(change, before=(), after=(), **options):
        return differences(RECORD, RECORD | change, dict(before), dict(after), **options)

    values = np.array([1.0, np.nan, np.inf, 1e-300])
    assert against({}, {"x": values}.items(), {"x": np.nextafter(values, [2, 2, np.inf, 0])}.items()) == []
    assert against({}, {"x": values}.items(), {"x": values + np.array([4e-16, 0, 0, 0])}.items()) == [
        "the array x by 4.4e-16"
    ]
    assert against({}, {"x": values}.items(), {"x": values[:3]}.items()) == ["the array x has another form"]
    assert against({}, {"x": values}.items(), {}.items()) == ["the array x has another form"]
    assert against({"scores": {"a": np.nextafter(1.0, 2)}}) == ["a 1.0 → 1.0000000000000002"]
    assert against({"scores": {"a": 1.0 + 1e-7}}, tolerance=1e-6) == []
    assert against({"scores": {"a": 1.0, "b": 2.0}}) == ["b None → 2.0"]
    assert against({"facts": {"cells_sha256": "y", "n": 3}}) == ["cells_sha256 x → y"]
    assert against({"facts": {"cells_sha256": "x", "n": 3.0}}) == ["n 3 → 3.0"]
    assert against({"status": "timeout", "reason": "too long"}) == ["not computed again (too long)"]


def test_settings_take_the_shape_of_today_with_the_values_of_before():
    now = {"_target_": "new.Place", "lr": 1.0, "added": 5, "split": {"train": 0.5, "seed": None}, "wide": {}}
    before = {"_target_": "old.Place", "lr": 2.0, "gone": 3, "split": {"train": 0.75}, "wide": {"PCA": 100}}
    merged, gone, new = _into(now, before, "protocol.")
    assert merged == now | {"lr": 2.0, "split": {"train": 0.75, "seed": None}, "wide": {"PCA": 100}}
    assert gone == ["protocol.gone=3"]
    assert sorted(new) == ["protocol.added", "protocol.split.seed"]


def test_of_a_record_from_an_archive_what_was_kept_is_compared_in_its_precision():
    exact = {"x": np.array([1 / 3, 2 / 3]), "not kept": np.zeros(3)}
    kept = {"x": exact["x"].astype(np.float32)}
    assert differences(RECORD | {"packed": True}, RECORD, kept, exact) == []
    assert differences(RECORD, RECORD, kept, exact) != []
    moved = exact | {"x": exact["x"] * (1 + 1e-6)}
    assert differences(RECORD | {"packed": True}, RECORD, kept, moved) == ["the array x by 6.6e-07"]
