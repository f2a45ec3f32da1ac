"""The structure experiment and its figures, on planted groups, coordinates and noise."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import cdist
from tidy import assert_tidy

from baselines.base import Method
from baselines.controls import RandomLatent
from baselines.pca import PCA
from baselines.simlr.n_clusters import estimate_n_clusters
from experiments import structure
from experiments.figures import structure as drawing
from experiments.loop.job import Seeds
from experiments.metrics.structure import cluster_excess, coordinate_r2, kmeans_asw
from experiments.plots.distances import block_distances
from experiments.plots.structure import CORTEX_ORDER, _known
from experiments.report import table
from experiments.scores import published as addresses
from experiments.tasks.graph import neighbor_graph

PROTOCOL = {
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "structure": {"n_neighbors": 5, "cells": "all"},
}
SEEDS = Seeds(1, 2, 3)
N_CELLS = 140


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The plane is tested in test_latent.py, the layout against networkx in test_metrics_structure.py."""
    monkeypatch.setattr(structure, "plane", lambda latent, seed: latent[:, -2:].astype(np.float32))
    monkeypatch.setattr(structure, "spring_layout", lambda graph, start: start)


@pytest.fixture(scope="module")
def adata():
    """The seven types of CORTEX, each with genes of its own, along a coordinate; probabilities of two fates."""
    rng = np.random.default_rng(0)
    kind, place = np.arange(N_CELLS) % 7, rng.uniform(-2, 2, size=N_CELLS)
    mean = np.full((N_CELLS, 42), 1.0)
    mean[np.arange(N_CELLS)[:, None], kind[:, None] * 5 + np.arange(5)] = 15
    mean[:, 35:] *= np.exp(place)[:, None]
    toward = 1 / (1 + np.exp(-place))
    obs = pd.DataFrame(
        {"label": pd.Categorical(np.array(sorted(CORTEX_ORDER))[kind]), "fate_contrast": place, "Pr_Gr": toward,
         "Pr_Er": 1 - toward},
        index=[f"cell{i}" for i in range(N_CELLS)],
    )  # fmt: skip
    spring = np.c_[place, rng.normal(size=N_CELLS)]
    X = sp.csr_matrix(rng.poisson(mean).astype(np.int32))
    return ad.AnnData(X, obs=obs, obsm={"spring": spring})


@pytest.fixture(scope="module")
def noise(adata):
    bare = adata.copy()
    bare.X = sp.csr_matrix(np.random.default_rng(1).poisson(3.0, size=bare.shape).astype(np.int32))
    bare.obs = bare.obs[[]]
    bare.obsm.clear()
    return bare


class Clusterer(Method):
    """A latent space and clusters of its own, told a number of clusters, as SIMLR."""

    def __init__(self, n_clusters="labels"):
        self.n_clusters = n_clusters

    def fit(self, X, batch=None):
        self.X_ = X.copy()
        return self

    def latent(self, X, batch=None):
        return np.log1p(X.toarray())

    def clusters(self, X):
        return np.arange(X.shape[0]) % self.n_clusters


def test_scores_are_those_of_the_latent_space(adata):
    method = Clusterer()
    scores, arrays, facts = structure.evaluate(method, adata, PROTOCOL, SEEDS)
    assert method.n_clusters == facts["n_kmeans"] == facts["n_told"] == 7
    assert facts["n_cells"] == N_CELLS
    latent = np.log1p(adata.X.toarray())
    np.testing.assert_allclose(arrays["latent"], latent, rtol=1e-6)
    place = adata.obs["fate_contrast"].to_numpy(np.float32)
    assert scores["coordinate_r2"] == pytest.approx(coordinate_r2(latent=latent, coordinate=place, n_neighbors=5))
    assert scores["cluster_excess"] == cluster_excess(latent=latent, n_clusters=7, random_state=3)
    expected = estimate_n_clusters(np.log1p(adata.X.astype(float)))["K1"].idxmin()
    assert scores["n_clusters"] == expected
    np.testing.assert_array_equal(arrays["label_names"][arrays["label"]], adata.obs["label"])


