"""The arithmetic of the arena on planted scores: ranks, differences, scales, win rates, fronts."""

import importlib
import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, rankdata, ttest_rel

from experiments.arena import rules
from experiments.arena.contests import NOT_ON_RECORD, contests, scaled
from experiments.arena.overall import fronts, interval_over, standings
from experiments.loop import config
from experiments.scores import Score

SEEDS = [0, 1, 2, 3, 4]
ERROR = rules.Rule("error", Score("error", "lower"), zero="mean", one="truth")
SKILL = rules.Rule("skill", Score("skill", "higher"), zero="mean")


def jobs(**methods):
    """One row per method and seed; a value is a list over seeds, or a status in the place of one."""
    rows = []
    for name, values in methods.items():
        role = "control" if name in ("mean", "truth") else "method"
        for seed, value in zip(SEEDS, values, strict=True):
            status = value if isinstance(value, str) else "done"
            numbers = {} if status != "done" else {"error": value, "skill": -value}
            row = {"method": name, "label": name.upper(), "role": role, "seed": seed, "status": status, "reason": ""}
            rows.append(row | {"seconds": 2.0, "peak_memory_mb": 100.0} | numbers)
    return pd.DataFrame(rows)


def held(table, rule=ERROR, mine=("mine",), dataset="a", experiment="imputation"):
    """The one contest of a table and its rows by method."""
    (contest,) = contests(table, experiment, dataset, [], SEEDS, {rule.score: rule}, set(mine))
    return contest, {row.method: row for row in contest.rows}


@pytest.fixture
def field():
    rng = np.random.default_rng(0)
    level = {"scvi": 2.0, "pca": 2.5, "fa": 3.0, "mine": 2.2, "mean": 4.0, "truth": 0.0}
    return jobs(**{name: list(at + 0.1 * rng.normal(size=5) * (at > 0)) for name, at in level.items()})


@pytest.mark.parametrize("rule", [ERROR, SKILL])
def test_ranks_are_those_of_the_means(field, rule):
    contest, rows = held(field, rule)
    means = field[field["role"] == "method"].groupby("method")[rule.score].mean()
    expected = dict(zip(means.index, rankdata(-rule.sign * means), strict=True))
    assert {name: rows[name].rank for name in expected} == expected
    assert contest.n == 4
    assert math.isnan(rows["truth"].rank)  # it was shown what is asked
    assert math.isnan(rows["mean"].rank)
    assert [row.method for row in contest.rows][:4] == list(means.sort_values(ascending=rule is ERROR).index)


def test_differences_are_paired(field):
    rng = np.random.default_rng(1)
    common = 10 * rng.normal(size=5)  # of the seeds, for all methods: unpaired differences would drown in it
    field["error"] += common[field["seed"]]
    _, rows = held(field)
    by = field.pivot(index="seed", columns="method", values="error")
    assert rows["mine"].versus == pytest.approx((by["mine"] - by["scvi"]).mean())
    assert rows["mine"].margin == pytest.approx((by["mine"] - by["scvi"]).mean())
    assert rows["scvi"].margin == pytest.approx((by["scvi"] - by["mine"]).mean())  # the best other is the second
    assert math.isnan(rows["scvi"].versus)
    student = ttest_rel(by["mine"], by["scvi"]).confidence_interval()
    assert rows["mine"].versus_low <= student.low + 1e-9  # of a skewed sample an end is drawn out
    assert rows["mine"].versus_high >= student.high - 1e-9
    assert rows["mine"].versus_high - rows["mine"].versus_low < 1


def test_a_perfect_a_random_and_a_broken_method_end_at_one_at_zero_and_below(field):
    mean = field[field["method"] == "mean"]["error"].tolist()
    planted = {"perfect": [0.0] * 5, "random": mean, "broken": [9.0] * 5, "half": [value / 2 for value in mean]}
    _, rows = held(pd.concat([field, jobs(**planted)]), mine=planted)
    assert rows["perfect"].scaled == 1
    assert rows["random"].scaled == 0
    assert rows["broken"].scaled == pytest.approx(1 - 9 / np.mean(mean))
    assert rows["broken"].scaled < 0
    assert rows["half"].scaled == pytest.approx(0.5)
    assert rows["perfect"].rank == 1
    assert rows["broken"].rank == 8


def test_without_an_oracle_the_best_method_has_one(field):
    contest, rows = held(field, SKILL)
    assert (contest.zero, contest.one) == ("MEAN", "the best method")
    assert rows["scvi"].scaled == 1
    assert rows["mean"].scaled == 0
    assert 0 < rows["mine"].scaled < 1


