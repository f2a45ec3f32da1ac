"""Training cells with some of their counts hidden: what methods impute, and what they see of it."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .corrupt import corrupt
from .data import training_cells
from .hashes import matrix_sha256
from .outputs import check_imputed


class Task(NamedTuple):
    """Training cells with some of their entries hidden, and which those are."""

    training: np.ndarray  # where the training cells stand in the data set, also those that the corruption emptied
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
        imputed = check_imputed(method.impute(given, batch=self.batch), shape=given.shape, method=method)
        return imputed[self.rows, self.columns]


def hide(adata, protocol, seeds, corruption):
    """Corrupt the training cells and return the `Task` of finding what was there.

    Raises
    ------
    ValueError
        The corruption changed nothing.
    """
    training, X, batch, _ = training_cells(adata, protocol, seeds)
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
        training=training,
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
