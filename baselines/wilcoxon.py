"""Wilcoxon's rank-sum test (Mann and Whitney) on log-normalised counts."""

import numpy as np
from scipy.stats import mannwhitneyu

from .shared.log_tests import LogTest


class Wilcoxon(LogTest):
    """Rank-sum test of log(1 + counts / size factor), gene by gene.

    The size factor of a cell is its library size over the median of the compared cells. This is scipy's
    ``mannwhitneyu`` with its normal approximation, corrected for ties and for continuity as in R's ``wilcox.test``; the
    answer is described in `shared.log_tests.LogTest`, its ``statistic`` is the standardised U.

    Parameters
    ----------
    target : float or None
        What the counts of a cell sum to after normalisation; None is the median library size of the compared cells.
    continuity : bool
        Correct for continuity.

    Notes
    -----
    Without the correction for continuity equal to scanpy 1.11 (``rank_genes_groups(method="wilcoxon",
    tie_correct=True)`` of the compared cells after ``normalize_total`` and ``log1p``) to 1e-6; scanpy's own default
    leaves out the correction for ties as well, which is too careful where many counts are zero.

    Examples
    --------
    >>> from baselines.wilcoxon import Wilcoxon
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> counts[:20, 0] += 20  # the first gene differs
    >>> first = np.arange(40) < 20
    >>> table = Wilcoxon().fit(counts).compare(counts, first, ~first)
    >>> int(table["score"].argmax()), bool(table["log_fold_change"].iloc[0] > 0)
    (0, True)
    """

    def __init__(self, target=None, continuity=True):
        super().__init__(target)
        self.continuity = continuity

    def _test(self, a, b):
        found = mannwhitneyu(a, b, use_continuity=self.continuity, method="asymptotic")
        return _standardised(found.statistic, a, b), found.pvalue


def _standardised(u, a, b):
    """U less its mean under no difference, over its standard deviation with the correction for ties, (n_genes,)."""
    n_a, n_b = len(a), len(b)
    n = n_a + n_b
    columns = np.concatenate([a, b]).T
    ties = np.array([(np.unique(column, return_counts=True)[1] ** 3.0).sum() - n for column in columns])
    variance = n_a * n_b / 12 * ((n + 1) - ties / (n * (n - 1)))
    return (u - n_a * n_b / 2) / np.sqrt(variance)
