"""Controls: what a score is worth. A method that does not beat them has imputed, or represented, nothing."""

import numpy as np

from .base import Method, check_counts


class Identity(Method):
    """Negative control: imputes what it was given; the counts themselves are its latent space."""

    def fit(self, X, batch=None):
        check_counts(X)
        return self

    def impute(self, X, batch=None):
        """Return ``X`` itself, dense, (n_cells, n_genes)."""
        return check_counts(X).toarray()

    def latent(self, X, batch=None):
        """Return ``X`` itself, dense, (n_cells, n_genes)."""
        return self.impute(X)


class GeneMean(Method):
    """Negative control: imputes the mean count of each gene over the training cells."""

    def fit(self, X, batch=None):
        self.mean_ = np.asarray(check_counts(X).mean(axis=0)).ravel()  # (genes,)
        return self

    def impute(self, X, batch=None):
        """Return the gene means for every cell of ``X``, (n_cells, n_genes)."""
        return np.tile(self.mean_, (X.shape[0], 1))


class RandomLatent(Method):
    """Negative control: a latent space that knows nothing, standard normal draws.

    Parameters
    ----------
    n_latent : int
    random_state : int
    """

    def __init__(self, n_latent=10, random_state=0):
        self.n_latent = n_latent
        self.random_state = random_state

    def fit(self, X, batch=None):
        check_counts(X)
        return self

    def latent(self, X, batch=None):
        """Return independent N(0, 1) draws, (n_cells, n_latent)."""
        return np.random.default_rng(self.random_state).standard_normal((X.shape[0], self.n_latent))


class Oracle(Identity):
    """Positive control: experiments score the truth in its place (counts before corruption, labels, proteins)."""

    sees_truth = True
