"""The batch experiment, evaluated in this process on planted batches and types."""

from functools import partial

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import silhouette_score
from tidy import assert_tidy

from baselines.base import Method
from baselines.controls import BatchLatent, RandomLatent
from baselines.pca import PCA
from experiments import batch
from experiments.figures import batch as drawing
from experiments.loop.job import Seeds
from experiments.metrics.clustering import label_scores
from experiments.report import table
from experiments.scores import published as addresses
from experiments.tasks.skipped import NotApplicable

PROTOCOL = {
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "batch": {"mixing_draws": 5, "tsne_components": {}},
}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def adata():
    """160 cells of two types in two batches that shift the counts of ten genes."""
    rng = np.random.default_rng(0)
    kind, donor = rng.integers(2, size=160), np.arange(160) % 2
    mean = np.full((160, 30), 4.0)
    mean[kind == 1, :10] *= 4
    mean[donor == 1, 20:] *= 3
    types, donors = np.array(["T", "B"])[kind], np.array(["x", "y"])[donor]
    obs = pd.DataFrame({"label": pd.Categorical(types), "batch": pd.Categorical(donors)})
    obs.index = [f"cell{i}" for i in range(160)]
    return ad.AnnData(sp.csr_matrix(rng.poisson(mean).astype(np.int32)), obs=obs, uns={"source": {"name": "planted"}})


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few starts of k-means, and the first two dimensions as the plane: t-SNE is tested in test_latent.py."""
    monkeypatch.setattr(batch, "label_scores", partial(label_scores, n_starts=5))
    monkeypatch.setattr(batch, "plane", lambda latent, seed: latent[:, -2:].astype(np.float32))


class Spy(Method):
    """The first genes as latent space; remembers what it was given."""

    def __init__(self, n_clusters="labels", n_latent=4):
        self.n_clusters = n_clusters
        self.n_latent = n_latent

    def fit(self, X, batch=None):
        self.X_, self.given_ = X.copy(), batch
        return self

    def latent(self, X, batch=None):
        return np.log1p(X[:, : self.n_latent].toarray())


def test_scores_are_those_of_scikit_learn_on_the_training_cells(adata):
    spy = Spy()
    scores, arrays, facts = batch.evaluate(spy, adata, PROTOCOL, SEEDS)
    assert spy.n_clusters == 2  # "labels" stands for the number of cell types
    assert facts["n_cells"] == spy.X_.shape[0] == 120
    space = spy.latent(spy.X_)
    label = arrays["label_names"][arrays["label"]]
    assert scores["asw"] == pytest.approx(silhouette_score(space, label))
    assert scores["batch_asw"] == pytest.approx(silhouette_score(space, spy.given_))
    np.testing.assert_array_equal(arrays["batch_names"][arrays["batch"]], spy.given_)
    share = np.bincount(arrays["batch"]) / 120
    assert facts["entropy_of_batches"] == pytest.approx(-(share * np.log(share)).sum())
    # the annotations are those of the cells that were fitted
    dense = adata.X.toarray()
    rows = [int(np.flatnonzero((dense == row).all(axis=1))[0]) for row in spy.X_.toarray()]
    np.testing.assert_array_equal(label, adata.obs["label"].to_numpy()[rows])
    np.testing.assert_array_equal(spy.given_, adata.obs["batch"].to_numpy()[rows])


def test_a_space_of_types_alone_has_the_best_scores_and_the_controls_bracket_mixing(adata):
    class Types(Spy):
        def latent(self, X, batch=None):
            high = X[:, :10].toarray().mean(axis=1) > 8
            return np.eye(2)[high.astype(int)] + 0.01 * np.random.default_rng(0).normal(size=(X.shape[0], 2))

    types, _, facts = batch.evaluate(Types(), adata, PROTOCOL, SEEDS)
    apart, _, _ = batch.evaluate(BatchLatent(), adata, PROTOCOL, SEEDS)
    noise, _, _ = batch.evaluate(RandomLatent(), adata, PROTOCOL, SEEDS)
    assert types["ari"] == types["nmi"] == 1
    assert types["asw"] > 0.95
    assert apart["batch_entropy"] == 0
    assert noise["batch_entropy"] == pytest.approx(facts["entropy_of_batches"], abs=0.05)
    assert apart["batch_asw"] > 0.8
    assert abs(noise["batch_asw"]) < 0.05
    assert abs(noise["ari"]) < 0.1
    for score in batch.MIXING:
        best, worst = (min, max) if batch.SCORES[score].better == "lower" else (max, min)
        assert worst(apart[score], noise[score], types[score]) == apart[score]
        assert best(apart[score], noise[score]) == noise[score]
    assert types["graph_connectivity"] > 0.95
    for score in ("clisi", "isolated_f1"):
        assert types[score] == 1 > max(noise[score], apart[score])
    assert types["isolated_asw"] == pytest.approx((types["asw"] + 1) / 2, abs=1e-3)  # both are in both batches
    assert facts["isolated_labels"] == "B, T"


def test_the_same_cells_are_drawn_for_every_method_and_more_draws_change_the_entropy_alone(adata):
    first, _, facts = batch.evaluate(PCA(n_latent=3), adata, PROTOCOL, SEEDS)
    again, _, same = batch.evaluate(PCA(n_latent=3), adata, PROTOCOL, SEEDS)
    assert first == again
    assert facts["cells_sha256"] == same["cells_sha256"]
    once = PROTOCOL | {"batch": {"mixing_draws": 1, "tsne_components": {}}}
    other, _, _ = batch.evaluate(PCA(n_latent=3), adata, once, SEEDS)
    assert {name for name in first if first[name] != other[name]} == {"batch_entropy"}


def test_more_components_are_drawn_than_scored(adata):
    wide = PROTOCOL | {"batch": {"mixing_draws": 5, "tsne_components": {"PCA": 100}}}
    narrow_scores, narrow, _ = batch.evaluate(PCA(n_latent=2), adata, PROTOCOL, SEEDS)
    wide_scores, wider, _ = batch.evaluate(PCA(n_latent=2), adata, wide, SEEDS)
    assert narrow_scores == wide_scores
    assert not np.allclose(narrow["plane"], wider["plane"])


def test_a_method_draws_its_own_plane_where_it_has_one(adata):
    class Own(Spy):
        def embed(self, X):
            return np.c_[np.arange(X.shape[0]), np.zeros(X.shape[0])]

    _, arrays, _ = batch.evaluate(Own(), adata, PROTOCOL, SEEDS)
    np.testing.assert_array_equal(arrays["plane"][:, 0], np.arange(120))


def test_one_batch_is_skipped_and_no_labels_will_do(adata):
    one = adata.copy()
    one.obs["batch"] = pd.Categorical(["x"] * 160)
    with pytest.raises(NotApplicable, match="planted has one batch") as caught:
        batch.evaluate(Spy(), one, PROTOCOL, SEEDS)
    assert caught.value.skip
    one.obs["batch"] = pd.Categorical([f"x{i}" for i in range(160)])
    with pytest.raises(NotApplicable, match="planted has 120 batches among 120 training cells: batches mix where"):
        batch.evaluate(Spy(), one, PROTOCOL, SEEDS)
    bare = adata.copy()
    bare.obs = bare.obs.drop(columns="label")
    scores, arrays, _ = batch.evaluate(Spy(n_clusters=3), bare, PROTOCOL, SEEDS)
    assert set(scores) == {"batch_entropy", "batch_asw", *batch.MIXING}
    assert "label" not in arrays


def test_too_few_cells_for_the_neighbours_are_skipped_before_the_fit(adata):
    with pytest.raises(NotApplicable, match="45 training cells: batch mixing looks at the 50 nearest"):
        batch.evaluate(None, adata[:60], PROTOCOL, SEEDS)


@pytest.mark.parametrize("bad", [np.zeros((3, 2)), np.full((120, 2), np.nan), np.zeros(120)])
def test_a_latent_space_that_is_none_is_refused(adata, bad):
    class Broken(Spy):
        def latent(self, X, batch=None):
            return bad

    with pytest.raises(ValueError, match=r"latent\(\) returned"):
        batch.evaluate(Broken(), adata, PROTOCOL, SEEDS)


@pytest.mark.slow
def test_figures_show_every_method_by_type_and_by_batch(adata):
    records, arrays = [], []
    for label, method in {"scVI": Spy(), "PCA": PCA(n_latent=3), "batch latent": BatchLatent()}.items():
        scores, found, facts = batch.evaluate(method, adata, PROTOCOL, SEEDS)
        role = "control" if label == "batch latent" else "method"
        records.append(
            {"experiment": "batch", "dataset": "planted", "protocol": "as_run", "method": label, "label": label,
             "role": role, "seed": 0, "key": label, "axes": {}, "status": "done", "reason": "", "scores": scores,
             "facts": facts, "seconds": {"total": 1.0}, "peak_memory_mb": 1.0}
        )  # fmt: skip
        arrays.append(found)
    cells = table.frame(records)
    summary = table.summarise(cells, [], addresses(batch.SCORES, cells), "RETINA")
    assert summary.set_index(["label", "score"]).loc[("scVI", "batch_entropy"), "published"] == pytest.approx(
        0.6116, abs=1e-4
    )
    figures = drawing.figure(summary, cells.assign(arrays=arrays))
    of_the_paper = {name for name, score in batch.SCORES.items() if score.published}
    assert set(figures) == {"tsne_label", "tsne_batch", "mixing", "types_kept", *of_the_paper}
    assert set(figures["types_kept"].data["score"]) == set(batch.TYPES_KEPT)
    for name in ("tsne_label", "tsne_batch"):
        assert_tidy(figures[name])
        assert [ax.get_title() for ax in figures[name].axes] == ["scVI", "PCA"]
        drawn = figures[name].axes[1].collections[0].get_offsets()
        shown = {tuple(point) for point in np.asarray(drawn, dtype=np.float32)}
        assert shown == {tuple(point) for point in arrays[1]["plane"]}
        assert "n\xa0= 120 per square" in figures[name].caption
    assert set(figures["tsne_batch"].data["batch"]) == {"x", "y"}
    assert figures["tsne_label"].data["cell type"].tolist()[:120] == list(arrays[0]["label_names"][arrays[0]["label"]])
    sizes = np.bincount(arrays[0]["batch"]) / 120
    mixed = -np.sum(sizes * np.log(sizes))
    words = f"At most ln\xa02\xa0= 0.69; mixed at random: {mixed:.2f}. Published: of two batches, at most 0.69."
    assert words in figures["batch_entropy"].caption
    assert "At most" not in figures["batch_asw"].caption
    earlier = cells.drop(columns=[*batch.MIXING, *batch.TYPES_KEPT])  # records from before there were these scores
    summary = table.summarise(earlier, [], addresses(batch.SCORES, earlier), "RETINA")
    assert set(drawing.figure(summary, earlier.assign(arrays=arrays))) == {"tsne_label", "tsne_batch", *of_the_paper}
