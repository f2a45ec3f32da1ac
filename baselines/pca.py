"""Principal component analysis on log counts (paper, section 4.6)."""

import numpy as np
from sklearn.decomposition import PCA as _PCA

from .loglinear import LogLinear


class PCA(LogLinear):
    """PCA of log(1 + counts), without size-factor normalisation, as the paper runs it.

    The log-likelihood is that of probabilistic PCA (Tipping and Bishop 1999), the Gaussian model whose
    maximum-likelihood subspace PCA is.

    Parameters
    ----------
    n_latent : int
        Number of components; the paper uses 10.
    random_state : int
        Seed of the randomised solver, which scikit-learn takes on large matrices.
    """

    def _fit_model(self, Y):
        return _PCA(n_components=self.n_latent, random_state=self.random_state).fit(Y)

    def _loadings(self):
        signal = np.maximum(self.model_.explained_variance_ - self.model_.noise_variance_, 0.0)
        return self.model_.components_.T * np.sqrt(signal)

    def _reconstruct(self, latent):
        return self.model_.inverse_transform(latent)
