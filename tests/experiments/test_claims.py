"""Statements of the paper, held against the scores of seeds."""

import numpy as np
import pytest

from experiments.loop.paths import ROOT
from experiments.loop.registry import METRICS
from experiments.report import claims, exhibits, table

CLAIM = {"says": "scVI is better", "section": "2.4", "experiment": "imputation", "score": "median_l1"}
SEEDS = np.array([-0.01, 0.0, 0.012])  # what seeds move, of all methods alike


def jobs(**scores):
    """Jobs of an imputation error: {label: one value per seed}, "_" for a space; those of scVI are zero."""
    scores = {"scVI": 0.0 * SEEDS} | {label.replace("_", " "): values for label, values in scores.items()}
    return [
        {"label": label, "seed": str(n), "status": "done", "reason": "", "median_l1": str(v), "corruption": "uniform"}
        for label, values in scores.items()
        for n, v in enumerate(values)
    ]


def at(corruption, **scores):
    return [job | {"corruption": corruption} for job in jobs(**scores)]


def judge(found, **statement):
    return claims.judge(CLAIM | statement, found, ["corruption"])


@pytest.mark.parametrize(
    ("side", "of_fa", "verdict"),
    [  # scVI errs by zero: an error above that is worse
        ({"better": ["FA"]}, 0.2 + SEEDS, "holds"),
        ({"better": ["FA"]}, -0.2 + SEEDS, "contradicted"),
        ({"better": ["FA"]}, 0.01 + SEEDS, "undecided"),
        ({"better": ["FA"]}, [0.2], "undecided"),  # one seed
        ({"worse": ["FA"]}, -0.2 + SEEDS, "holds"),
        ({"worse": ["FA"]}, 0.2 + SEEDS, "contradicted"),
        ({"like": ["FA"], "margin": 1.0}, -0.5 + SEEDS, "holds"),
        ({"like": ["FA"], "margin": 1.0}, 5.0 + SEEDS, "holds"),
        ({"like": ["FA"], "margin": 1.0}, -2.0 + SEEDS, "contradicted"),
        ({"like": ["FA"], "margin": 1.0}, -1.0 + SEEDS, "undecided"),
    ],
)
def test_verdict(side, of_fa, verdict):
    assert judge(jobs(FA=of_fa), **side)[0] == verdict


@pytest.mark.parametrize(
    ("bound", "values", "verdict"),
    [
        ({"above": 5}, [10, 11, 12, 11.5], "holds"),
        ({"above": 5}, [1, 1.2, 1.1], "contradicted"),
        ({"above": 5}, [4, 6, 5.5], "undecided"),
        ({"below": 3}, [1, 1.2, 1.1], "holds"),
        ({"above": 5}, [11], "undecided"),  # one seed, far above
        ({"above": 5}, [11] * 4, "undecided"),  # all alike: the exact test takes five
        ({"above": 5}, [11] * 5, "holds"),
        ({"below": 5}, [11] * 5, "contradicted"),
    ],
)
def test_bounds(bound, values, verdict):
    assert judge(jobs(SIMLR=values), value={"label": "SIMLR"} | bound)[0] == verdict


@pytest.mark.parametrize(
    ("statement", "of_control", "verdict"),
    [
        ({"better": ["FA"]}, 0.7 + SEEDS, "holds"),
        ({"better": ["FA"]}, [-0.2, 0.3, 0.9], "undecided"),  # scVI is not ahead of chance
        ({"like": ["FA"], "margin": 1.0}, 0.7 + SEEDS, "holds"),
        ({"like": ["FA"], "margin": 1.0}, [-0.2, 0.3, 0.9], "undecided"),  # like chance within the margin
        ({"value": {"label": "FA", "above": 0.05}}, SEEDS, "holds"),
        ({"value": {"label": "FA", "above": 0.05}}, 0.3 + SEEDS, "undecided"),
        ({"value": {"label": "FA", "above": 0.05}}, [0.3] * 3, "undecided"),  # too few alike to say that it is above
    ],
)
def test_a_statement_that_would_hold_of_the_control_is_undecided(statement, of_control, verdict):
    found, words = judge(jobs(FA=0.2 + SEEDS, chance=of_control), control="chance", **statement)
    assert found == verdict
    assert words[1].startswith("chance (control): ")


def test_where_higher_is_better_the_sides_change(monkeypatch):
    monkeypatch.setitem(METRICS, "median_l1", METRICS["median_l1"]._replace(better="higher"))
    verdict, words = judge(jobs(FA=[-0.3, -0.2, -0.1]), better=["FA"])
    assert verdict == "undecided"
    assert words == ["FA: scVI ahead by 0.2 (−0.0484 to 0.448)"]  # 0.2 ± 4.303 × 0.1 / √3
    verdict, words = judge(jobs(FA=[0.2, 0.3, 0.4]), better=["FA"])
    assert verdict == "contradicted"
    assert words == ["FA: scVI behind by 0.3 (0.0516 to 0.548)"]


