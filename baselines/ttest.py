"""Welch's t test on log-normalised counts."""

import numpy as np
from scipy.stats import ttest_ind

from .shared.log_tests import LogTest


class TTest(LogTest):
    """Welch's t test (unequal variances) of log(1 + counts / size factor), gene by gene.

    The size factor of a cell is its library size over the median of the compared cells. This is scipy's
    ``ttest_ind(equal_var=False)``; parameters and answer are described in `shared.log_tests.LogTest`. Where a gene has
    no variance within either group, or a group is a single cell, there is no finite statistic: it is 0, the p-value 1.

    Notes
    -----
    Equal to scanpy 1.11 (``rank_genes_groups(method="t-test")`` of the compared cells after ``normalize_total`` and
    ``log1p``) to 1e-6. scanpy's fold change is another: log2 of the ratio of exp(mean of y) - 1.

    Examples
    --------
    >>> from baselines.ttest import TTest
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> counts[:20, 0] += 20  # the first gene differs
    >>> first = np.arange(40) < 20
    >>> table = TTest().fit(counts).compare(counts, first, ~first)
    >>> int(table["score"].argmax()), bool(table["log_fold_change"].iloc[0] > 0)
    (0, True)
    """

    def _test(self, a, b):
        statistic, pvalue = np.zeros(a.shape[1]), np.ones(a.shape[1])
        if min(len(a), len(b)) > 1:
            told = (np.ptp(a, axis=0) > 0) | (np.ptp(b, axis=0) > 0)
            statistic[told], pvalue[told] = ttest_ind(a[:, told], b[:, told], equal_var=False)
        return statistic, pvalue
