"""Statements of the paper, held against differences."""

import pytest

from experiments.loop.provenance import ROOT
from experiments.loop.registry import METRICS
from experiments.report import claims, table

CLAIM = {"says": "scVI is better", "section": "2.4", "experiment": "imputation", "score": "median_l1"}


def row(label, low, high, **columns):
    ends = {"vs_scvi": str((low + high) / 2), "vs_scvi_low": str(low), "vs_scvi_high": str(high)}
    return {"label": label, "score": "median_l1", "corruption": "uniform", "status": "done"} | ends | columns


@pytest.mark.parametrize(
    ("side", "low", "high", "verdict"),
    [  # a difference is the other method's error minus scVI's: above zero scVI is ahead
        ({"better": ["FA"]}, 0.1, 0.3, "holds"),
        ({"better": ["FA"]}, -0.3, -0.1, "contradicted"),
        ({"better": ["FA"]}, -0.1, 0.3, "undecided"),
        ({"worse": ["FA"]}, -0.3, -0.1, "holds"),
        ({"worse": ["FA"]}, 0.1, 0.3, "contradicted"),
        ({"like": ["FA"], "margin": 1.0}, -0.9, -0.2, "holds"),
        ({"like": ["FA"], "margin": 1.0}, 5.0, 6.0, "holds"),
        ({"like": ["FA"], "margin": 1.0}, -3.0, -2.0, "contradicted"),
        ({"like": ["FA"], "margin": 1.0}, -3.0, 2.0, "undecided"),
    ],
)
def test_verdict(side, low, high, verdict):
    assert claims.judge(CLAIM | side, [row("FA", low, high)])[0] == verdict


@pytest.mark.parametrize(
    ("bound", "ends", "verdict"),
    [
        ({"above": 5}, ("10", "12"), "holds"),
        ({"above": 5}, ("1", "2"), "contradicted"),
        ({"above": 5}, ("4", "6"), "undecided"),
        ({"below": 3}, ("1", "2"), "holds"),
        ({"below": 3}, ("", ""), "contradicted"),  # one seed: the score, 3.5, speaks
    ],
)
def test_bounds(bound, ends, verdict):
    rows = [row("SIMLR", 0, 0, mean="3.5", ci_low=ends[0], ci_high=ends[1])]
    assert claims.judge(CLAIM | {"value": {"label": "SIMLR"} | bound}, rows)[0] == verdict


@pytest.mark.parametrize(
    ("statement", "of_control", "verdict"),
    [
        ({"better": ["FA"]}, {"low": 0.5, "high": 0.9}, "holds"),
        ({"better": ["FA"]}, {"low": -0.2, "high": 0.9}, "undecided"),  # scVI is not ahead of chance
        ({"like": ["FA"], "margin": 1.0}, {"low": 0.5, "high": 0.9}, "holds"),
        ({"like": ["FA"], "margin": 1.0}, {"low": -0.2, "high": 0.9}, "undecided"),  # like chance within the margin
        ({"value": {"label": "FA", "above": 0.05}}, {"low": 0, "high": 0, "mean": "0.01"}, "holds"),
        ({"value": {"label": "FA", "above": 0.05}}, {"low": 0, "high": 0, "mean": "0.3"}, "undecided"),
    ],
)
def test_a_statement_that_would_hold_of_the_control_is_undecided(statement, of_control, verdict):
    ends = {"ci_low": "", "ci_high": ""}
    rows = [row("FA", 0.1, 0.3, mean="0.2", **ends), row("chance", **{"mean": "0"} | of_control, **ends)]
    found, words = claims.judge(CLAIM | statement | {"control": "chance"}, rows)
    assert found == verdict
    assert words[1].startswith("chance (control): ")


def test_where_higher_is_better_the_sides_change(monkeypatch):
    monkeypatch.setitem(METRICS, "median_l1", METRICS["median_l1"]._replace(better="higher"))
    verdict, words = claims.judge(CLAIM | {"better": ["FA"]}, [row("FA", -0.3, -0.1)])
    assert verdict == "holds"
    assert words == ["FA: scVI ahead by 0.2 (0.1 to 0.3)"]
    assert claims.judge(CLAIM | {"better": ["FA"]}, [row("FA", 0.1, 0.5)])[1] == ["FA: scVI behind by 0.3 (0.1 to 0.5)"]


