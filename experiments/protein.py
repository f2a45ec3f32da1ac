"""Neighbours in latent space against neighbours in protein space: Fig 8c (paper, sections 2.5 and 4.7)."""

from .metrics.neighbours import fold_enrichment, graph_spearman, neighbour_graph
from .scores import Score
from .tasks.data import training_cells
from .tasks.hashes import array_sha256
from .tasks.latent import fit_latent
from .tasks.skipped import NotApplicable

REQUIRES = "latent"
SCORES = {
    "protein_spearman": Score(
        "Spearman of RNA and protein graphs",
        "higher",
        "protein_knn_spearman",
        formula="Spearman's correlation of the two flattened adjacency matrices of 100 neighbours",
    ),
    "protein_fold": Score(
        "fold enrichment of shared edges",
        "higher",
        "protein_knn_fold_enrichment",
        formula=r"$|A \cap B| n^2 / (|A| |B|)$ of the edges $A$ and $B$ of the two graphs of $n$ cells",
    ),
}
N_NEIGHBORS = 100


def evaluate(method, adata, protocol, seeds):
    """Fit to the training cells; compare their nearest neighbours in latent space with those in protein space.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``latent``.
    adata : AnnData
        Counts in ``X``, log-ratios of the proteins in ``obsm["protein"]``.
    protocol : mapping
        ``split`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds

    Returns
    -------
    scores : dict
        ``protein_spearman``, ``protein_fold``: agreement of the two graphs of 100 neighbours (metrics/neighbours.py).
    arrays : dict
        None are kept.
    facts : dict
        Sizes; the number of clusters of a method that has one; the hash of the training cells.

    Raises
    ------
    NotApplicable
    """
    if "protein" not in adata.obsm:
        raise NotApplicable(f"{adata.uns['source']['name']} has no proteins in obsm['protein'].")
    rows, X, batch, _ = training_cells(adata, protocol, seeds)
    if len(rows) <= N_NEIGHBORS:
        raise NotApplicable(f"{len(rows)} training cells: the graphs are of the {N_NEIGHBORS} nearest of each.")
    protein = adata.obsm["protein"][rows]
    latent = fit_latent(method, X, batch=batch)
    if getattr(method, "sees_truth", False):
        latent = protein
    graphs = {
        "first": neighbour_graph(protein, N_NEIGHBORS),
        "second": neighbour_graph(latent, N_NEIGHBORS),
    }
    scores = {"protein_spearman": graph_spearman(**graphs), "protein_fold": fold_enrichment(**graphs)}
    facts = {
        "n_cells": len(rows),
        "n_genes": int(X.shape[1]),
        "n_proteins": int(protein.shape[1]),
        "n_latent": int(latent.shape[1]),
        "cells_sha256": array_sha256(rows),
    }
    return scores, {}, facts
