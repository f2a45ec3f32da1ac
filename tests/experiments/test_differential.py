"""The differential-expression experiment on counts whose truth is planted."""

import types

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import spearmanr
from test_run import command
from tidy import assert_tidy

from baselines.base import Method, Skip
from baselines.controls import BulkReference, RandomPValues
from baselines.mast import MAST
from experiments import differential
from experiments.figures import differential as drawing
from experiments.loop.job import Seeds
from experiments.plots.twin_boxes import twin_boxes
from experiments.report.table import summarise
from experiments.scores import published as addresses
from experiments.tasks.skipped import NotApplicable

WRITTEN = {
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "differential": {
        "use_batch": True,
        "replace": False,
        "n_cells": 30,
        "n_repeats": 3,
        "n_null_repeats": 2,
        "bayes_factor": {"bayes_factor": "per_pair", "n_pairs": 5, "n_samples": 7},
        "positives": {"rule": "level", "level": 0.05},
        "untested": "last",
        "idr_prior": "detected",
    },
}
RUN = WRITTEN | {
    "differential": WRITTEN["differential"]
    | {"use_batch": False, "replace": True, "positives": {"rule": "top", "BDC": 0.1}, "untested": "dropped"}
}
SEEDS = Seeds(1, 2, 3)
GENES, CHANGED = 60, 20


@pytest.fixture(scope="module")
def adata():
    """300 cells of three types; the first 20 genes differ between "a" and "b", up and down in turn."""
    rng = np.random.default_rng(0)
    label = np.array(["a", "b", "other"])[rng.permutation(np.repeat([0, 1, 2], [90, 150, 60]))]
    factor = np.where(np.arange(GENES) < CHANGED, np.where(np.arange(GENES) % 2, 4.0, 0.25), 1.0)
    mean = rng.gamma(3, 1, size=GENES) * np.where((label == "a")[:, None], factor, 1.0)
    p = np.where(np.arange(GENES) < CHANGED, rng.uniform(1e-9, 1e-3, GENES), rng.uniform(0.2, 1, GENES))
    var = pd.DataFrame(
        {"BDC_adj.P.Val": p, "BDC_P.Value": p, "BDC_logFC": np.log2(factor) + rng.normal(0, 0.01, GENES)}
    )
    var.index = var.index.astype(str)
    obs = pd.DataFrame({"label": pd.Categorical(label), "batch": pd.Categorical(rng.choice(["x", "y"], 300))})
    obs.index = obs.index.astype(str)
    counts = sp.csr_matrix(rng.poisson(mean).astype(np.int32))
    return ad.AnnData(counts, obs=obs, var=var, uns={"comparisons": {"BDC": ["a", "b"], "CD": ["a", "b"]}})


class Spy(Method):
    """A Bayes factor from the true sign; remembers what it was given."""

    def fit(self, X, batch=None):
        self.fitted_, self.batch_, self.calls_ = X, batch, []
        return self

    def compare(self, X, group_a, group_b, batch=None, *, n_pairs=1):
        self.calls_.append(types.SimpleNamespace(X=X, a=group_a, b=group_b, batch=batch, n_pairs=n_pairs))
        X = X.toarray().astype(float)
        factor = 4 * np.log((X[group_a].mean(axis=0) + 0.1) / (X[group_b].mean(axis=0) + 0.1))
        factor[-1] = np.nan
        return pd.DataFrame({"score": np.abs(factor), "bayes_factor": factor, "log_fold_change": factor})


def rows_of(adata, X):
    """Positions in the data of the rows of ``X``."""
    place = {row.tobytes(): i for i, row in enumerate(adata.X.toarray())}
    return np.array([place[row.tobytes()] for row in X.toarray()])


