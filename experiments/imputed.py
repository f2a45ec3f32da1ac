"""What imputed counts are good for: cell types, and genes called different where none is (not in the paper).

Smoothing makes cells alike, and a test that takes them for independent finds differences that nobody measured (Andrews
and Hemberg 2018). Two settings (``counts``):

``observed``
    Clusters of imputed counts against the cell types, and the genes called between cells of one type whose labels are
    permuted after the imputation. This is a check of the test rather than of a method: the imputation has not seen the
    labels, so with any method some gene is called in about one permutation of twenty at most.
``thinned``
    A tenth of the genes differs, by known thinning, between two halves of the cells of one type, and the method imputes
    cells in which this is to be seen. Other genes are called where the imputation carries over to them what it has seen
    of these.
"""

import warnings

import numpy as np
from scipy.stats import mannwhitneyu
from sklearn.exceptions import ConvergenceWarning

from .metrics.clustering import can_be_scored, label_scores
from .metrics.denoising import log_normalised
from .metrics.differential import adjusted, auroc
from .scores import NULL_CALLED, OF_LABELS, Score
from .tasks.data import training_cells
from .tasks.hashes import array_sha256, matrix_sha256
from .tasks.outputs import check_imputed
from .tasks.skipped import NotApplicable
from .tasks.thinned import halve, thin

REQUIRES = "impute"
SCORES = {
    **OF_LABELS,
    "null_called": NULL_CALLED,
    "changed_auroc": Score(
        "AUROC of changed genes",
        "higher",
        formula="chance that a gene that was thinned has a smaller p-value than one that was not",
    ),
    "changed_called": Score(
        "share of changed genes called", "higher", formula="thinned genes that are called over all thinned genes"
    ),
    "unchanged_called": Score(
        "share of unchanged genes called", "lower", formula="other genes that are called over all other genes"
    ),
}
LEVEL = 0.05  # of the false discovery rate
N_COMPONENTS = 10  # principal components that are clustered: the dimension of the paper's latent spaces
N_PERMUTATIONS = 20
FEWEST = 20  # cells of the type that is split


def evaluate(method, adata, protocol, seeds, *, counts):
    """Impute the training cells; cluster what comes out, or test its genes.

    All scores are of log-normalised imputed counts (`metrics.denoising.log_normalised`). Genes are tested by Wilcoxon's
    rank sum test, two-sided, and called where the p-value adjusted for the false discovery rate is at most 0.05.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``impute``.
    adata : AnnData
        Counts in ``X``, ``obs["label"]``; ``obs["batch"]`` is handed to the method where it is there.
    protocol : mapping
        ``split`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds
    counts : {"observed", "thinned"}

    Returns
    -------
    scores : dict
        Observed: ``asw``, ``ari``, ``nmi`` of the first ten principal components (k-means), ``null_called``, the mean
        over 20 permutations of the share of genes called between two random halves of the largest type. Thinned:
        ``changed_called`` and ``unchanged_called``, the shares of the genes that differ and of those that do not which
        are called, and ``changed_auroc``, how far the p-values tell them apart (0.5 knows nothing).
    arrays : dict
        None are kept.
    facts : dict
        Sizes, the type that was split, the hashes of the cells and of the counts: equal for all methods of one seed.

    Raises
    ------
    NotApplicable
        The data have no two cell types, or too few cells of the largest.
    ValueError
        There is no such setting.
    """
    if counts not in ("observed", "thinned"):
        raise ValueError(f"experiment.axes.counts={counts} is not known: choose observed or thinned.")
    rows, X, batch, labels = training_cells(adata, protocol, seeds)
    if labels is None or not can_be_scored(labels):
        raise NotApplicable(f"{adata.uns['source']['name']} has no two cell types in obs['label'] among those fitted.")
    names, sizes = np.unique(labels, return_counts=True)
    largest = names[sizes.argmax()]
    of_type = np.flatnonzero(labels == largest)
    if len(of_type) < FEWEST:
        raise NotApplicable(f"{len(of_type)} training cells are of the largest type, {largest}: {FEWEST} are needed.")
    rng = np.random.default_rng([seeds.split, 1])
    if counts == "observed":
        values = _imputed(method, X, batch)
        scores = _clustered(values, labels, seeds.split) | _permuted(values[of_type], rng)
    else:
        thinned = thin(X, of_type, rng)
        X = thinned.X
        alive = np.diff(X.indptr) > 0  # a cell that lost its last count is no longer a cell
        values = np.zeros(X.shape)
        values[alive] = _imputed(method, X[alive], None if batch is None else batch[alive])
        halves = [half[alive[half]] for half in thinned.halves]
        scores = _found(_rank_sum(*(values[half] for half in halves)), thinned.changed)
    facts = {
        "n_cells": len(rows),
        "n_genes": int(X.shape[1]),
        "split_type": str(largest),
        "n_split_cells": len(of_type),
        "cells_sha256": array_sha256(rows),
        "counts_sha256": matrix_sha256(X),
    }
    return scores, {}, facts


def _imputed(method, X, batch):
    """Log-normalised imputed counts, (n_cells, n_genes)."""
    imputed = method.fit(X, batch=batch).impute(X, batch=batch)
    return log_normalised(check_imputed(imputed, shape=X.shape, method=method))


def _clustered(values, labels, seed):
    """Scores of the labels in the principal components."""
    centred = values - values.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    size = np.where(size > 1e-10 * np.linalg.norm(values), size, 0)  # rounding, where all cells are the same
    latent = (left * size)[:, :N_COMPONENTS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different cells than types: one cluster, ARI 0
        return label_scores(latent=latent, labels=labels, seed=seed)


def _permuted(values, rng):
    """The share of genes called between random halves of these cells, mean over the permutations."""
    halves = [halve(np.arange(len(values)), rng) for _ in range(N_PERMUTATIONS)]
    return {"null_called": float(np.mean([_called(_rank_sum(values[a], values[b])).mean() for a, b in halves]))}


def _found(pvalue, changed):
    """What was called of the genes that differ and of the others."""
    called = _called(pvalue)
    return {
        "changed_auroc": auroc(score=-np.nan_to_num(pvalue, nan=1.0), positive=changed),
        "changed_called": float(called[changed].mean()),
        "unchanged_called": float(called[~changed].mean()),
    }


def _rank_sum(a, b):
    """P-value of every gene, (n_genes,); NaN where all its values are the same."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return mannwhitneyu(a, b, method="asymptotic").pvalue


def _called(pvalue):
    return adjusted(pvalue=pvalue) <= LEVEL  # NaN is no call
