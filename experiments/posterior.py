"""Posterior draws beside the counts: Fig 7 (paper, section 2.4)."""

import numpy as np

from .metrics.posterior import coverage, crps
from .scores import Score
from .tasks.authors_draws import authors_draws
from .tasks.data import training_cells
from .tasks.hashes import array_sha256

REQUIRES = "sample"
SCORES = {
    "crps": Score(
        "continuous ranked probability score of the draws (counts)",
        "lower",
        formula=r"mean over entries of $E|X - x| - E|X - X'| / 2$, $X$ and $X'$ two draws for the count $x$",
    ),
    "coverage": Score(
        "share of counts inside the central 90% of their draws",
        formula="share of the entries between the 5th and the 95th percentile of their draws; 0.9 or more is expected",
    ),
}
N_DRAWS = 50
MAX_VALUES = 50_000_000  # of all draws of one method: so many cells are drawn for
SHARE = 0.1  # of the entries are looked at, at most MAX_ENTRIES
MAX_ENTRIES = 100_000
VALUES = range(10)  # observed counts that have a box
PER_BOX = 4000  # draws kept for each
GENE = "Thy1"


def evaluate(method, adata, protocol, seeds):
    """Fit to the training cells, draw their counts anew, and set the draws beside what was observed.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``sample``.
    adata : AnnData
        Counts in ``X``; the gene of Fig 7d-f is found by its name (``var["symbol"]`` where there is one).
    protocol : mapping
        ``split`` and ``posterior`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds

    Returns
    -------
    scores : dict
        Over randomly chosen entries: ``crps`` (counts) and ``coverage`` of the central 90% of the draws. Both are of
        cells that the method was fitted to.
    arrays : dict
        ``draws_0`` ... ``draws_9``: draws of entries by observed count; ``heat`` (bins of the observed count of one
        gene, bins of its draws) and ``edges``, in counts.
    facts : dict
        Sizes, the gene, and the hash of the chosen entries: equal for all methods of one seed.
    """
    choices = protocol["posterior"]
    train, X, batch, _ = training_cells(adata, protocol, seeds)
    fitted = method.fit(X, batch=batch)
    X = X[: max(1, min(X.shape[0], MAX_VALUES // (N_DRAWS * X.shape[1])))]
    batch = None if batch is None else batch[: X.shape[0]]
    if choices["draws"] == "authors":
        draws = authors_draws(fitted, X, N_DRAWS, batch, np.random.default_rng([seeds.fit, 1]))
    else:
        draws = fitted.sample(X, N_DRAWS, batch=batch)

    counts, rng = X.toarray(), np.random.default_rng([seeds.split, 2])
    rows, columns = _entries(counts, choices["entries"], rng)
    observed, own = counts[rows, columns], draws[:, rows, columns]
    scores = {"crps": crps(observed=observed, draws=own), "coverage": coverage(observed=observed, draws=own)}
    arrays = {}
    for value in VALUES:
        pooled = own[:, observed == value].ravel()
        kept = pooled if pooled.size <= PER_BOX else rng.choice(pooled, PER_BOX, replace=False)
        arrays[f"draws_{value}"] = kept.astype(np.float32)
    gene, name = _gene(adata)
    arrays["heat"], arrays["edges"] = _heat(counts[:, gene], draws[:, :, gene], choices["bins"], choices["normalised"])
    facts = {
        "n_cells": int(X.shape[0]),
        "n_train": int(train.size),
        "n_genes": int(X.shape[1]),
        "n_entries": int(observed.size),
        "n_draws": N_DRAWS,
        "gene": name,
        "normalised": choices["normalised"],
        "entries_sha256": array_sha256(np.stack([rows, columns])),
    }
    return scores, arrays, facts


def _entries(counts, kind, rng):
    """Rows and columns of randomly chosen entries, "all" or "nonzero" ones."""
    flat = np.arange(counts.size) if kind == "all" else np.flatnonzero(counts)
    size = min(MAX_ENTRIES, max(1, int(SHARE * flat.size)))
    return np.unravel_index(rng.choice(flat, size, replace=False), counts.shape)


def _gene(adata):
    """Column and name of Thy1 or, where the data do not have it, of the gene with the most counts."""
    names = np.asarray(adata.var.get("symbol", adata.var_names), dtype=str)
    found = np.flatnonzero(np.char.lower(names) == GENE.lower())
    gene = int(found[0]) if found.size else int(np.asarray(adata.X.sum(axis=0)).argmax())
    return gene, str(names[gene])


def _heat(observed, draws, bins, normalised):
    """Joint histogram on log(1 + count / 10), bins over the range of the observed counts; and their edges, counts.

    "columns": each bin of observed counts sums to one over the draws inside the range. "rows": one is added to every
    bin, and each bin of draws sums to one, as in the authors' code.
    """
    x, y = np.log1p(observed / 10), np.log1p(np.maximum(draws, 0) / 10)
    edges = np.linspace(x.min(), max(x.max(), x.min() + 1e-9), bins + 1)
    heat, _, _ = np.histogram2d(np.broadcast_to(x, y.shape).ravel(), y.ravel(), bins=(edges, edges))
    if normalised == "rows":
        heat += 1
        heat /= heat.sum(axis=0)
    else:
        heat /= np.maximum(heat.sum(axis=1, keepdims=True), 1)
    return heat, 10 * np.expm1(edges)