def test_what_is_compared(adata):
    spy = Spy()
    scores, arrays, facts = differential.evaluate(spy, adata, WRITTEN, SEEDS, comparison="BDC")
    label, batch = adata.obs["label"].to_numpy(), adata.obs["batch"].to_numpy()
    train = set(rows_of(adata, spy.fitted_))
    assert len(train) == 225
    assert len(spy.calls_) == 3 + 2
    for call in spy.calls_[:3]:
        rows = rows_of(adata, call.X)
        assert set(rows) <= train
        assert len(set(rows)) == len(rows) == 60
        assert (label[rows[call.a]] == "a").all()
        assert (label[rows[call.b]] == "b").all()
        assert (batch[rows] == call.batch).all()
        assert call.n_pairs == 5  # the protocol's, as this method has such a setting
    for call in spy.calls_[3:]:
        rows = rows_of(adata, call.X)
        assert len(set(rows)) == 60
        assert (label[rows] == "b").all()  # the larger group against itself
    assert facts["null_group"] == "b"
    assert (facts["n_cells_a"], facts["n_cells_b"], facts["n_positive"]) == (30, 30, CHANGED)
    assert facts["n_untested"] == 1
    assert scores["auroc"] > 0.99
    assert scores["auroc"] == pytest.approx(arrays["auroc"].mean())
    assert facts["auroc_sd"] == pytest.approx(arrays["auroc"].std(ddof=1))
    assert scores["n_detected"] == pytest.approx(CHANGED, abs=4)
    assert scores["idr_weight"] > 0.1
    assert scores["null_called"] < 0.05
    assert 0 < scores["null_max_bayes_factor"] < 4
    signs = np.sign(arrays["single_cell"][:CHANGED]) * np.sign(arrays["bulk"][:CHANGED])
    assert (signs == 1).all()


def test_the_code_s_protocol_draws_with_replacement_and_takes_the_top_genes(adata):
    spy = Spy()
    _, _, facts = differential.evaluate(spy, adata, RUN, SEEDS, comparison="BDC")
    assert spy.batch_ is None
    assert facts["n_positive"] == 6
    sizes = [call.X.shape[0] for call in spy.calls_[:3]]
    assert all(40 < size < 60 for size in sizes)  # a cell that is drawn twice counts once


def test_genes_without_a_test_are_last_or_dropped():
    table = pd.DataFrame({"score": [5.0, np.nan, 1.0, 0.5], "pvalue": [0.01, np.nan, 0.3, 0.6]})
    positive, bulk = np.array([True, True, False, False]), np.array([0.01, 0.02, 0.5, 0.6])
    rules = {"idr_prior": 0.1}
    assert differential._agreement(table, bulk, positive, rules | {"untested": "dropped"})["auroc"] == 1
    assert differential._agreement(table, bulk, positive, rules | {"untested": "last"})["auroc"] == 0.5


def test_the_mixture_starts_from_the_share_of_bulk_genes_as_the_authors_do(monkeypatch):
    given = []
    answer = types.SimpleNamespace(p=0.5, rho=0.2)
    monkeypatch.setattr(differential, "fit_idr", lambda **call: given.append(call) or answer)
    score = np.array([2.9, 3.1, 0.0, 1.0])
    table = pd.DataFrame({"score": score, "bayes_factor": [-2.9, -3.1, 0.0, 1.0]})
    bulk = np.array([0.01, 0.2, 0.5, 0.6])
    for prior, p in (("detected", 0.25), (0.1, 0.1)):
        found = differential._agreement(table, bulk, bulk < 0.05, {"idr_prior": prior, "untested": "last"})
        start = {name: given[-1][name] for name in ("p", "mu", "sigma", "rho")}
        assert start == {"p": p, "mu": 1.0, "sigma": 0.5, "rho": 0.5}
        np.testing.assert_array_equal(given[-1]["scores_a"], score)
        np.testing.assert_allclose(given[-1]["scores_b"], -np.log(bulk))  # larger is stronger, as in scores_a
        assert found == {"auroc": pytest.approx(2 / 3), "idr_weight": 0.5, "idr_rho": 0.2, "n_detected": 1}


def test_evidence_of_no_change_ranks_a_gene_between_those_that_change():
    scores = pd.DataFrame({"score": [3.0, 0.5, 2.0], "log_fold_change": [1.0, -0.1, -2.0]})
    assert differential._strength(scores).tolist() == [3.0, -0.5, -2.0]
    changes = pd.DataFrame({"score": [4.0, -9.0, -9.0, 3.0], "log_fold_change": [1.0, 0.1, -0.1, -2.0]})
    changes["called"] = changes["score"] > 0
    assert np.argsort(differential._strength(changes)).tolist() == [3, 2, 1, 0]


