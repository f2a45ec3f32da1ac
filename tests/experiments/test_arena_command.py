"""The command of the arena, with planted methods in a folder of their own: from typing to scorecard."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from experiments.arena import __main__ as arena
from experiments.loop import config
from experiments.loop.job import load_dataset
from experiments.loop.store import Store

from .command_line import command

TINY = ["dataset.n_cells=120", "dataset.n_genes=30", "seeds=[0,1]", "executor._target_=planted.run_here"]
METHODS = {
    "echo": "_target_: planted.Echo",
    "again": "_target_: planted.GeneMeanAgain",
    "broken": "_target_: planted.Noise\nscale: 1000.0",
    "raises": "_target_: planted.Raises",
    "knows": "_target_: planted.Knows\ntruth: {truth}",
    "truthful": "_target_: planted.AsksForTheTruth",
    "referring": "_target_: planted.AsksForTheReference",
    "fa": "_target_: planted.Echo",
    "unable": "_target_: planted.CannotImpute",
    "pca_again": "_target_: planted.Echo\n_label_: PCA",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder: conf/method/ with the planted methods, and the counts that one of them has got hold of."""
    folder = tmp_path_factory.mktemp("arena")
    settings = config.today("imputation", "simulated", "as_written", "gene_mean")["dataset"]
    loader = settings["loader"] | {"n_cells": 120, "n_genes": 30}
    np.save(folder / "truth.npy", load_dataset(settings | {"loader": loader}).X.toarray())
    (folder / "conf" / "method").mkdir(parents=True)
    for name, text in METHODS.items():
        text = text.replace("{truth}", str(folder / "truth.npy"))
        (folder / "conf" / "method" / f"{name}.yaml").write_text(text + "\n")
    return folder


def enter(folder, *names, more=(), results="results", tiny=TINY):
    given = ["--config-dir", "conf", "--experiments", "imputation", "--data", "simulated", f"results_dir={results}"]
    own = [f"+method@methods.{name}={name}" for name in names]
    return command(*given, *own, *tiny, *more, cwd=folder, main=arena.main)


@pytest.fixture(scope="module")
def entered(folder):
    """Four planted methods beside PCA and the controls, which are computed here for want of records."""
    more = ["--others", "all", "methods=[pca]"]
    done = enter(folder, "knows", "again", "broken", "echo", more=more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done, pd.read_csv(folder / "results" / "report" / "arena.csv").set_index(["setting", "method"])


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["corruption=uniform", "corruption=binomial"])
def test_a_perfect_a_random_and_a_broken_method_end_at_one_at_zero_and_below(entered, setting):
    scaled = entered[1].loc[setting]["scaled"]
    assert scaled["knows"] == scaled["oracle"] == 1
    assert scaled["again"] == scaled["gene_mean"] == 0
    assert scaled["broken"] < -10


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["corruption=uniform", "corruption=binomial"])
def test_who_returns_what_it_was_given_does_not_win(entered, setting):
    rows = entered[1].loc[setting]
    assert rows.loc["echo", "mean"] == rows.loc["identity", "mean"]
    assert rows.loc["echo", "scaled"] < 0
    assert rows.loc["echo", "rank"] > rows.loc[["pca", "again", "knows"], "rank"].max()
    assert rows.loc["knows", "rank"] == 1


@pytest.mark.slow
def test_numbers_are_those_of_the_records(folder, entered):
    records = pd.DataFrame(
        record["scores"] | record["axes"] | {"method": record["method"], "seconds": record["seconds"]["total"]}
        for record in Store(folder / "results", "imputation").finished()
    )
    means = records.groupby(["corruption", "method"])[["median_l1", "seconds"]].mean()
    for (setting, method), row in entered[1].iterrows():
        where = setting.removeprefix("corruption="), method
        assert row["mean"] == pytest.approx(means.loc[where, "median_l1"])
        assert row["seconds"] == pytest.approx(means.loc[where, "seconds"])  # the median of two
        assert row["seeds"] == "0 1"


@pytest.mark.slow
def test_a_second_call_computes_nothing_and_says_the_same(folder, entered):
    before = (folder / "results" / "report" / "arena.csv").read_text()
    again = enter(folder, "knows", "again", "broken", "echo", more=["methods=[pca]"])
    assert again.returncode == 0
    assert "32 jobs, 32 on record, 0 to compute." in again.stdout
    assert (folder / "results" / "report" / "arena.csv").read_text() == before


