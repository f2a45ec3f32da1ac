"""Run time and memory against the size of the data: Fig 1c (paper, section 2.3)."""

import numpy as np
from sklearn.utils.sparsefuncs import mean_variance_axis

from .scores import Score
from .tasks.measure import measure
from .tasks.skipped import NotApplicable
from .tasks.split import train_test

REQUIRES = "fit"
FIG_1C = {"metric": "runtime_min", "n_train_cells": "{n_cells}", "where": {"n_genes": 720}}
SCORES = {
    "fit_minutes": Score("wall time of the fit (min)", "lower", FIG_1C, formula="minutes on the clock for `fit`"),
    "cpu_minutes": Score(
        "processor time of the fit (min)", "lower", formula="minutes of processor time of `fit`, all threads"
    ),
    "output_minutes": Score(
        "wall time of the latent space or the imputed counts (min)",
        "lower",
        formula="minutes by the clock that `latent` takes, or `impute` where there is no `latent`",
    ),
    "memory_mb": Score(
        "peak memory above that before the fit (MB)",
        "lower",
        formula="peak resident memory over fit and output, less what was there before",
    ),
}
OUTPUTS = ("latent", "impute")  # what is asked of a fitted method: the first that it can do
SECONDS = 60.0


def evaluate(method, adata, protocol, seeds, *, n_cells, n_genes):
    """Time the fit, then the latent space (or the imputed counts) of the same cells; loading is not timed.

    Imports and compilation that a method puts off until its first fit are in its time.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``latent`` or ``impute``.
    adata : AnnData
        Counts in ``X``; the first cells are taken, of the training cells where the split is part of the data.
    protocol : mapping
    seeds : experiments.loop.job.Seeds
    n_cells, n_genes : int
        The genes are those of the largest variance among these cells (section 4.5).

    Returns
    -------
    scores : dict
        ``fit_minutes`` (wall clock), ``cpu_minutes`` (all threads), ``output_minutes``; ``memory_mb``, the peak of
        the resident memory above what was there before the fit, over fit and output.
    arrays : dict
        Empty.
    facts : dict
        Sizes, what was asked of the fitted method, peak memory on the GPU.
    """
    output = next((name for name in OUTPUTS if hasattr(method, name)), None)
    if output is None:
        raise NotApplicable(f"{type(method).__name__} has neither latent() nor impute().")
    X = _select(adata, protocol, seeds, n_cells, n_genes)
    _, fit = measure(lambda: method.fit(X))
    _, after = measure(lambda: getattr(method, output)(X))
    scores = {
        "fit_minutes": fit.wall / SECONDS,
        "cpu_minutes": fit.cpu / SECONDS,
        "output_minutes": after.wall / SECONDS,
        "memory_mb": max(fit.peak_mb, after.peak_mb) - fit.resident_mb,
    }
    facts = {
        "n_cells_fitted": int(X.shape[0]),
        "n_nonzero": int(X.nnz),
        "output": output,
        "gpu_memory_mb": max(fit.gpu_mb, after.gpu_mb),
    }
    return scores, {}, facts


def _select(adata, protocol, seeds, n_cells, n_genes):
    """The first cells and their most variable genes, in the order of the data; cells left without counts go."""
    rows = train_test(adata, protocol, seeds)[0] if "split" in adata.obs else np.arange(adata.n_obs)
    if len(rows) < n_cells or adata.n_vars < n_genes:
        raise NotApplicable(
            f"The data have {len(rows):,} cells to fit and {adata.n_vars:,} genes: larger settings of the data set "
            f"(dataset.n_cells, dataset.n_genes) give {n_cells:,} × {n_genes:,}."
        )
    if (n_cells, n_genes) == adata.shape:
        return adata.X  # it may be mapped from a file: nothing is copied
    consecutive = rows[n_cells - 1] - rows[0] == n_cells - 1
    X = adata.X[rows[0] : rows[0] + n_cells] if consecutive else adata.X[rows[:n_cells]]
    if n_genes < adata.n_vars:
        _, variance = mean_variance_axis(X.astype(np.float64), axis=0)
        X = X[:, np.sort(np.argsort(-variance, kind="stable")[:n_genes])]
    return X[np.diff(X.indptr) > 0]
