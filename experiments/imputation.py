"""Imputation of hidden counts: Fig 2, 9b–d, 10 and 11 (paper, sections 2.4 and 4.7)."""

import numpy as np
from scipy.stats import gaussian_kde

from .metrics.imputation import median_l1
from .scores import MEDIAN_L1
from .tasks.hidden import hide
from .tasks.library import library_from

REQUIRES = "impute"
SCORES = {"median_l1": MEDIAN_L1._replace(published="median_L1_{corruption}")}
DENSITY_LIMIT = 10  # counts: the square that Fig 2 and Fig 10 show
DENSITY_GRID = 50


def evaluate(method, adata, protocol, seeds, *, corruption):
    """Corrupt the training cells, fit to the corrupted matrix, compare what is imputed with what was there.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``impute``.
    adata : AnnData
        Counts in ``X``; ``obs["batch"]`` is handed to the method where it is there.
    protocol : mapping
        ``split``, ``corruption`` and ``imputation`` of conf/protocol/, and of ``scvi`` what `tasks.library` reads.
    seeds : experiments.loop.job.Seeds
    corruption : {"uniform", "binomial"}

    Returns
    -------
    scores : dict
        ``median_l1``, in counts.
    arrays : dict
        ``density`` (grid, grid): density of (original, imputed) on [0, 10]², entries that the corruption set to
        zero; ``slope`` of the least-squares line through the origin; both only where they are defined.
    facts : dict
        Sizes, and the hash of the corrupted matrix: equal for all methods of one seed.
    """
    task = hide(adata, protocol, seeds, corruption)
    others = library_from(method, adata, protocol, task.training)
    imputed = task.imputed_by(method.fit(task.given(method), batch=task.batch, **others))

    scores = {"median_l1": median_l1(original=task.original, imputed=imputed)}
    shown = (task.corrupted == 0) & (task.original < DENSITY_LIMIT) & (imputed < DENSITY_LIMIT)
    points = task.original[shown].astype(np.float64), imputed[shown].astype(np.float64)
    return scores, _density(*points), task.facts


def _density(original, imputed):
    """Kernel density on a regular grid and the slope of the line through the origin, as Fig 2 draws them."""
    points = np.vstack([original, imputed])
    if original.size < 10 or np.linalg.matrix_rank(np.cov(points)) < 2:  # a line or a point has no density in the plane
        return {}
    axis = np.linspace(0, DENSITY_LIMIT, DENSITY_GRID)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    density = gaussian_kde(points)(np.vstack([x.ravel(), y.ravel()]))
    return {
        "density": density.reshape(x.shape).astype(np.float32),
        "slope": np.float64(original @ imputed / (original @ original)),
        "n_shown": np.int64(original.size),
    }
