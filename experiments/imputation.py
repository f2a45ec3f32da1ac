"""Imputation of hidden counts: Fig 2, 9b–d, 10 and 11 (paper, sections 2.4 and 4.7)."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.stats import gaussian_kde

from .metrics.imputation import median_l1
from .tasks.corrupt import corrupt
from .tasks.hashes import matrix_sha256
from .tasks.outputs import check_imputed
from .tasks.split import train_test

REQUIRES = "impute"
PUBLISHED = {"median_l1": "median_L1_{corruption}"}  # our score -> its name in results/published.json
DENSITY_FIGURE = {"uniform": "Fig 2", "binomial": "Fig 10"}
ERROR_FIGURE = {"uniform": "Fig 9b–d", "binomial": "Fig 11"}
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
        ``split``, ``corruption`` and ``imputation`` of conf/protocol/.
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
    imputed = task.imputed_by(method.fit(task.given(method), batch=task.batch))

    scores = {"median_l1": median_l1(original=task.original, imputed=imputed)}
    shown = (task.corrupted == 0) & (task.original < DENSITY_LIMIT) & (imputed < DENSITY_LIMIT)
    points = task.original[shown].astype(np.float64), imputed[shown].astype(np.float64)
    return scores, _density(*points), task.facts


class Task(NamedTuple):
    """Training cells with some of their entries hidden, and which those are."""

    X: sp.csr_matrix  # (n_cells, n_genes), before the corruption
    X_corrupted: sp.csr_matrix
    batch: np.ndarray | None  # (n_cells,)
    rows: np.ndarray  # of the scored entries, as are the next three
    columns: np.ndarray
    original: np.ndarray
    corrupted: np.ndarray
    facts: dict

    def given(self, method):
        """What the method may see: the corrupted counts, or the truth if it is the oracle."""
        return self.X if getattr(method, "sees_truth", False) else self.X_corrupted

    def imputed_by(self, method):
        """What the fitted method imputes for the scored entries, (n_scored,).

        Raises
        ------
        ValueError
            What is imputed is not one finite value per cell and gene.
        """
        given = self.given(method)
        imputed = check_imputed(method.impute(given, batch=self.batch), shape=given.shape)
        return imputed[self.rows, self.columns]


def hide(adata, protocol, seeds, corruption):
    """Corrupt the training cells and return the `Task` of finding what was there.

    Raises
    ------
    ValueError
        The corruption changed nothing.
    """
    train, _ = train_test(adata, protocol, seeds)
    X = adata.X[train]
    batch = adata.obs["batch"].to_numpy()[train] if "batch" in adata.obs else None
    rng = np.random.default_rng(seeds.corruption)
    hidden = corrupt(X, kind=corruption, rng=rng, **protocol["corruption"][corruption])

    # A cell that lost its last count is no longer a cell: every method is spared it alike.
    alive = np.diff(hidden.X.indptr) > 0
    row_of = np.cumsum(alive) - 1
    X, X_corrupted = X[alive], hidden.X[alive]
    scored = alive[hidden.rows]
    if protocol["imputation"]["scored"] == "changed":
        scored &= hidden.original != hidden.corrupted
    if not scored.any():
        raise ValueError(
            f"The {corruption} corruption changed no entry of the {X.shape[0]} training cells: use more cells or "
            f"a larger protocol.corruption.{corruption}.fraction."
        )
    return Task(
        X=X,
        X_corrupted=X_corrupted,
        batch=None if batch is None else batch[alive],
        rows=row_of[hidden.rows[scored]],
        columns=hidden.columns[scored],
        original=hidden.original[scored],
        corrupted=hidden.corrupted[scored],
        facts={
            "n_cells": int(X.shape[0]),
            "n_genes": int(X.shape[1]),
            "n_scored": int(scored.sum()),
            "n_emptied_cells": int((~alive).sum()),
            "corrupted_sha256": matrix_sha256(X_corrupted),
        },
    )


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


def figure(table, records):
    """Return {name: Figure}: one density figure and one bar figure per corruption.

    Parameters
    ----------
    table : pandas.DataFrame
        Summary over seeds (experiments.report.table.summarise).
    records : pandas.DataFrame
        One row per finished cell, with its ``arrays``.
    """
    from .plots.bars import score_bars
    from .plots.density import density_panels
    from .plots.words import panel_of

    figures, dataset = {}, table["dataset"].iloc[0]
    for corruption in table["corruption"].unique():
        shown = records[(records["corruption"] == corruption) & (records["seed"] == records["seed"].min())]
        panels = [row for row in shown.itertuples() if "density" in row.arrays and row.role != "control"]
        if panels:
            figures[f"density_{corruption}"] = density_panels(
                panels,
                limit=DENSITY_LIMIT,
                x="original count",
                y="imputed count",
                score="median_l1",
                like=panel_of(DENSITY_FIGURE[corruption], dataset),
            )
        bars = table[table["corruption"] == corruption]
        like = panel_of(ERROR_FIGURE[corruption], dataset)
        figures[f"error_{corruption}"] = score_bars(bars, "median_l1", like=like)
    return figures
