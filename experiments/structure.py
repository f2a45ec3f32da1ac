"""What a latent space makes of types, a continuum and noise: Fig 3, 15 and 16 (paper, section 2.5)."""

import numpy as np

from baselines.simlr.n_clusters import estimate_n_clusters

from .metrics.structure import cluster_excess, coordinate_r2, graph_components, kmeans_asw
from .scores import Score
from .tasks.data import take
from .tasks.graph import neighbor_graph, spring_layout
from .tasks.hashes import array_sha256
from .tasks.latent import fit_latent, plane
from .tasks.split import train_test

REQUIRES = "latent"
SCORES = {
    "n_clusters": Score(
        "clusters that SIMLR estimates",
        "",
        "estimated_n_clusters",
        whole=True,
        formula="the number at which SIMLR's first separation cost $K_1$ is smallest",
    ),
    "cluster_excess": Score(
        "silhouette of k-means above that of a Gaussian",
        formula="silhouette of k-means in the latent space, less its mean over 5 samples of the Gaussian with the same "
        "mean and covariance",
    ),
    "kmeans_asw": Score(
        "silhouette of k-means clusters", formula="mean silhouette of the cells in the clusters of k-means"
    ),
    "graph_components": Score(
        "pieces of the neighbour graph", whole=True, formula="connected components of the graph of nearest neighbours"
    ),
    "coordinate_r2": Score(
        "share of the coordinate's variance that neighbours explain",
        "higher",
        formula=r"$1 - \sum_n (y_n - \bar y_n)^2 / \sum_n (y_n - \bar y)^2$, $\bar y_n$ the mean over the neighbours",
    ),
}
UNLABELLED_CLUSTERS = 11  # of k-means where there are no labels: what SIMLR sees in the random data (section 2.5)


def evaluate(method, adata, protocol, seeds):
    """Fit to the cells; lay them out in the plane, as t-SNE and as a neighbour graph; score the shape of the space.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``latent``.
    adata : AnnData
        Counts in ``X``. Used where they are there: ``obs["label"]``, ``obs["batch"]``; ``obs["fate_contrast"]``, a
        coordinate along which cells differ continuously; ``obs["Pr_*"]``, probabilities of fates; ``obsm["spring"]``,
        a published layout.
    protocol : mapping
        ``split`` and ``structure`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds

    Returns
    -------
    scores : dict
        ``kmeans_asw`` and ``cluster_excess`` for k-means with as many clusters as there are labels (without labels,
        ``UNLABELLED_CLUSTERS``), ``graph_components``; ``coordinate_r2`` where there is a coordinate; ``n_clusters``,
        SIMLR's own estimate, of methods that are told a number of clusters.
    arrays : dict
        ``latent``; ``tsne`` and ``graph`` (n_cells, 2); ``clusters`` of methods that have them; the annotations.
    facts : dict
        Sizes and the hash of the cells chosen.
    """
    rows, X, batch, _ = take(adata, _rows(adata, protocol, seeds))
    arrays = _annotations(adata, rows)
    n_labels = len(arrays["label_names"]) if "label" in arrays else None
    scores = {}
    if "n_clusters" in method.get_params():
        scores["n_clusters"] = float(estimate_n_clusters(X.astype(np.float64).log1p())["K1"].idxmin())
    is_told = getattr(method, "n_clusters", None) == "labels" and n_labels is not None
    latent = fit_latent(method, X, batch=batch, n_labels=n_labels or int(scores.get("n_clusters", 0)))

    graph = neighbor_graph(latent, protocol["structure"]["n_neighbors"])
    k_means = {"n_clusters": max(n_labels or UNLABELLED_CLUSTERS, 2), "random_state": seeds.fit}
    scores |= {
        "cluster_excess": cluster_excess(latent=latent, **k_means),
        "kmeans_asw": kmeans_asw(latent=latent, **k_means),
        "graph_components": graph_components(graph=graph),
    }
    if "coordinate" in arrays:
        n_neighbors = protocol["structure"]["n_neighbors"]
        scores["coordinate_r2"] = coordinate_r2(latent=latent, coordinate=arrays["coordinate"], n_neighbors=n_neighbors)
    start = np.random.default_rng([seeds.split, 2]).random((len(rows), 2))
    arrays |= {
        "latent": latent.astype(np.float32),
        "tsne": np.asarray(method.embed(X) if hasattr(method, "embed") else plane(latent, seeds.split), np.float32),
        "graph": spring_layout(graph, start=start).astype(np.float32),
    }
    if hasattr(method, "clusters"):
        arrays["clusters"] = np.asarray(method.clusters(X), dtype=np.int16)
    facts = {
        "n_cells": len(rows),
        "n_genes": int(X.shape[1]),
        "n_kmeans": k_means["n_clusters"],
        "n_told": n_labels if is_told else 0,  # clusters that the method was told to make
        "cells_sha256": array_sha256(rows),
    }
    return scores, arrays, facts


def _rows(adata, protocol, seeds):
    """The cells that are fitted and shown: all, or the training cells where the authors' code split the data."""
    if protocol["structure"]["cells"] == "labelled_split" and "label" in adata.obs:
        return train_test(adata, protocol, seeds)[0]
    return np.arange(adata.n_obs)


def _annotations(adata, rows):
    """What the figures colour and order the cells by."""
    obs = adata.obs.iloc[rows]
    found = {"log_library": np.log(np.asarray(adata.X[rows].sum(axis=1)).ravel()).astype(np.float32)}
    if "label" in obs:
        label = obs["label"].cat.remove_unused_categories()
        found |= {"label": label.cat.codes.to_numpy(np.int16), "label_names": np.array(label.cat.categories, dtype=str)}
    if "fate_contrast" in obs:
        found["coordinate"] = obs["fate_contrast"].to_numpy(np.float32)
    fates = [name for name in obs if name.startswith("Pr_")]
    if fates:
        found |= {"fates": obs[fates].to_numpy(np.float32), "fate_names": np.array(fates, dtype=str)}
    if "spring" in adata.obsm:
        found["spring"] = np.asarray(adata.obsm["spring"])[rows].astype(np.float32)
    return found
