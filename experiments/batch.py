"""Batch effects: Fig 4 and Fig 8d, and the batch row of Fig 8a (paper, sections 2.6 and 4.7).

Beside the paper's scores those of the open benchmarks of today (metrics/integration.py): how batches mix and how types
hold together, from one search of neighbours.
"""

import numpy as np
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.cluster import KMeans

from .metrics import integration
from .metrics.batch import N_NEIGHBORS, batch_entropy
from .metrics.clustering import asw, can_be_scored, label_scores
from .scores import OF_LABELS, Score
from .tasks.data import training_cells
from .tasks.hashes import array_sha256
from .tasks.latent import fit_latent, plane
from .tasks.skipped import NotApplicable

REQUIRES = "latent"
SCORES = {
    "batch_entropy": Score(
        "entropy of batch mixing (nats)",
        "higher",
        "BE",
        formula=r"mean over drawn cells of $-\sum_b p_b \log p_b$, $p_b$ the share of batch $b$ among the 50 nearest "
        "neighbours of the cell",
    ),
    "batch_asw": Score(
        "silhouette of batches",
        "lower",
        "BASW",
        formula=r"mean over cells of $(b - a) / \max(a, b)$, with batches in the place of labels",
    ),
    **{name: score._replace(published=name.upper()) for name, score in OF_LABELS.items()},
}
MIXING = {
    "ilisi": Score(
        "batches per neighbourhood (iLISI)",
        "higher",
        formula="(median over cells of the local inverse Simpson index of the batches − 1) / (number of batches − 1)",
    ),
    "kbet": Score(
        "neighbourhoods with the batches of all (kBET)",
        "higher",
        formula=r"share of cells whose 50 neighbours have the batches as all cells do, by a $\chi^2$ test at 5%",
    ),
    "batch_variance": Score(
        "variance explained by batch (PCR)",
        "lower",
        formula="share of the variance of the latent space that lies between the means of the batches",
    ),
}
TYPES_KEPT = {
    "clisi": Score(
        "one type per neighbourhood (cLISI)",
        "higher",
        formula="(number of types − median over cells of the local inverse Simpson index of the types) / (number of "
        "types − 1)",
    ),
    "graph_connectivity": Score(
        "connectivity of types in the graph",
        "higher",
        formula="mean over types of the share of its cells in the largest piece of its graph of 15 neighbours",
    ),
    "isolated_asw": Score(
        "silhouette of isolated types, 0 to 1",
        "higher",
        formula="mean over the types that fewest batches have of $(s + 1) / 2$, $s$ the silhouette of that type "
        "against all others",
    ),
    "isolated_f1": Score(
        "F1 of isolated types as clusters",
        "higher",
        formula="mean over the types that fewest batches have of the largest F1 of a cluster of k-means",
    ),
}
SCORES |= MIXING | TYPES_KEPT
N_STARTS = 10  # of the k-means whose clusters are held against isolated types


