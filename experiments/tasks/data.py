"""The cells that a method is given: their counts and what is known of them."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .split import train_test


class Cells(NamedTuple):
    """Some cells of a data set, in the order of ``rows``."""

    rows: np.ndarray  # (n_cells,), where they stand in the data set
    X: sp.csr_matrix  # (n_cells, n_genes), counts
    batch: np.ndarray | None  # (n_cells,); None where the data have none
    label: np.ndarray | None  # (n_cells,) of str


def take(adata, rows):
    """The `Cells` in these ``rows`` of ``adata``."""
    batch = adata.obs["batch"].to_numpy()[rows] if "batch" in adata.obs else None
    label = adata.obs["label"].astype(str).to_numpy()[rows] if "label" in adata.obs else None
    return Cells(rows, adata.X[rows], batch, label)


def training_cells(adata, protocol, seeds):
    """The `Cells` that methods are fitted to (`tasks.split.train_test`)."""
    return take(adata, train_test(adata, protocol, seeds)[0])
