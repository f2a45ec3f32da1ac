"""Controls: what a score is worth. A method that does not beat them has imputed nothing."""

import numpy as np

from .base import Method, check_counts


class Identity(Method):
    """Negative control: imputes what it was given."""

    def fit(self, X, batch=None):
        check_counts(X)
        return self

    def impute(self, X, batch=None):
        """Return ``X`` itself, dense, (n_cells, n_genes)."""
        return check_counts(X).toarray()


class GeneMean(Method):
    """Negative control: imputes the mean count of each gene over the training cells."""

    def fit(self, X, batch=None):
        self.mean_ = np.asarray(check_counts(X).mean(axis=0)).ravel()  # (genes,)
        return self

    def impute(self, X, batch=None):
        """Return the gene means for every cell of ``X``, (n_cells, n_genes)."""
        return np.tile(self.mean_, (X.shape[0], 1))


class Oracle(Identity):
    """Positive control: experiments hand it the matrix as it was before they corrupted it."""

    sees_truth = True