def test_one_method_that_contradicts_is_enough_and_the_missing_are_named():
    rows = [row("FA", 0.1, 0.3), row("PCA", -0.3, -0.1), row("ZIFA", 0.1, 0.3, corruption="binomial")]
    claim = CLAIM | {"better": ["FA", "PCA", "ZIFA"], "where": {"corruption": "uniform"}}
    verdict, words = claims.judge(claim, rows)
    assert verdict == "contradicted"
    assert words[-1] == "ZIFA: not run"


def test_every_setting_counts_where_none_is_named():
    rows = [row("FA", 0.1, 0.3), row("FA", -0.3, -0.1, corruption="binomial")]
    assert claims.judge(CLAIM | {"better": ["FA"]}, rows)[0] == "contradicted"
    assert claims.judge(CLAIM | {"better": ["FA"]}, rows[::-1])[0] == "contradicted"


def test_what_is_found_at_several_settings_says_at_which():
    rows = [row("FA", 0.1, 0.3, size="all"), row("FA", -0.3, -0.1, size="all", corruption="binomial")]
    words = claims.judge(CLAIM | {"better": ["FA"]}, rows, ["corruption", "size"])[1]
    assert [each.split(":")[0] for each in words] == ["FA (uniform)", "FA (binomial)"]
    one = claims.judge(CLAIM | {"better": ["FA"], "where": {"corruption": "uniform"}}, rows, ["corruption", "size"])
    assert one[1] == ["FA: scVI ahead by 0.2 (0.1 to 0.3)"]


def test_another_row_of_scvi_can_be_compared_seed_by_seed():
    scores = {"scVI": (9, 8, 7), "scVI (long)": (4, 6, 5), "FA": (6, 7, 6), "PCA": (5, "", 3)}  # errors of three seeds
    jobs = [
        {"label": label, "seed": str(seed), "status": "done", "median_l1": str(value), "corruption": "uniform"}
        for label, values in scores.items()
        for seed, value in enumerate(values)
    ]
    jobs += [job | {"corruption": "binomial", "median_l1": "0"} for job in jobs]
    jobs.append(jobs[0] | {"label": "PCA", "seed": "3", "status": "failed"})
    rows = claims.against([row(label, 1, 1) for label in scores], jobs, "scVI (long)", ["corruption"])
    of = {each["label"]: (each["vs_scvi"], each["vs_scvi_low"], each["vs_scvi_high"]) for each in rows}
    assert of["FA"] == (4 / 3, 1.0, 2.0)  # 2, 1 and 1
    assert of["PCA"] == (-0.5, -2.0, 1.0)  # 1 and -2: the seed without a value is left out
    verdict, words = claims.judge(CLAIM | {"better": ["FA"], "of": "scVI (long)"}, rows)
    assert verdict == "holds"
    assert words == ["FA: scVI (long) ahead by 1.33 (1 to 2)"]


def test_without_an_interval_nothing_is_decided():
    assert claims.judge(CLAIM | {"better": ["FA"]}, [row("FA", 0.2, 0.2, vs_scvi_low="", vs_scvi_high="")])[0] == (
        "undecided"
    )


def test_what_failed_does_not_count():
    failed = row("FA", 0.2, 0.2, vs_scvi="", status="failed: R")
    assert claims.judge(CLAIM | {"better": ["FA"]}, [failed]) == ("not run", ["FA: failed: R"])


@pytest.mark.parametrize("claim", claims.read(), ids=lambda claim: claim["says"][:30])
def test_the_file(claim):
    assert {"says", "section", "experiment", "score"} < set(claim)
    sides = {"better", "worse", "like", "margin", "value"}
    known = {"says", "section", "experiment", "score", "where", "datasets", "control", "of"} | sides
    assert set(claim) <= known  # YAML takes the word on for true
    assert (ROOT / "conf" / "exp" / f"{claim['experiment']}.yaml").exists()
    assert METRICS[claim["score"]].better or "value" in claim
    assert table.REFERENCE == "scVI"
    assert claims.judge(claim, [])[0] == "not run"
