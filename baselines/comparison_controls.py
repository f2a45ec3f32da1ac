"""Controls of differential expression: a ranking of the genes at random, and the bulk reference itself."""

import numpy as np
import pandas as pd

from .base import Method, check_counts
from .shared.groups import compared_cells, scores


class RandomPValues(Method):
    """Negative control: p-values drawn from the uniform distribution, whatever the cells.

    Any shuffled score has the same ranks in distribution; these are calibrated as well.

    Parameters
    ----------
    random_state : int
    """

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, batch=None):
        check_counts(X)
        self.generator_ = np.random.default_rng(self.random_state)
        return self

    def compare(self, X, group_a, group_b, batch=None):
        """Return a new draw of ``score``, ``log_fold_change`` and ``pvalue``, one row per gene."""
        n_genes = compared_cells(X, group_a, group_b, batch).counts.shape[1]
        pvalue = self.generator_.uniform(size=n_genes)
        return pd.DataFrame(
            {"score": scores(pvalue), "log_fold_change": self.generator_.normal(size=n_genes), "pvalue": pvalue}
        )


class NoSuchStudy(LookupError):
    """The data carry no such bulk study: the row is skipped, it has not failed."""

    skip = True


class BulkReference(Method):
    """Positive control: answers with a bulk study of the same comparison, and looks at no cell.

    With the reference itself it is the truth; with a second, independent study (``study="2"``: ``BDC2`` beside
    ``BDC``) it shows what a perfect method of single cells could reach.

    Parameters
    ----------
    study : str
        What follows the name of the comparison in the names of the columns.
    """

    sees_truth = True

    def __init__(self, study=""):
        self.study = study

    def fit(self, X, batch=None):
        check_counts(X)
        return self

    def compare(self, X, group_a, group_b, batch=None, *, bulk, comparison):
        """Return the bulk study as a comparison of cells would be.

        Parameters
        ----------
        X, group_a, group_b, batch
            Not used.
        bulk : pandas.DataFrame, one row per gene
            Holds ``{comparison}{study}_P.Value`` and ``{comparison}{study}_logFC``.
        comparison : str

        Raises
        ------
        NoSuchStudy
        """
        name = comparison + self.study
        if f"{name}_P.Value" not in bulk:
            raise NoSuchStudy(f"The data have no bulk study {name} (no column {name}_P.Value in var).")
        pvalue = bulk[f"{name}_P.Value"].to_numpy(dtype=float)
        fold = bulk[f"{name}_logFC"].to_numpy(dtype=float)
        return pd.DataFrame({"score": scores(pvalue), "log_fold_change": fold, "pvalue": pvalue})
