"""MAST as its authors' R package computes it; `baselines.mast` is the same model in Python."""

import pandas as pd

from r_env import bridge

from .mast import MAST
from .shared.groups import compared_cells, scores

SCRIPT = "mast_r.R"


class MASTInR(MAST):
    """The R package MAST: ``zlm(~ group)`` on log2(1 + counts) and ``lrTest``; parameters as in :class:`MAST`.

    Examples
    --------
    >>> from baselines.mast_r import MASTInR
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> counts[:20, 0] += 20  # the first gene differs
    >>> first = np.arange(40) < 20
    >>> table = MASTInR().fit(counts).compare(counts, first, ~first)
    >>> int(table["score"].argmax()), bool(table["log_fold_change"].iloc[0] > 0)
    (0, True)
    """

    def fit(self, X, batch=None):
        """Check the counts (n_cells, n_genes) and that R is there: ``compare`` fits the cells of the two groups."""
        bridge.require(SCRIPT)
        return super().fit(X, batch)

    def compare(self, X, group_a, group_b, batch=None):
        """Test every gene for a difference between two groups of cells.

        Arguments and columns are those of :meth:`MAST.compare`; NaN stands where R gives NA or NaN.

        Raises
        ------
        RUnavailable
            R or MAST is not installed.
        """
        cells = compared_cells(X, group_a, group_b, batch, allow_empty_cells=not self.normalise)
        table = bridge.call(
            SCRIPT,
            "compare",
            counts=cells.counts.T,
            group=cells.in_a.astype(int),
            batch=cells.batch,
            normalise=self.normalise,
            prior=self.prior,
            shrink=self.shrink,
        )
        table = table.reset_index(drop=True)
        return pd.concat([pd.Series(scores(table["pvalue"].to_numpy()), name="score"), table], axis=1)