def test_what_is_reported_of_a_null_comparison():
    factors = pd.DataFrame({"bayes_factor": [-3.5, 1.0, 2.0, 0.0]})
    assert differential._null_scores(factors) == {"null_called": 0.25, "null_max_bayes_factor": 3.5}
    changes = pd.DataFrame({"bayes_factor": [-9.0, 2.0, 0.5], "called": [False, True, False]})  # -9: no change
    assert differential._null_scores(changes) == {"null_called": 1 / 3, "null_max_bayes_factor": 2.0}
    tests = pd.DataFrame({"pvalue": [0.001, 0.04, np.nan, 0.9, 0.8]})  # adjusted: 0.004, 0.08, none, 0.9, 0.9
    assert differential._null_scores(tests) == {"null_called": 0.2, "null_p_below": 0.5}


def test_every_method_of_a_seed_sees_the_same_cells(adata):
    facts = [
        differential.evaluate(method, adata, WRITTEN, seeds, comparison="BDC")[2]["cells_sha256"]
        for method, seeds in ((Spy(), SEEDS), (RandomPValues(), Seeds(1, 9, 9)), (Spy(), Seeds(2, 2, 3)))
    ]
    assert facts[0] == facts[1] != facts[2]


def test_controls_and_a_method_span_the_scale(adata):
    found = {
        name: differential.evaluate(method, adata, WRITTEN, SEEDS, comparison="BDC")[0]
        for name, method in {"random": RandomPValues(), "mast": MAST(), "bulk": BulkReference()}.items()
    }
    assert 0.3 < found["random"]["auroc"] < 0.7 < found["mast"]["auroc"] <= found["bulk"]["auroc"] == 1
    assert found["bulk"]["n_detected"] == CHANGED
    assert "null_called" not in found["bulk"]
    assert found["random"]["null_p_below"] < 0.2
    assert found["mast"]["null_p_below"] < 0.2


def test_swapped_labels_make_a_method_worse(adata):
    """A method broken on purpose: the cells of both groups mixed up."""

    class Mixed(MAST):
        def compare(self, X, group_a, group_b, batch=None):
            mixed = np.random.default_rng(0).permutation(group_a)
            return super().compare(X, mixed, ~mixed, batch)

    broken = differential.evaluate(Mixed(), adata, WRITTEN, SEEDS, comparison="BDC")[0]
    sound = differential.evaluate(MAST(), adata, WRITTEN, SEEDS, comparison="BDC")[0]
    assert broken["auroc"] < 0.75 < sound["auroc"]
    assert broken["n_detected"] < sound["n_detected"] / 2


def test_what_the_data_lack_is_skipped(adata):
    with pytest.raises(NotApplicable, match="The data have no comparison 'X': name two of their labels"):
        differential.evaluate(Spy(), adata, WRITTEN, SEEDS, comparison="X")
    with pytest.raises(Skip, match="no bulk study BDC2"):
        differential.evaluate(BulkReference(study="2"), adata, WRITTEN, SEEDS, comparison="BDC")
    assert NotApplicable.skip
    assert Skip.skip


@pytest.mark.slow
def test_figures(adata):
    rows, arrays = [], []
    for label, method, role in (
        ("scVI", Spy(), "method"),
        ("MAST", MAST(), "method"),
        ("r", RandomPValues(), "control"),
    ):
        scores, found, facts = differential.evaluate(method, adata, WRITTEN, SEEDS, comparison="BDC")
        row = {"experiment": "differential", "dataset": "x", "protocol": "as_written", "method": label, "label": label}
        row |= {"role": role, "seed": 0, "key": "k", "comparison": "BDC", "status": "done", "reason": ""}
        rows.append(row | scores | facts)
        arrays.append(found)
    cells = pd.DataFrame(rows)
    table = summarise(cells, ["comparison"], addresses(differential.SCORES, cells), "PBMC")
    published = table.set_index(["label", "score"])["published"]
    assert published["scVI", "auroc"] == pytest.approx(0.72948)
    assert published["MAST", "idr_weight"] == pytest.approx(0.1784)
    assert published["MAST", "idr_rho"] == pytest.approx(0.4721)
    assert published["scVI", "n_detected"] == 1282
    figures = drawing.figure(table, cells.assign(arrays=arrays))
    assert set(figures) == {f"{kind}_BDC" for kind in ("boxes", "scatter", "null", "genes", "agreement")}
    boxes = figures["boxes_BDC"].data
    np.testing.assert_allclose(
        boxes[(boxes["label"] == "MAST") & (boxes["score"] == "auroc")]["value"], arrays[1]["auroc"]
    )
    assert len(figures["scatter_BDC"].data) == 2 * GENES
    assert "MAST, auroc: median" in figures["boxes_BDC"].alt
    assert "below 0.05" in figures["null_BDC"].alt
    null = figures["null_BDC"].axes[0]  # of scVI: Bayes factors far below their threshold, on an axis that shows it
    np.testing.assert_allclose([bar.get_width() for bar in null.patches], np.ptp(null.get_xlim()) / 40)
    assert "Diamonds" in figures["boxes_BDC"].caption
    assert len({figure.title for figure in figures.values()}) == 5
    genes = figures["genes_BDC"].data
    by_mast = genes[genes["label"] == "MAST"]
    assert sorted(by_mast["rank"]) == list(range(1, GENES + 1))
    assert {int(name) for name in by_mast.loc[by_mast["rank"] <= 15, "gene"]} <= set(range(CHANGED))
    evidence = [found["evidence"] for found in arrays[:2]]
    known = np.isfinite(evidence[0])
    agreement = spearmanr(evidence[0][known], evidence[1][known]).statistic
    assert figures["agreement_BDC"].data["spearman"].tolist() == [pytest.approx(agreement)]
    for figure in figures.values():
        assert_tidy(figure)