def test_without_labels_a_clusterer_gets_its_own_estimate(noise):
    method = Clusterer()
    scores, arrays, facts = structure.evaluate(method, noise, PROTOCOL, SEEDS)
    assert method.n_clusters == scores["n_clusters"] == len(set(arrays["clusters"]))
    assert facts["n_kmeans"] == structure.UNLABELLED_CLUSTERS
    assert facts["n_told"] == 0
    _, _, own = structure.evaluate(Clusterer(n_clusters=7), noise, PROTOCOL, SEEDS)
    assert own["n_told"] == 0  # whatever the configuration says
    assert "coordinate_r2" not in scores
    assert "label" not in arrays


def test_what_invents_clusters_in_noise_stands_out_against_the_control(noise):
    class Inventor(Clusterer):
        def latent(self, X, batch=None):
            rng = np.random.default_rng(0)
            return np.eye(11)[np.arange(X.shape[0]) % 11] + 0.01 * rng.normal(size=(X.shape[0], 11))

    invented, _, _ = structure.evaluate(Inventor(11), noise, PROTOCOL, SEEDS)
    honest, _, _ = structure.evaluate(PCA(n_latent=5), noise, PROTOCOL, SEEDS)
    control, _, _ = structure.evaluate(RandomLatent(), noise, PROTOCOL, SEEDS)
    assert invented["cluster_excess"] > 0.5
    assert abs(honest["cluster_excess"]) < 0.1
    assert abs(control["cluster_excess"]) < 0.05
    assert invented["graph_components"] == 11
    assert control["graph_components"] == 1
    assert "n_clusters" not in honest


def test_the_silhouette_is_not_its_excess(noise):
    scores, _, _ = structure.evaluate(PCA(n_latent=3), noise, PROTOCOL, SEEDS)
    latent = PCA(n_latent=3).fit(noise.X).latent(noise.X)
    clusters = {"n_clusters": structure.UNLABELLED_CLUSTERS, "random_state": 3}
    assert scores["kmeans_asw"] == pytest.approx(kmeans_asw(latent=latent, **clusters))
    assert scores["cluster_excess"] == pytest.approx(cluster_excess(latent=latent, **clusters))
    assert scores["kmeans_asw"] > scores["cluster_excess"] + 0.1  # noise has clusters, but no more than a Gaussian


def test_protocols_differ_in_cells_and_neighbours(adata, noise):
    as_run = PROTOCOL | {"structure": {"n_neighbors": 10, "cells": "labelled_split"}}
    seen = {}
    monkey = pytest.MonkeyPatch()
    monkey.setattr(structure, "neighbor_graph", lambda latent, k: seen.update(k=k) or neighbor_graph(latent, k))
    _, _, facts = structure.evaluate(PCA(n_latent=3), adata, as_run, SEEDS)
    _, _, whole = structure.evaluate(PCA(n_latent=3), noise, as_run, SEEDS)
    monkey.undo()
    assert seen["k"] == 10
    assert facts["n_cells"] == 105
    assert whole["n_cells"] == N_CELLS  # without labels the authors split nothing


def drawn(adata, methods):
    records, arrays = [], []
    for label, method in methods.items():
        scores, found, facts = structure.evaluate(method, adata, PROTOCOL, SEEDS)
        records.append(
            {"experiment": "structure", "dataset": "planted", "protocol": "as_written", "method": label, "label": label,
             "role": "control" if label == "random latent" else "method", "seed": 0, "key": label, "axes": {},
             "status": "done", "reason": "", "scores": scores, "facts": facts, "seconds": {"total": 1.0},
             "peak_memory_mb": 1.0}
        )  # fmt: skip
        arrays.append(found)
    cells = table.frame(records)
    summary = table.summarise(cells, [], addresses(structure.SCORES, cells), "random ZINB")
    return summary, drawing.figure(summary, cells.assign(arrays=arrays)), arrays


