"""Imputed counts in use: planted methods, and every score against SciPy and scikit-learn."""

from functools import partial

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from test_run import command, written

from baselines.base import Method
from baselines.controls import GeneMean, Identity
from experiments import imputed
from experiments.loop.job import Seeds
from experiments.metrics.clustering import label_scores
from experiments.tasks.skipped import NotApplicable
from experiments.tasks.split import train_test
from experiments.tasks.thinned import halve, thin

PROTOCOL = {"split": {"train": 0.75, "test": 0.25, "random_state": None}}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def adata():
    """320 cells of three types."""
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=320)
    mean = rng.gamma(2, 2, size=(3, 60))[kind] * rng.gamma(20, 0.05, size=(320, 1))
    obs = pd.DataFrame({"label": pd.Categorical(np.array(list("abc"))[kind])}, index=[f"cell{i}" for i in range(320)])
    return ad.AnnData(sp.csr_matrix(rng.poisson(mean).astype(np.int32)), obs=obs, uns={"source": {"name": "planted"}})


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(imputed, "label_scores", partial(label_scores, n_starts=5))


class Smoothing(Method):
    """The mean of the nearest 15 cells; knows no labels."""

    def fit(self, X, batch=None):
        self.counts_ = X.toarray()
        self.near_ = NearestNeighbors(n_neighbors=15).fit(np.log1p(self.counts_))
        return self

    def impute(self, X, batch=None):
        return self.counts_[self.near_.kneighbors(np.log1p(X.toarray()), return_distance=False)].mean(axis=1)


class Spy(Identity):
    def fit(self, X, batch=None):
        self.X_ = X.toarray()
        return self


def test_two_halves_of_a_type_differ_in_the_thinned_genes_alone(adata):
    cells = np.flatnonzero(adata.obs["label"] == "a")[:100]
    before = adata.X.copy()
    found = thin(adata.X, cells, np.random.default_rng(0))
    assert (before != adata.X).nnz == 0
    assert sorted(np.concatenate(found.halves)) == cells.tolist()
    lost = (before - found.X).toarray()
    assert lost.min() >= 0
    assert found.changed.sum() == 6
    touched = [lost[half][:, found.changed].sum(axis=0) > 0 for half in found.halves]
    np.testing.assert_array_equal(touched[0], ~touched[1])  # each in one half
    assert touched[0].sum() == 3
    lost[np.ix_(cells, found.changed)] = 0
    assert lost.sum() == 0
    for half, genes in zip(found.halves, touched, strict=True):
        there = np.ix_(half, np.flatnonzero(found.changed)[genes])
        kept, all_of_it = int(found.X.toarray()[there].sum()), int(before.toarray()[there].sum())
        assert stats.binomtest(kept, all_of_it, 0.5).pvalue > 1e-4


def test_no_half_loses_many_more_molecules_than_the_other():
    mean = np.geomspace(0.1, 100, 400)
    X = sp.csr_matrix(np.random.default_rng(0).poisson(mean, size=(100, 400)))
    gaps = []
    for seed in range(20):
        found = thin(X, np.arange(100), np.random.default_rng(seed))
        one, other = ((X - found.X)[half].sum() for half in found.halves)
        gaps.append(abs(one - other) / (one + other))
    assert np.mean(gaps) < 0.1


def test_halves_are_disjoint_and_of_one_size():
    one, other = halve(np.arange(10, 31), np.random.default_rng(0))
    assert len(one) == len(other) == 10
    assert len(set(one) | set(other)) == 20
    assert set(one) | set(other) <= set(range(10, 31))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_smoothing_without_labels_creates_calls_and_the_identity_does_not(adata, seed):
    def called(method):
        return imputed.evaluate(method, adata, PROTOCOL, Seeds(seed, 2, 3), counts="thinned")[0]

    given, smooth, mean = called(Identity()), called(Smoothing()), called(GeneMean())
    assert given["unchanged_called"] < 0.03
    assert given["changed_called"] > 0.8
    assert smooth["unchanged_called"] > 0.08
    assert mean == {"changed_auroc": 0.5, "changed_called": 0, "unchanged_called": 0}


def test_labels_permuted_after_the_imputation_call_few_genes_with_any_method(adata):
    for method in (Identity(), Smoothing(), GeneMean()):
        scores = imputed.evaluate(method, adata, PROTOCOL, SEEDS, counts="observed")[0]
        assert scores["null_called"] < 0.05