@pytest.mark.slow
def test_the_page_holds_all_it_needs(folder, entered):
    page = (folder / "results" / "report" / "arena.html").read_text()
    assert "<script" not in page
    assert all(uri.startswith(("data:", "#")) for uri in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert page.count('<img src="data:image/png;base64,') == 1
    assert "url(" not in page
    assert "@import" not in page
    for words in ("knows", "scaled: 0 gene mean, 1 oracle", "Seeds 0, 1.", "simulated counts"):
        assert words in page
    assert page.count('<tr class="mine">') == 4 * 3  # over all, and in each of two contests


@pytest.mark.slow
def test_what_others_lack_is_said_and_not_computed(folder):
    done = enter(folder, "again", results="alone")
    assert done.returncode == 0, done.stderr
    assert "48 jobs, 0 on record, 4 to compute." in done.stdout
    assert {record["method"] for record in Store(folder / "alone", "imputation").finished()} == {"again"}
    assert re.search(r"44 jobs of others are not on record: scVI 4, .*--others all computes them", done.stdout)
    assert "not ranked; nobody else is on record" in done.stdout
    controls = enter(folder, "again", results="alone", more=["--others", "controls"])
    found = {record["method"] for record in Store(folder / "alone", "imputation").finished()}
    assert found == {"again", "gene_mean", "identity", "oracle"}
    assert "scaled 0.00 (0: gene mean, 1: oracle)" in controls.stdout


@pytest.mark.slow
def test_a_method_that_fails_is_last_and_said(folder, entered):
    done = enter(folder, "raises", more=["methods=[pca]"])
    assert done.returncode == 1
    assert "rank 2 of 2; failed: planted failure" in done.stdout
    assert "failed: raises, imputation, simulated counts: 4 jobs: planted failure" in done.stdout
    assert "planted failure" in (folder / "results" / "report" / "arena.html").read_text()


def test_a_dry_run_computes_nothing(folder, tmp_path):
    done = enter(folder, "again", results=tmp_path, more=["dry_run=true"])
    assert done.returncode == 0
    assert "4 would be computed" in done.stdout
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("names", "more", "expected"),
    [
        ([], [], "Whose scorecard?"),
        (["truthful"], [], "has sees_truth"),
        (["referring"], [], "compare() asks for bulk"),
        (["identity"], [], "is a control"),
        (["unable"], [], "There is nothing to enter. Not entered, for want of what they ask of a method: imputation"),
        (["pca_again"], [], "methods.pca_again and methods.pca are both called PCA"),
        ([], ["+method@methods.pca=echo"], "methods.pca is a row of imputation already"),
        (["fa"], [], "conf/method/fa.yaml has the name of a method of the suite"),
        (["nowhere"], [], "Could not find 'method/nowhere'"),
        (["again"], ["+exp=imputation"], "--experiments names experiments"),
        (["again"], ["dataset=cortex"], "--data names data sets"),
        (["again"], ["methods=all"], "name methods one by one"),
        (["again"], ["--experiments", "posterior"], "whoever returns them is perfect"),
        (["again"], ["--data", "nowhere"], "there is no such data set"),
        (["again"], ["methods.again.k=1"], "The keys there are: _target_"),
        (["again"], ["seeds=3"], "give a list of different integers"),
    ],
)
def test_what_cannot_be_is_a_sentence(folder, tmp_path, names, more, expected):
    done = enter(folder, *names, results=tmp_path, more=more)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_row_of_the_suite_can_be_entered_as_it_stands_there(folder, entered):
    done = enter(folder, "pca", more=["methods=[pca]"])
    assert done.returncode == 0, done.stderr
    assert "16 jobs, 16 on record, 0 to compute." in done.stdout
    assert "PCA: " in done.stdout


@pytest.mark.slow
def test_a_record_of_other_counts_is_an_error(folder, entered):
    store = Store(folder / "results", "imputation")
    record = next(record for record in store.finished() if record["method"] == "pca")
    arrays, text = store.arrays(record), store.path(record["key"]).read_text()
    store.write(record | {"facts": record["facts"] | {"corrupted_sha256": "0"}}, arrays)
    done = enter(folder, "again", more=["methods=[pca]"])
    store.path(record["key"]).write_text(text)
    assert done.returncode == 1
    assert "corrupted_sha256 of PCA is not that of the other methods" in done.stderr
    assert json.loads(text)["key"] == record["key"]
