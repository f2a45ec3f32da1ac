"""What the tests of single genes on log-normalised counts share (`baselines.ttest`, `baselines.wilcoxon`)."""

from abc import abstractmethod

import numpy as np
import pandas as pd

from ..base import Method
from .groups import compared_cells, scores
from .normalise import check_target, log_normalised


class LogTest(Method):
    """A test of each gene on y = log(1 + counts / size factor) of two groups of cells.

    Subclasses give the statistic and the p-value (``_test``).

    Parameters
    ----------
    target : float or None
        What the counts of a cell sum to after normalisation; None is the median library size of the compared cells.
    """

    def __init__(self, target=None):
        self.target = target

    def check_parameters(self):
        """Raise ValueError where ``target`` is not positive."""
        check_target(self.target)

    def fit(self, X, batch=None):
        """Check the counts (n_cells, n_genes): the test is made by ``compare``, on the cells of the two groups."""
        self.check_parameters()
        return self

    def compare(self, X, group_a, group_b, batch=None):
        """Test every gene for a difference between two groups of cells.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_cells, n_genes)
            Raw counts.
        group_a, group_b : boolean arrays, shape (n_cells,)
            Disjoint groups; cells in neither are not used, for the median neither.
        batch : sequence, shape (n_cells,), optional
            The test has no place for labels: they are not used.

        Returns
        -------
        pandas.DataFrame, one row per gene
            ``score`` (-log of the p-value), ``log_fold_change`` (mean of y in a less that in b, in units of log2),
            ``pvalue`` (two-sided) and ``statistic`` (positive where a is higher). A gene whose compared values are all
            equal has the p-value 1 and the statistic 0.

        Raises
        ------
        ValueError
            The masks do not fit.
        """
        cells = compared_cells(X, group_a, group_b)
        Y, _ = log_normalised(cells.counts, self.target)
        a, b = Y[cells.in_a], Y[~cells.in_a]
        statistic, pvalue = np.zeros(Y.shape[1]), np.ones(Y.shape[1])
        varies = np.ptp(Y, axis=0) > 0
        statistic[varies], pvalue[varies] = self._test(a[:, varies], b[:, varies])
        return pd.DataFrame(
            {
                "score": scores(pvalue),
                "log_fold_change": (a.mean(axis=0) - b.mean(axis=0)) / np.log(2),
                "pvalue": pvalue,
                "statistic": statistic,
            }
        )

    @abstractmethod
    def _test(self, a, b):
        """Statistic and p-value, each (n_genes,), of groups (n_a, n_genes) and (n_b, n_genes); no gene is constant."""
