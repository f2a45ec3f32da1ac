"""Two sets of results side by side, from their tables alone."""

import json
import subprocess

import pandas as pd
import pytest

from experiments.report import compare
from experiments.report.results import ROWS

BLOCKS = {"experiment": {"name": "imputation", "module": "experiments.imputation"}, "dataset": {"name": "cortex"}}


def results(folder, protocol="as_written", tag="", alters=True, **errors):
    """A results folder with one run: the errors of each method by seed."""
    stem = f"imputation_cortex_{protocol}{tag}"
    cost = {"seconds": 1, "peak_memory_mb": 1}
    jobs = [
        {"label": label, "corruption": "uniform", "seed": seed, "status": "done", "error": error} | cost
        for label, values in errors.items()
        for seed, error in enumerate(values)
    ]
    run = {"stem": stem, "tag": tag, "alters": alters, "axes": ["corruption"]}
    run |= {"config": BLOCKS | {"methods": {}} | {"protocol": {"name": protocol}}}
    for kind in ("runs", "tables"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "runs" / f"{stem}.json").write_text(json.dumps(run))
    pd.DataFrame(jobs).to_csv(folder / "tables" / f"{stem}_jobs.csv", index=False)
    table = {name: [""] for name in sorted(ROWS)} | {"score": ["error"]}
    pd.DataFrame(table).to_csv(folder / "tables" / f"{stem}.csv", index=False)
    return str(folder)


def test_means_are_equal_within_or_neither(tmp_path):
    a = results(tmp_path / "a", FA=[1.0, 2.0, 3.0], PCA=[1.0, 2.0, 3.0], ZIFA=[1.0, 1.1, 1.2], MAGIC=[1.0])
    b = results(tmp_path / "b", FA=[1.0, 2.0, 3.0], PCA=[1.5, 2.5, 3.5], ZIFA=[5.0, 5.1, 5.2, 9.0])
    rows = {row["method"]: row for row in compare.differences(compare.runs(a), compare.runs(b))}
    assert {name: row["outcome"] for name, row in rows.items()} == {"FA": "equal", "PCA": "within", "ZIFA": "neither"}
    assert rows["PCA"]["difference"] == 0.5
    assert (rows["PCA"]["low"], rows["PCA"]["high"]) == (0.5, 0.5)  # every seed moved by the same
    assert rows["ZIFA"]["seeds"] == 3  # those of both
    assert rows["ZIFA"]["difference"] == pytest.approx(4)


def test_what_two_tables_have_of_the_same_jobs_is_listed_once(tmp_path):
    results(tmp_path / "a", tag="_with=mine", alters=False, FA=[1.0, 2.0], mine=[3.0, 4.0])
    a, b = results(tmp_path / "a", FA=[1.0, 2.0]), results(tmp_path / "b", FA=[1.5, 2.5])
    rows = compare.differences(compare.runs(a), compare.runs(b))
    assert [row["method"] for row in rows] == ["FA"]


def test_two_protocols_of_one_folder(tmp_path, capsys):
    results(tmp_path, "as_written", FA=[1.0, 1.0])
    results(tmp_path, "as_run", FA=[2.0, 2.0])
    assert compare.main(["as_written", "as_run", "--results", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "as_written → as_run" in said
    assert "1 means: 0 equal to the last digit on every seed, 0 more within" in said


def test_a_run_with_other_settings_is_another_run_and_a_part_of_a_run_is_not(tmp_path):
    whole = compare.runs(results(tmp_path / "a", FA=[1.0, 1.0]))
    altered = compare.runs(results(tmp_path / "b", tag="_n_latent=5", FA=[1.0, 1.0]))
    part = compare.runs(results(tmp_path / "c", tag="_seeds=0", alters=False, FA=[1.0]))
    assert compare.differences(whole, altered) == []
    for pair in ((whole, part), (part, whole)):
        (row,) = compare.differences(*pair)
        assert (row["seeds"], row["outcome"]) == (1, "equal")


def test_a_commit_is_read_without_being_checked_out(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True)

    git("init", "-q")
    results(tmp_path / "results", FA=[1.0, 1.0])
    git("add", "-A")
    git("commit", "-qm", "first")
    results(tmp_path / "results", FA=[2.0, 2.0])
    monkeypatch.setattr(compare, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    (row,) = compare.differences(compare.runs("HEAD"), compare.runs("results"))
    assert (row["a"], row["b"]) == (1.0, 2.0)


@pytest.mark.parametrize("source", ["nowhere", "no-such-commit"])
def test_what_is_nothing_is_a_sentence(tmp_path, source):
    with pytest.raises(ValueError, match=f"{source} is no folder, no protocol and no commit"):
        compare.runs(source)
    with pytest.raises(ValueError, match="There is no run in"):
        compare.runs(str(tmp_path))