def test_boxes_of_a_narrow_range_keep_the_names_of_their_axes_on_the_paper():
    row = {"experiment": "differential", "dataset": "x", "protocol": "as_written", "comparison": "BDC", "method": "m"}
    row |= {"label": "MAST", "role": "method", "seed": 0, "n_cells_a": 9, "n_cells_b": 9}
    values = np.linspace(0.9701, 0.9997, 9)
    records = pd.DataFrame([row | {"arrays": {"idr_weight": values, "auroc": values}}])
    failed = {"label": "DESeq2", "status": "failed: R"}
    itself = {"label": "bulk reference", "status": "done"}
    table = pd.DataFrame([row | {"status": "done"}, row | failed, row | itself])
    table = table.assign(score="auroc", published=np.nan)
    figure = twin_boxes(records, table, left="idr_weight", right="auroc", like="Fig 5a")
    assert_tidy(figure)
    assert "published" not in figure.caption
    assert "Without a box: DESeq2 (failed), bulk reference (agrees with itself)." in figure.caption


@pytest.mark.slow
def test_from_the_command_line(tmp_path):
    slow = [f"~methods.{name}" for name in ("scvi", "scvi_nolib", "deseq2", "dca_deseq2", "edger")]
    data = ["dataset=simulated", "dataset.n_cells=300", "dataset.n_genes=60", "dataset.n_clusters=3"]
    done = command("+exp=differential", "scale=smoke", "seeds=[0]", *data, *slow, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stem = next((tmp_path / "results/tables").glob("*_jobs.csv")).stem.removesuffix("_jobs")
    table = pd.read_csv(tmp_path / f"results/tables/{stem}.csv").set_index(["comparison", "method", "score"])["mean"]
    for comparison in ("BDC", "CD"):
        assert table[comparison, "bulk", "auroc"] == 1
        assert table[comparison, "mast", "n_detected"] >= 0
        for name in ("boxes", "scatter", "null"):
            for suffix in ("png", "pdf", "csv"):
                assert (tmp_path / f"results/figures/{stem}_{name}_{comparison}.{suffix}").stat().st_size > 100
    assert table["BDC", "mast", "auroc"] > table["BDC", "random_pvalues", "auroc"]
    assert np.isfinite(table["BDC", "bulk_second", "auroc"])


def settled(adata, asked=("BDC", "CD"), protocol=WRITTEN):
    axes = {"comparison": list(asked)}
    return differential.settle({"experiment": {"axes": axes}, "protocol": protocol}, adata)["comparison"]


def test_genes_that_the_reference_has_not_measured_leave_the_score(adata, capsys):
    """The scores are those of the data that never had these genes."""
    measured = np.arange(GENES) % 3 > 0
    partly = adata.copy()
    partly.var.loc[~measured, ["BDC_adj.P.Val", "BDC_P.Value", "BDC_logFC"]] = np.nan
    assert settled(partly, ["BDC"]) == ["BDC"]
    assert "no value for 20 of 60 genes, which leave AUROC and IDR" in capsys.readouterr().out
    table = Spy().fit(adata.X).compare(adata.X, *((adata.obs["label"] == name).to_numpy() for name in "ab"))
    for protocol in (WRITTEN, RUN):
        rules = protocol["differential"]

        def scores(var, ranked, rules=rules):
            bulk = var["BDC_adj.P.Val"].to_numpy()
            positive = differential._positive(bulk, rules["positives"], "BDC")
            return differential._agreement(ranked, bulk, positive, rules)

        found = scores(partly.var, table)
        expected = scores(adata.var[measured], table[measured])
        for name in ("auroc", "idr_weight", "idr_rho"):
            assert found[name] == pytest.approx(expected[name])
    scores, arrays, facts = differential.evaluate(Spy(), partly, WRITTEN, SEEDS, comparison="BDC")
    assert scores["auroc"] > 0.99
    assert facts["n_in_bulk"] == 40
    assert np.isnan(arrays["bulk"]).sum() == 20


def test_a_reference_that_calls_nothing_is_said_and_scores_no_auroc(adata, capsys):
    flat = adata.copy()
    flat.var["BDC_adj.P.Val"] = 0.9
    settled(flat, ["BDC"])
    assert "the bulk reference calls 0 of 60 genes: no AUROC" in capsys.readouterr().out
    assert "auroc" not in differential.evaluate(Spy(), flat, WRITTEN, SEEDS, comparison="BDC")[0]


def test_without_a_reference_halves_of_the_cells_are_held_against_each_other(adata, capsys):
    plain = ad.AnnData(adata.X, obs=adata.obs)
    assert settled(plain) == ["b against a"]  # the two largest
    assert "there is no bulk reference, so no AUROC and no IDR" in capsys.readouterr().out
    found = {}
    for method in (MAST(), RandomPValues()):
        scores, arrays, facts = differential.evaluate(method, plain, WRITTEN, SEEDS, comparison="b against a")
        assert not {"auroc", "idr_weight", "bulk"} & (set(scores) | set(arrays))
        assert (facts["group_a"], facts["group_b"]) == ("b", "a")
        found[type(method)] = scores["halves_spearman"]
        assert scores["halves_spearman"] == pytest.approx(arrays["halves_spearman"].mean())
    assert abs(found[RandomPValues]) < 0.3 < 0.5 < found[MAST]
    spy = Spy()
    differential.evaluate(spy, plain, WRITTEN, SEEDS, comparison="b against a")
    first, second = (set(rows_of(plain, call.X)) for call in spy.calls_[-2:])
    assert len(first) == len(second) == 60
    assert not first & second  # no cell is in both
    with pytest.raises(Skip, match="no bulk study"):
        differential.evaluate(BulkReference(), plain, WRITTEN, SEEDS, comparison="b against a")


@pytest.mark.slow
def test_figures_without_a_reference(adata):
    plain = ad.AnnData(adata.X, obs=adata.obs)
    rows, arrays = [], []
    for label, method in (("scVI", Spy()), ("MAST", MAST())):
        scores, found, facts = differential.evaluate(method, plain, WRITTEN, SEEDS, comparison="a against b")
        row = {"experiment": "differential", "dataset": "mine", "protocol": "as_written", "method": label}
        row |= {"label": label, "role": "method", "seed": 0, "key": "k", "comparison": "a against b", "status": "done"}
        rows.append(row | {"reason": ""} | scores | facts)
        arrays.append(found)
    cells = pd.DataFrame(rows)
    table = summarise(cells, ["comparison"], addresses(differential.SCORES, cells), None)
    figures = drawing.figure(table, cells.assign(arrays=arrays))
    assert set(figures) == {f"{kind}_a against b" for kind in ("halves", "null", "genes", "agreement")}
    assert figures["null_a against b"].title.startswith("as Fig 12e: differential expression, a against b")
    assert "no bulk reference" in figures["halves_a against b"].caption
    for figure in figures.values():
        assert_tidy(figure)


def test_a_comparison_without_a_share_of_positive_genes_is_named():
    with pytest.raises(ValueError, match=r"positives has no share of positive genes for the comparison X: add it"):
        differential._positive(np.ones(3), {"rule": "top", "BDC": 0.1}, "X")