def test_one_method_that_contradicts_is_enough_and_the_missing_are_named():
    found = [*jobs(FA=0.2 + SEEDS, PCA=-0.2 + SEEDS), *at("binomial", ZIFA=0.2 + SEEDS)]
    verdict, words = judge(found, better=["FA", "PCA", "ZIFA"], where={"corruption": "uniform"})
    assert verdict == "contradicted"
    assert words[-1] == "ZIFA: not run"


def test_many_methods_need_more_to_contradict_one_of_them():
    """Holm: a p of 0.03 contradicts a statement about one method, and none about four."""
    behind = np.array([-3.0, -2.3, -1.6, -0.9, -0.2])
    assert judge(jobs(FA=behind), better=["FA"])[0] == "contradicted"
    even = [0.5, -0.4, 0.1, 0.2, -0.3]
    four = jobs(FA=behind, PCA=even, ZIFA=even, MAGIC=even)
    assert judge(four, better=["FA", "PCA", "ZIFA", "MAGIC"])[0] == "undecided"


def test_every_setting_counts_where_none_is_named():
    found = [jobs(FA=0.2 + SEEDS), at("binomial", FA=-0.2 + SEEDS)]
    assert judge([*found[0], *found[1]], better=["FA"])[0] == "contradicted"
    assert judge([*found[1], *found[0]], better=["FA"])[0] == "contradicted"


def test_what_is_found_at_several_settings_says_at_which():
    found = [job | {"size": "all"} for job in [*jobs(FA=0.2 + SEEDS), *at("binomial", FA=-0.2 + SEEDS)]]
    words = claims.judge(CLAIM | {"better": ["FA"]}, found, ["corruption", "size"])[1]
    assert [each.split(":")[0] for each in words] == ["FA (uniform)", "FA (binomial)"]
    uniform = CLAIM | {"better": ["FA"], "where": {"corruption": "uniform"}}
    assert claims.judge(uniform, found, ["corruption", "size"])[1][0].startswith("FA: scVI ahead by 0.2")


def test_another_row_of_scvi_can_be_compared_seed_by_seed():
    found = [*jobs(**{"scVI": [9, 8, 7], "scVI (long)": [4, 6, 5], "FA": [6, 7, 6.3], "PCA": [5, "", 3]})]
    found += [job | {"corruption": "binomial", "median_l1": "0"} for job in found]
    found.append(found[0] | {"label": "PCA", "seed": "3", "status": "failed"})
    verdict, words = judge(found, better=["FA", "PCA"], of="scVI (long)", where={"corruption": "uniform"})
    assert verdict == "undecided"
    assert words[0].startswith("FA: scVI (long) ahead by 1.43 (")  # 2, 1 and 1.3
    assert words[1].startswith("PCA: scVI (long) behind by 0.5 (")  # 1 and −2: the seed without a value is left out


def test_what_failed_does_not_count():
    failed = [*jobs(), jobs(FA=[0.2])[-1] | {"status": "failed", "reason": "R", "median_l1": ""}]
    assert judge(failed, better=["FA"]) == ("not run", ["FA: failed: R"])


N_RUNS = 500  # a share of 0.05 has a standard error of 0.01


@pytest.mark.parametrize("draw", ["normal", "gamma"])
@pytest.mark.parametrize("n_methods", [1, 4])
def test_false_verdicts_are_rare(draw, n_methods):
    """Scores of equal mean: neither "holds" nor "contradicted" is true, and each comes up in at most 5%."""
    rng, names = np.random.default_rng(0), ["FA", "PCA", "ZIFA", "MAGIC"][:n_methods]
    wrong = {"holds": 0, "contradicted": 0, "undecided": 0}
    for _ in range(N_RUNS):
        size = (n_methods + 1, 4)
        errors = rng.standard_normal(size) if draw == "normal" else rng.gamma(4, size=size)
        wrong[judge(jobs(**dict(zip(["scVI", *names], errors, strict=True))), better=names)[0]] += 1
    assert wrong["holds"] < 0.05 * N_RUNS
    assert wrong["contradicted"] < 0.05 * N_RUNS
    assert wrong["undecided"] > 0.9 * N_RUNS


@pytest.mark.parametrize("claim", claims.read(), ids=lambda claim: claim["says"][:30])
def test_the_file(claim):
    assert {"says", "section", "experiment", "score"} < set(claim)
    sides = {"better", "worse", "like", "margin", "value"}
    known = {"says", "section", "exhibit", "experiment", "score", "where", "datasets", "control", "of"} | sides
    assert set(claim) <= known  # YAML takes the word on for true
    assert (ROOT / "conf" / "exp" / f"{claim['experiment']}.yaml").exists()
    assert METRICS[claim["score"]].better or "value" in claim
    assert claim["exhibit"] in {exhibit["id"] for exhibit in exhibits.read()}
    assert table.REFERENCE == "scVI"
    assert claims.judge(claim, [])[0] == "not run"
