"""Principal component analysis on log counts (paper, section 4.6)."""

import numpy as np
from sklearn.decomposition import PCA as _PCA

from .shared.loglinear import LogLinear


class PCA(LogLinear):
    """PCA of log(1 + counts), without size-factor normalisation, as the paper runs it.

    The log-likelihood is that of probabilistic PCA (Tipping and Bishop 1999), the Gaussian model whose
    maximum-likelihood subspace PCA is. With as many components as cells or genes there would be no
    noise: it is held above what a single count would make (`shared.rounded.noise_floor`).

    Parameters
    ----------
    n_latent : int
        Number of components; the paper uses 10.
    random_state : int
        Seed of the randomised solver, which scikit-learn takes on large matrices.

    Cost
    ----
    n^1.1 G^1.1 (1000 × 400: 0.02 s)

    Examples
    --------
    >>> from baselines.pca import PCA
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> pca = PCA(n_latent=2).fit(counts)
    >>> pca.latent(counts).shape, pca.impute(counts).shape, pca.loglik(counts).shape
    ((40, 2), (40, 12), (40,))
    """

    def fit(self, X, batch=None):
        """Fit to counts (n_cells, n_genes); batch labels are not used."""
        super().fit(X)
        # scikit-learn's likelihood divides by what a component has above the noise, which may have been raised.
        least = (1 + 1e-6) * self.model_.noise_variance_
        self.model_.explained_variance_ = np.maximum(self.model_.explained_variance_, least)
        return self

    def _model(self):
        return _PCA(n_components=self.n_latent, random_state=self.random_state)

    def _loadings(self):
        return self.model_.components_.T * np.sqrt(self.model_.explained_variance_ - self.model_.noise_variance_)

    def _reconstruct(self, latent):
        return self.model_.inverse_transform(latent)