def test_where_nobody_beats_the_control_there_is_no_scale():
    _, rows = held(jobs(mine=[5.0] * 5, scvi=[6.0] * 5, mean=[4.0] * 5), SKILL)
    assert math.isnan(rows["mine"].scaled)
    assert math.isnan(scaled({0: 1.0}, {}, {0: 2.0}, 1))
    assert math.isnan(scaled({0: 1.0}, {0: 2.0}, {0: 2.0}, 1))


@pytest.mark.parametrize("end", ["failed", "timeout", "skipped"])
def test_who_gives_up_a_seed_comes_last(field, end):
    table = pd.concat([field[field["method"] != "mine"], jobs(mine=[0.1, 0.1, 0.1, 0.1, end])])
    contest, rows = held(table)
    assert rows["mine"].rank == 4
    assert rows["mine"].status == end
    assert len(rows["mine"].seeds) == 4
    table = pd.concat([field[field["method"] != "mine"], jobs(mine=[end] * 5, other=[end] * 5)])
    contest, rows = held(table)
    if end == "skipped":  # another whose package is not here has not been beaten
        assert math.isnan(rows["other"].rank)
        assert rows["mine"].rank == contest.n == 4
    else:
        assert rows["mine"].rank == rows["other"].rank == contest.n == 5


def test_a_finished_job_without_the_score_is_no_way_around_the_last_place(field):
    table = pd.concat([field[field["method"] != "mine"], jobs(mine=[0.1, 0.1, 0.1, 0.1, math.nan])])
    _, rows = held(table)
    assert rows["mine"].rank == 4
    assert rows["mine"].status == "no error in 1 of 5 seeds"


def test_what_others_lack_is_not_held_against_them(field):
    table = pd.concat([field, jobs(late=[1.0, 1.0, NOT_ON_RECORD, 1.0, 1.0], absent=[NOT_ON_RECORD] * 5)])
    contest, rows = held(table)
    assert math.isnan(rows["late"].rank)
    assert rows["late"].status == "4 of 5 seeds on record"
    assert "absent" not in rows
    assert contest.n == 4


@pytest.mark.parametrize("rule", [ERROR, SKILL])
def test_who_is_alone_is_not_first(rule):
    contest, rows = held(jobs(mine=[1.0] * 5, mean=[4.0] * 5, truth=[0.0] * 5), rule)
    assert contest.n == 0
    assert math.isnan(rows["mine"].rank)
    assert math.isnan(rows["mine"].margin)
    assert rows["mine"].status == "nobody else is on record"
    assert standings([contest]) == []
    if rule is ERROR:
        assert rows["mine"].scaled == 0.75  # two controls make a scale
    else:
        assert math.isnan(rows["mine"].scaled)  # its own score does not


def test_one_setting_is_a_contest_of_its_own(field):
    table = pd.concat([field.assign(corruption="uniform"), field.assign(corruption="binomial", error=-field["error"])])
    rule = {"error": ERROR._replace(zero=None)}
    first, second = contests(table, "imputation", "a", ["corruption"], SEEDS, rule, {"mine"})
    assert (first.setting, second.setting) == ((("corruption", "uniform"),), (("corruption", "binomial"),))
    assert first.rows[0].method == "scvi"
    assert second.rows[0].method == "fa"


def test_mixing_does_not_count_where_nothing_is_told_apart():
    """A space that knows nothing mixes batches best, and comes last."""
    rule = rules.ranked("batch")["batch_entropy"]
    rng = np.random.default_rng(0)
    rows = []
    mixed = {"scvi": 0.6, "pca": 0.3, "mine": 0.69, "random_latent": 0.69, "batch_latent": 0.0}
    asw = {"scvi": 0.3, "pca": 0.2, "mine": 0.0, "random_latent": 0.0, "batch_latent": 0.0}
    for name, seed in itertools.product(mixed, SEEDS):
        role = "control" if "latent" in name else "method"
        row = {
            "method": name,
            "label": name,
            "role": role,
            "seed": seed,
            "status": "done",
            "reason": "",
            "seconds": 1.0,
        }
        noise = 0.01 * rng.normal(size=2)
        row |= {"peak_memory_mb": 1.0, "batch_entropy": mixed[name] + noise[0], "asw": asw[name] + noise[1]}
        rows.append(row)
    _, found = held(pd.DataFrame(rows), rule)
    assert [found[name].rank for name in ("scvi", "pca", "mine")] == [1, 2, 3]
    assert found["mine"].status == "its asw is no better than that of random_latent"
    assert found["scvi"].scaled == pytest.approx(0.6 / 0.69, abs=0.05)