def test_calls_are_those_of_scipy_gene_by_gene(adata):
    spy = Spy()
    scores, _, facts = imputed.evaluate(spy, adata, PROTOCOL, SEEDS, counts="thinned")
    train, _ = train_test(adata, PROTOCOL, SEEDS)
    labels = adata.obs["label"].to_numpy()[train]
    assert facts["split_type"] == pd.Series(labels).value_counts().index[0]
    cells = np.flatnonzero(labels == facts["split_type"])
    assert facts["n_split_cells"] == len(cells)
    made = thin(adata.X[train], cells, np.random.default_rng([1, 1]))
    np.testing.assert_array_equal(made.X.toarray(), spy.X_)
    values = np.log1p(1e4 * spy.X_ / spy.X_.sum(axis=1, keepdims=True))
    p = [stats.mannwhitneyu(*(values[half, gene] for half in made.halves)).pvalue for gene in range(60)]
    called = stats.false_discovery_control(p) <= 0.05
    assert scores["changed_called"] == called[made.changed].mean()
    assert scores["unchanged_called"] == called[~made.changed].mean()
    assert scores["changed_auroc"] == pytest.approx(roc_auc_score(made.changed, -np.array(p)))


def test_clusters_are_those_of_the_principal_components(adata):
    scores, _, _ = imputed.evaluate(Smoothing(), adata, PROTOCOL, SEEDS, counts="observed")
    train, _ = train_test(adata, PROTOCOL, SEEDS)
    X, labels = adata.X[train], adata.obs["label"].astype(str).to_numpy()[train]
    smooth = Smoothing().fit(X).impute(X)
    latent = PCA(10, svd_solver="full").fit_transform(np.log1p(1e4 * smooth / smooth.sum(axis=1, keepdims=True)))
    clusters = KMeans(3, n_init=5, random_state=1).fit_predict(latent)
    assert scores["ari"] == pytest.approx(adjusted_rand_score(labels, clusters))
    assert scores["ari"] > 0.9
    nothing = imputed.evaluate(GeneMean(), adata, PROTOCOL, SEEDS, counts="observed")[0]
    assert nothing["ari"] == nothing["nmi"] == nothing["asw"] == 0


def test_cells_that_lose_their_last_count_are_imputed_by_nobody():
    rng = np.random.default_rng(0)
    X = np.zeros((100, 20), dtype=np.int32)
    X[np.arange(100), rng.integers(10, 20, size=100)] = 1  # one molecule each
    X[60:, :10] = 1
    obs = pd.DataFrame({"label": pd.Categorical(["a"] * 60 + ["b"] * 40)}, index=[f"cell{i}" for i in range(100)])
    spy = Spy()
    bare = ad.AnnData(sp.csr_matrix(X), obs=obs)
    imputed.evaluate(spy, bare, PROTOCOL, SEEDS, counts="thinned")
    assert 0 < 75 - len(spy.X_) < 40
    assert spy.X_.sum(axis=1).min() > 0


def test_what_cannot_be_split_is_skipped_and_an_unknown_setting_is_said(adata):
    bare = adata.copy()
    bare.obs = bare.obs.drop(columns="label")
    with pytest.raises(NotApplicable, match="planted has no two cell types"):
        imputed.evaluate(Identity(), bare, PROTOCOL, SEEDS, counts="observed")
    with pytest.raises(NotApplicable, match=r"are of the largest type, .: 20 are needed"):
        imputed.evaluate(Identity(), adata[:40], PROTOCOL, SEEDS, counts="thinned")
    with pytest.raises(ValueError, match=r"experiment\.axes\.counts=other is not known: choose observed or thinned"):
        imputed.evaluate(Identity(), adata, PROTOCOL, SEEDS, counts="other")


@pytest.mark.slow
def test_table_and_figures_are_written(tmp_path, small_h5ad):
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}", "dataset.label_key=cell_type", "seeds=[0]"]
    done = command("+exp=imputed", "methods=[gene_mean,identity,pca]", *own, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stem = written(tmp_path, "_jobs.csv").name.removesuffix("_jobs.csv")
    table = pd.read_csv(tmp_path / f"results/tables/{stem}.csv")
    assert set(table["score"]) == set(imputed.SCORES)
    assert (table["status"] == "done").all()
    assert table["published"].isna().all()
    for counts in ("observed", "thinned"):
        assert len(pd.read_csv(tmp_path / f"results/figures/{stem}_{counts}.csv")) == 9