def evaluate(method, adata, protocol, seeds):
    """Fit to the training cells; score how batches mix and how labels hold together in their latent space.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``latent``.
    adata : AnnData
        Counts in ``X``, at least two levels in ``obs["batch"]``; ``obs["label"]`` where there are cell types.
    protocol : mapping
        ``split`` and ``batch`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds

    Returns
    -------
    scores : dict
        ``batch_entropy`` (nats), ``batch_asw``, ``ilisi``, ``kbet``, ``batch_variance``; with labels also ``asw``,
        ``ari``, ``nmi``, ``clisi``, ``graph_connectivity``, ``isolated_asw`` and ``isolated_f1``.
    arrays : dict
        ``plane`` (n_cells, 2), the t-SNE; ``batch`` and ``label`` as codes of ``batch_names`` and ``label_names``.
    facts : dict
        Sizes; ``entropy_of_batches``, nats, what batches that mix at random would score; ``isolated_labels``, the types
        in the fewest batches; hash of the cells chosen.

    Raises
    ------
    NotApplicable
    """
    rows, X, given, _ = training_cells(adata, protocol, seeds)
    batch = _codes(adata, "batch", rows)
    if batch is None or len(batch["batch_names"]) < 2:
        raise NotApplicable(f"{adata.uns['source']['name']} has one batch: batch mixing needs at least two.")
    if not can_be_scored(batch["batch"]):
        raise NotApplicable(
            f"{adata.uns['source']['name']} has {len(batch['batch_names'])} batches among {len(rows)} training cells: "
            "batches mix where there are fewer than cells."
        )
    if len(rows) <= N_NEIGHBORS:
        raise NotApplicable(f"{len(rows)} training cells: batch mixing looks at the {N_NEIGHBORS} nearest of each.")
    label = _codes(adata, "label", rows) or {}
    n_labels = len(label["label_names"]) if label else None
    latent = fit_latent(method, X, batch=given, n_labels=n_labels)

    rng = np.random.default_rng([seeds.split, 1])  # the same cells are drawn for every method
    n_draws = protocol["batch"]["mixing_draws"]
    neighbours = integration.nearest(latent, min(integration.LISI_CELLS, len(rows)) - 1)
    scores = {
        "batch_entropy": batch_entropy(neighbours=neighbours, batch=given, n_draws=n_draws, rng=rng),
        "batch_asw": asw(latent=latent, labels=given),
        "ilisi": integration.ilisi(neighbours=neighbours, batch=given),
        "kbet": integration.kbet(neighbours=neighbours, batch=given),
        "batch_variance": integration.batch_variance(latent=latent, batch=given),
    }
    isolated = []
    if label and can_be_scored(label["label"]):
        scores |= label_scores(latent=latent, labels=label["label"], seed=seeds.split)
        scores |= _types_kept(latent, neighbours, label["label"], given, seeds.split)
        isolated = label["label_names"][integration.isolated_labels(labels=label["label"], batch=given)].tolist()
    facts = {
        "n_cells": len(rows),
        "n_genes": int(X.shape[1]),
        "n_batches": len(batch["batch_names"]),
        "n_labels": n_labels or 0,
        "entropy_of_batches": float(entropy(np.bincount(batch["batch"]))),
        "isolated_labels": ", ".join(isolated),
        "cells_sha256": array_sha256(rows),
    }
    return scores, {"plane": _plane(method, X, given, latent, protocol, seeds), **batch, **label}, facts


def _types_kept(latent, neighbours, labels, batch, seed):
    """The scores of types that need their labels and, but for the isolated ones, no batch."""
    clusters = KMeans(np.unique(labels).size, n_init=N_STARTS, random_state=seed).fit_predict(latent)
    return {
        "clisi": integration.clisi(neighbours=neighbours, labels=labels),
        "graph_connectivity": integration.graph_connectivity(neighbours=neighbours, labels=labels),
        "isolated_asw": integration.isolated_asw(latent=latent, labels=labels, batch=batch),
        "isolated_f1": integration.isolated_f1(clusters=clusters, labels=labels, batch=batch),
    }


def _codes(adata, key, rows):
    """Codes and names of a categorical annotation, levels without cells left out; None where there is none."""
    if key not in adata.obs:
        return None
    values = adata.obs[key].iloc[rows].cat.remove_unused_categories()
    return {key: values.cat.codes.to_numpy(np.int16), f"{key}_names": np.array(values.cat.categories, dtype=str)}


def _plane(method, X, batch, latent, protocol, seeds):
    """The plane of Fig 4: a method's own where it has one (SIMLR), else t-SNE of its latent space."""
    if hasattr(method, "embed"):
        return np.asarray(method.embed(X), dtype=np.float32)
    wide = protocol["batch"]["tsne_components"].get(type(method).__name__)
    if wide:  # the authors' code draws more components than it scores
        wider = clone(method).set_params(n_latent=min(wide, *X.shape))
        latent = fit_latent(wider, X, batch=batch)
    return plane(latent, seeds.split % 2**32)
