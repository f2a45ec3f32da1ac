"""The ledger: each published number once, ours beside it as the paper prints it, or a reason."""

import csv

import pytest

from experiments.report import ledger, published

JOB = {"seconds": "60", "peak_memory_mb": "1", "status": "done", "reason": ""}


def run(experiment, dataset, published_as, table=(), jobs=(), axes=(), stand_in_for=None):
    ends = {"ci_low": "", "ci_high": "", "status": "done", "vs_scvi": "", "vs_scvi_low": "", "vs_scvi_high": ""}
    return {
        "stem": f"{experiment}_{dataset}_as_written",
        "experiment": experiment,
        "module": f"experiments.{experiment}",
        "dataset": dataset,
        "title": dataset,
        "published_as": published_as,
        "protocol": "as_written",
        "stand_in_for": stand_in_for,
        "alters": False,
        "tag": "",
        "axes": list(axes),
        "table": [ends | {"n_seeds": "3"} | row for row in table],
        "jobs": [JOB | job for job in jobs],
    }


def find(rows, **wanted):
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


def test_every_row_of_the_paper_once_and_each_with_a_number_or_a_reason(tmp_path):
    rows = ledger.ledger([])
    assert [row["row"] for row in rows] == list(range(len(published.read())))
    assert all(row["reason"] for row in rows)
    assert ledger.summary(rows).startswith("0 of 674 ")
    with open(ledger.write(rows, tmp_path), newline="") as file:
        written = list(csv.DictReader(file))
    assert [float(row["published"] or "nan") for row in written] == pytest.approx(
        [float("nan") if row["published"] is None else row["published"] for row in rows], nan_ok=True
    )


def test_a_score_finds_all_that_was_printed_of_it():
    """Fig 9b, the notebook that it was drawn from (three times) and no row of another method."""
    line = {"label": "ZINB-WaVE", "score": "median_l1", "corruption": "uniform", "mean": "2.3"}
    rows = ledger.ledger([run("imputation", "cortex", "CORTEX", [line], axes=["corruption"])])
    told = [row for row in rows if ledger.is_told(row)]
    assert len(told) == 4
    assert {row["method"] for row in told} == {"ZINB-WaVE"}
    assert find(told, figure="Fig 9b (and d in Fig 2)")["as_written_verdict"] == "reproduced"


def test_what_the_paper_prints_as_a_loss_is_a_loss_here_too():
    line = {
        "label": "FA",
        "score": "loglik",
        "n_train_cells": "all",
        "mean": "-1280",
        "ci_low": "-1290",
        "ci_high": "-1279",
    }
    rows = ledger.ledger([run("likelihood", "cortex", "CORTEX", [line], axes=["n_train_cells"])])
    row = find(rows, figure="Fig 9a", method="FA")  # printed as 1282.89
    assert (row["as_written_value"], row["as_written_low"], row["as_written_high"]) == (1280, 1279, 1290)
    assert row["as_written_verdict"] == "reproduced"
    assert find(rows, figure="notebook only", dataset="CORTEX", method="FA")["as_written_value"] == -1280


def test_the_paper_s_own_data_come_before_others_and_others_are_not_judged():
    line = {"label": "scVI", "score": "median_l1", "corruption": "uniform"}
    own = run("imputation", "cortex", "CORTEX", [line | {"mean": "2.33"}], axes=["corruption"])
    other = run("imputation", "other", "CORTEX", [line | {"mean": "9"}], axes=["corruption"], stand_in_for="Others.")
    for runs in ([own, other], [other, own]):
        row = find(ledger.ledger(runs), figure="Fig 9b (and d in Fig 2)", method="scVI")
        assert (row["as_written_value"], row["as_written_data"]) == (2.33, "cortex")
    assert (
        find(ledger.ledger([other]), figure="Fig 9b (and d in Fig 2)", method="scVI")["as_written_verdict"]
        == "other data"
    )


def test_times_are_taken_from_jobs_and_shown_without_a_verdict():
    jobs = [{"label": "FA", "seed": "0", "n_cells": "4000", "n_genes": "720", "fit_minutes": "0.02"}]
    jobs += [job | {"n_cells": "10000", "fit_minutes": "7"} for job in jobs]
    rows = ledger.ledger([run("scalability", "simulated", None, jobs=jobs, axes=["n_cells", "n_genes"])])
    row = next(row for row in rows if row["figure"] == "Fig 1c" and row["setting"] == "n_train_cells 4000")
    assert (row["method"], row["as_written_value"], row["as_written_verdict"]) == ("FA", 0.02, "not judged")


def test_a_rule_of_the_file_speaks_of_published_numbers_that_exist():
    for block in ("same", "ours", "missing"):
        for rule in ledger.rules()[block]:
            assert any(ledger.applies(rule["published"], entry) for entry in published.read()), rule
