"""What a latent space makes of types, a continuum and noise: Fig 3, 15 and 16 (paper, section 2.5)."""

import numpy as np

from baselines.simlr.n_clusters import estimate_n_clusters

from .hashes import array_sha256
from .latent import fit_latent, plane
from .layout import neighbor_graph, spring_layout
from .metrics.structure import cluster_excess, coordinate_r2, graph_components, kmeans_asw
from .split import train_test

REQUIRES = "latent"
PUBLISHED = {  # our score -> its name in results/published.json
    "n_clusters": "estimated_n_clusters",
    "cluster_excess": "cluster_excess",
    "kmeans_asw": "kmeans_asw",
    "graph_components": "graph_components",
    "coordinate_r2": "coordinate_r2",
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
    seeds : experiments.cell.Seeds

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
    rows = _rows(adata, protocol, seeds)
    X, arrays = adata.X[rows], _annotations(adata, rows)
    batch = adata.obs["batch"].to_numpy()[rows] if "batch" in adata.obs else None
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


def figure(table, records):
    """Return {name: Figure}: cells in the plane, distance matrices, bars of the scores.

    Parameters
    ----------
    table : pandas.DataFrame
        Summary over seeds (experiments.table.summarise).
    records : pandas.DataFrame
        One row per finished cell, with its ``arrays``.
    """
    from .plots.bars import score_bars
    from .plots.structure import distance_figures, plane_figures

    shown = records[(records["seed"] == records["seed"].min()) & (records["role"] != "control")]
    panels = list(shown.itertuples())
    figures = {}
    if panels:
        figures = plane_figures(panels) | distance_figures(panels)
    for score in PUBLISHED:
        rows = table[table["score"] == score]
        if len(rows) and rows["n_seeds"].any():
            n_told = records["n_told"].max() if score == "n_clusters" else 0
            note = f" For the other figures it is told the number of cell types, {n_told:.0f}." if n_told else ""
            figures[score] = score_bars(table, score, note=note)
    return figures