def contest_of(dataset, experiment="imputation", **values):
    return held(jobs(**{name: [value] * 5 for name, value in values.items()}), dataset=dataset, experiment=experiment)[
        0
    ]


def test_a_data_set_counts_once_however_many_contests_it_has():
    many = [contest_of("a", mine=1.0, scvi=2.0, mean=4.0, truth=0.0) for _ in range(9)]
    other_task = contest_of("a", experiment="stability", mine=3.0, scvi=2.0, mean=4.0, truth=0.0)
    other_data = contest_of("b", mine=3.0, scvi=2.0, fa=1.0, mean=4.0, truth=0.0)
    found = {each.method: each for each in standings([*many, other_task, other_data])}
    assert found["mine"].rank == pytest.approx(((1 + 2) / 2 + 3) / 2)
    assert found["mine"].wins == pytest.approx(((1 + 0) / 2 + 0) / 2)
    assert found["mine"].scaled == pytest.approx(((0.75 + 0.25) / 2 + 0.25) / 2)
    assert (found["mine"].n, found["mine"].datasets, found["mine"].tasks) == (
        11,
        ("a", "b"),
        ("imputation", "stability"),
    )
    assert (found["fa"].n, found["fa"].wins) == (1, 1)
    assert next(iter(standings(many))).method == "mine"


@pytest.mark.parametrize("given_up", [["failed"] * 5, [0.1, 0.1, 0.1, 0.1, "timeout"]])
def test_who_gives_up_a_contest_has_no_scaled_mean(given_up):
    """A method that fails where it would be bad is not better for it than one that is bad there."""
    good = contest_of("a", mine=1.0, scvi=2.0, mean=4.0, truth=0.0)
    others = {"scvi": [2.0] * 5, "mean": [4.0] * 5, "truth": [0.0] * 5}
    bad, _ = held(jobs(mine=given_up, **others), dataset="b")
    found = {each.method: each for each in standings([good, bad])}
    assert math.isnan(found["mine"].scaled)
    assert found["mine"].wins == 0.5
    assert found["scvi"].scaled == pytest.approx(0.5)


def test_a_tie_is_half_a_win():
    found = {each.method: each for each in standings([contest_of("a", mine=2.0, scvi=2.0, fa=3.0)])}
    assert found["mine"].wins == found["scvi"].wins == 0.75
    assert found["fa"].wins == 0


def test_intervals_are_a_bootstrap_over_data_sets():
    values = [0.2, 0.9, 0.4, 0.6, 0.8]
    low, high = interval_over(values)
    judge = bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(7)).confidence_interval
    assert (low, high) == pytest.approx((judge.low, judge.high), abs=0.02)
    assert all(map(math.isnan, interval_over([0.5])))  # one data set says nothing of others
    assert interval_over([0.5, 0.5]) == (0.5, 0.5)


def test_in_front_is_who_is_beaten_in_neither_score_nor_time():
    table = jobs(mine=[1.0] * 5, scvi=[1.5] * 5, fa=[2.0] * 5, pca=[2.5] * 5, mean=[4.0] * 5, truth=[0.0] * 5)
    table["seconds"] = table["method"].map({"mine": 9.0, "scvi": 5.0, "fa": 7.0, "pca": 1.0, "mean": 0.1, "truth": 0.1})
    (points,) = fronts([held(table)[0]]).values()
    assert {point.method for point in points if point.in_front} == {"mine", "scvi", "pca"}
    assert {point.method: point.scaled for point in points}["mine"] == pytest.approx(0.75)


def test_every_score_with_a_direction_is_ranked_or_said_not_to_be():
    known = {path.stem for path in (Path(__file__).parents[2] / "conf" / "exp").glob("*.yaml")}
    assert {*rules.experiments(), *rules.not_entered()} == known
    for experiment in rules.experiments():
        scores = importlib.import_module(f"experiments.{experiment}").SCORES
        directed = {name for name, score in scores.items() if score.better}
        assert {*rules.ranked(experiment), *rules.not_ranked(experiment)} == directed
        assert not set(rules.ranked(experiment)) & set(rules.not_ranked(experiment))


@pytest.mark.parametrize("experiment", rules.experiments())
def test_the_ends_of_a_scale_are_controls_of_the_experiment(experiment):
    methods = config.today(experiment, "simulated", "as_written", "scvi")["methods"]
    for rule in rules.ranked(experiment).values():
        for name in filter(None, (rule.zero, rule.one)):
            assert methods[name]["_role_"] == "control", (experiment, rule.score, name)
