"""Cell types in latent space: Fig 8a, b, e–g (paper, sections 2.5 and 4.7)."""

import numpy as np

from .metrics.clustering import can_be_scored, label_scores
from .scores import OF_LABELS
from .tasks.data import training_cells
from .tasks.hashes import array_sha256
from .tasks.latent import fit_latent
from .tasks.library import library_from
from .tasks.skipped import NotApplicable

REQUIRES = "latent"
CUTS = (4, 3, 2)  # of the label hierarchy, Table 3
SCORES = {name: score._replace(published=name.upper()) for name, score in OF_LABELS.items()}
SCORES |= {  # "all": Fig 8e–g shows other runs than Fig 8b
    f"{name}_{cut}": score._replace(
        label=f"{score.label}, {cut} types", published={"metric": name.upper(), "n_clusters_cut": n}
    )
    for name, score in OF_LABELS.items()
    for cut, n in {"all": 7, 4: 4, 3: 3, 2: 2}.items()
}


def evaluate(method, adata, protocol, seeds):
    """Fit to the training cells, cluster their latent space, compare it with the cell types at every level.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``latent``.
    adata : AnnData
        Counts in ``X``, ``obs["label"]``; ``obs["label_4"]``, ``["label_3"]``, ``["label_2"]`` where the labels have
        a hierarchy.
    protocol : mapping
        ``split`` and ``clustering`` of conf/protocol/, and of ``scvi`` what `tasks.library` reads.
    seeds : experiments.loop.job.Seeds

    Returns
    -------
    scores : dict
        ``asw``, ``ari``, ``nmi``; with a hierarchy also ``asw_4``, …, from the same latent space, and the first three
        again as ``asw_all``, …, which the table holds against the runs of Fig 8e–g.
    arrays : dict
        None are kept.
    facts : dict
        Sizes, and the hash of the training cells.

    Raises
    ------
    NotApplicable
    """
    rows, X, batch, labels = training_cells(adata, protocol, seeds)
    if labels is None:
        raise NotApplicable(f"{adata.uns['source']['name']} has no cell types in obs['label'].")
    n_labels = np.unique(labels).size
    if not can_be_scored(labels):
        raise NotApplicable(
            f"{adata.uns['source']['name']} has {n_labels} cell type(s) among {len(rows)} training cells: clusters "
            "need at least two types, and fewer than cells."
        )
    others = library_from(method, adata, protocol, rows)
    given = batch if protocol["clustering"]["use_batch"] else None
    latent = fit_latent(method, X, batch=given, n_labels=n_labels, **others)
    if getattr(method, "sees_truth", False):
        latent = np.equal.outer(labels, np.unique(labels)).astype(float)  # a corner of its own for every cell type

    scores = label_scores(latent=latent, labels=labels, seed=seeds.split)
    coarse = {
        cut: adata.obs[f"label_{cut}"].astype(str).to_numpy()[rows] for cut in CUTS if f"label_{cut}" in adata.obs
    }
    levels = {cut: label_scores(latent=latent, labels=labels, seed=seeds.split) for cut, labels in coarse.items()}
    if levels:
        levels["all"] = scores
    scores = scores | {f"{name}_{cut}": value for cut, found in levels.items() for name, value in found.items()}
    facts = {
        "n_cells": len(rows),
        "n_genes": int(X.shape[1]),
        "n_labels": int(n_labels),
        "n_latent": int(latent.shape[1]),
        "cells_sha256": array_sha256(rows),
    }
    return scores, {}, facts