@pytest.mark.slow
def test_figures_of_types_a_coordinate_and_fates(adata):
    methods = {"PCA": PCA(n_latent=3), "SIMLR": Clusterer(), "random latent": RandomLatent()}
    summary, figures, _ = drawn(adata, methods)
    kinds = {f"{key}_{what}" for key in ("tsne", "graph") for what in ("cell_type", "coordinate", "fate")}
    assert set(figures) == kinds | {"tsne_simlr_cluster", "distances", *structure.SCORES}
    assert len({figure.title for figure in figures.values()}) == len(figures)  # the captions of the report
    assert figures["graph_components"].title == "structure of latent spaces, pieces of the neighbour graph"
    for name in kinds | {"tsne_simlr_cluster", "distances"}:
        assert_tidy(figures[name])
        assert figures[name].get_figwidth() <= 7.2
    titles = [ax.get_title() for ax in figures["graph_fate"].axes]
    assert titles == ["PCA", "SIMLR", "SPRING, as published"]
    told = f" SIMLR is told the number of cell types, {adata.obs['label'].nunique()}; its own estimate is "
    assert told in figures["tsne_simlr_cluster"].caption
    assert figures["n_clusters"].caption.endswith(" For the other figures it is told the number of cell types, 7.")
    assert "told" not in figures["graph_components"].caption
    layers = figures["tsne_fate"].axes[0].collections
    assert len(layers) == 2  # one per fate, as opaque as the cell is probable
    opacity = np.sort([np.sort(layer.get_alpha()) for layer in layers], axis=0)
    probabilities = np.sort(np.sort(adata.obs[["Pr_Gr", "Pr_Er"]].to_numpy().T, axis=1), axis=0)
    np.testing.assert_allclose(opacity, probabilities, atol=1e-6)
    published = summary.set_index(["label", "score"])["published"]
    assert published["SIMLR", "n_clusters"] == 11  # of the random data


@pytest.mark.slow
def test_distance_matrices_are_means_over_blocks_in_the_order_of_the_paper(adata):
    _, figures, arrays = drawn(adata, {"PCA": PCA(n_latent=3)})
    rank = {name: i for i, name in enumerate(CORTEX_ORDER)}
    order = np.argsort([rank[name] for name in adata.obs["label"]], kind="stable")
    expected = cdist(arrays[0]["latent"][order], arrays[0]["latent"][order])
    image = figures["distances"].axes[0].collections[0]
    assert image.get_cmap().name == "hot"
    np.testing.assert_allclose(image.get_array(), expected, atol=1e-4)  # fewer cells than blocks: one cell each
    blocks = np.array_split(order, 9)
    means = [[cdist(arrays[0]["latent"][a], arrays[0]["latent"][b]).mean() for b in blocks] for a in blocks]
    np.testing.assert_allclose(block_distances(arrays[0]["latent"], blocks), means, rtol=1e-5)
    csv = figures["distances"].data
    assert len(csv) == N_CELLS
    np.testing.assert_allclose(csv.filter(like="block_").to_numpy(float), expected, rtol=1e-3, atol=1e-4)


def test_types_with_leading_numbers_are_in_the_order_of_the_numbers():
    names = np.array(["10GMP", "1Ery", "2Ery"])
    known = _known({"label": np.array([0, 1, 2, 1]), "label_names": names})["cell type"]
    assert list(known.names) == ["1Ery", "2Ery", "10GMP"]
    assert list(known.values) == ["10GMP", "1Ery", "2Ery", "1Ery"]


@pytest.mark.slow
def test_figures_of_noise_are_by_library_size_and_by_the_clusters_of_simlr(noise):
    _, figures, arrays = drawn(noise, {"SIMLR": Clusterer(), "PCA": PCA(n_latent=3)})
    assert {"tsne_library_size", "graph_library_size", "tsne_simlr_cluster", "distances"} < set(figures)
    assert "ordered by cluster of SIMLR" in figures["distances"].caption
    n_clusters = arrays[0]["clusters"].max() + 1
    assert f" SIMLR makes {n_clusters} clusters by its own estimate." in figures["tsne_simlr_cluster"].caption
    _, without, _ = drawn(noise, {"PCA": PCA(n_latent=3)})
    assert "tsne_simlr_cluster" not in without
    assert "ordered by library size" in without["distances"].caption
    for name in ("tsne_library_size", "distances"):
        assert_tidy(without[name])
