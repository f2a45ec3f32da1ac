"""Tables: intervals, published values, missing jobs."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.report import table


def jobs(scores, status="done", **columns):
    row = {"experiment": "imputation", "dataset": "cortex", "protocol": "as_run", "corruption": "uniform"}
    row |= {"method": "scvi", "label": "scVI", "role": "method", "reason": ""} | columns
    rows = [row | {"seed": i, "status": status, "median_l1": score} for i, score in enumerate(scores)]
    return pd.DataFrame(rows)


def summary(frame, published_as="CORTEX"):
    return table.summarise(frame, ["corruption"], {"median_l1": "median_L1_{corruption}"}, published_as)


def test_the_published_value_stands_beside_ours():
    row = summary(jobs([2.0, 3.0])).iloc[0]
    assert row["mean"] == 2.5
    assert row["published"] == 2.325  # Fig 9b of the paper
    assert row["published_in"].startswith("Fig 9b")
    assert row["difference"] == pytest.approx(0.175)
    assert (row["n_seeds"], row["n_missing"], row["status"]) == (2, 0, "done")


def test_the_users_own_data_have_no_published_value():
    assert np.isnan(summary(jobs([2.0, 3.0]), published_as=None).iloc[0]["published"])


def test_numbers_published_at_several_settings_are_told_apart():
    """Fig 14d gives ASW at 2 and at 10 dimensions, Fig 8e at cuts of the hierarchy, Fig 8b at neither."""
    frame = pd.concat([jobs([0.2], n_latent=n).rename(columns={"median_l1": "asw"}) for n in (2, 10, 11)])
    wanted = {"metric": "ASW", "n_latent": "{n_latent}"}
    found = table.summarise(frame, ["n_latent"], {"asw": wanted}, "CORTEX").set_index("n_latent")
    assert found.loc[2, "published"] == 0.142
    assert found.loc[10, "published"] == 0.289
    assert np.isnan(found.loc[11, "published"])
    for wanted, value in (("ASW", 0.2997168), ({"metric": "ASW", "n_clusters_cut": 2}, 0.32763597)):
        found = table.summarise(frame, ["n_latent"], {"asw": wanted}, "CORTEX")
        assert (found["published"] == value).all()


def test_missing_jobs_are_counted_and_explained():
    frame = pd.concat([jobs([2.0]), jobs([np.nan], status="failed", reason="ValueError: no")])
    row = summary(frame).iloc[0]
    assert (row["mean"], row["n_seeds"], row["n_missing"]) == (2.0, 1, 1)
    assert row["status"] == "failed: ValueError: no"


def test_a_method_without_any_result_keeps_its_row():
    row = summary(jobs([np.nan, np.nan], status="skipped", reason="R is not installed")).iloc[0]
    assert np.isnan(row["mean"])
    assert row["status"] == "skipped: R is not installed"


def test_a_method_that_failed_has_no_rows_of_what_the_data_do_not_have():
    frame = pd.concat([jobs([2.0]), jobs([np.nan], status="failed", method="zifa", label="ZIFA")])
    scores = {"median_l1": None, "deeper": None, "printed": "median_L1_uniform"}  # the last one the paper has of ZIFA
    for published_as, kept in ((None, ["median_l1"]), ("CORTEX", ["median_l1", "printed"])):
        found = table.summarise(frame, ["corruption"], scores, published_as).groupby("method")["score"].agg(list)
        assert found["scvi"] == ["median_l1"]
        assert found["zifa"] == kept
    nothing = table.summarise(frame[frame["method"] == "zifa"], ["corruption"], scores, None)
    assert list(nothing["score"]) == list(scores)


def test_differences_from_scvi_are_taken_seed_by_seed():
    scvi, pca = jobs([2.0, 3.0, 7.0]), jobs([2.5, 3.6, 7.4], method="pca", label="PCA")
    rows = summary(pd.concat([scvi, pca.sample(frac=1, random_state=0)])).set_index("method")
    assert np.isnan(rows.loc["scvi", "vs_scvi"])
    assert rows.loc["pca", "vs_scvi"] == pytest.approx(0.5)
    low, high = stats.t.interval(0.95, 2, loc=0.5, scale=stats.sem([0.5, 0.6, 0.4]))
    assert rows.loc["pca", "vs_scvi_low"] == pytest.approx(low)
    assert rows.loc["pca", "vs_scvi_high"] == pytest.approx(high)


def test_differences_leave_out_what_one_of_the_two_lacks():
    frame = pd.concat([jobs([2.0, 3.0, np.nan]), jobs([2.5, np.nan, 7.4], method="pca", label="PCA")])
    assert summary(frame).set_index("method").loc["pca", "vs_scvi"] == pytest.approx(0.5)


def test_differences_stay_within_a_setting_and_within_what_was_finished():
    frame = pd.concat(
        [
            jobs([9.0], corruption="binomial"),  # first, so that a mix-up would take it
            jobs([2.0, 3.0]),
            jobs([2.5, 3.5], method="pca", label="PCA"),
            jobs([9.5], corruption="binomial", method="pca", label="PCA"),
        ]
    )
    differences = summary(frame).set_index(["method", "corruption"])["vs_scvi"]
    assert differences["pca", "uniform"] == differences["pca", "binomial"] == pytest.approx(0.5)
    for label in ("scVI", "PCA"):  # a failed job may have this score, where another one of its scores is not finite
        broken = frame.copy()
        row = (broken["label"] == label) & (broken["seed"] == 1)
        broken.loc[row, ["status", "reason", "median_l1"]] = ["failed", "the score x is nan", 100.0]
        differences = summary(broken).set_index(["method", "corruption"])["vs_scvi"]
        assert differences["pca", "uniform"] == pytest.approx(0.5)


def test_a_score_that_a_setting_does_not_have_takes_no_row():
    frame = pd.concat([jobs([2.0, 3.0]), jobs([np.nan, np.nan], corruption="none")])
    assert list(summary(frame)["corruption"]) == ["uniform"]


def test_text_names_every_method_and_its_published_value():
    both = pd.concat([jobs([2.0, 3.0]), jobs([4.0], method="pca", label="PCA")])
    text = table.as_text(summary(both), ["corruption"])
    assert "corruption: uniform" in text
    assert "2.500" in text
    assert "2.325" in text
    assert "PCA" in text


def test_published_values_by_training_size_sign_and_name():
    """Table 1 by its sizes, Fig 9a with its sign turned, Fig 6 under the names of its two rows."""

    def found(wanted, published_as, size, **columns):
        frame = jobs([1.0], n_train_cells=size, **columns).rename(columns={"median_l1": "s"})
        return table.summarise(frame, ["n_train_cells"], {"s": wanted}, published_as).iloc[0]["published"]

    likelihood = [
        {"metric": "heldout_loglik_per_cell", "n_train_cells": "{n_train_cells}"},
        {"metric": "heldout_neg_loglik_per_cell", "n_train_cells": "{n_train_cells}", "sign": -1},
    ]
    assert found(likelihood, "BRAIN-LARGE", 10_000) == -1146.59
    assert found(likelihood, "BRAIN-LARGE", 100_000) == -1133.94
    assert np.isnan(found(likelihood, "BRAIN-LARGE", 20_000))
    assert np.isnan(found(likelihood, "BRAIN-LARGE", 50_000, method="zifa", label="ZIFA"))  # NA in the paper
    assert found(likelihood, "CORTEX", "all") == -1196.3695
    assert np.isnan(found(likelihood, "CORTEX", 4000))
    quality = {"method": "{label} NB", "metric": "median_signed_neglog10p library size"}
    assert found(quality, "BRAIN-SMALL", "all") == -170
