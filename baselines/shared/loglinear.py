"""What FA and PCA share: a linear Gaussian model of y = log(1 + counts)."""

import numpy as np

from ..base import Method
from .rounded import noise_floor, rounded_marginal


class LogLinear(Method):
    """A scikit-learn factor model of log(1 + counts), brought back to the count scale.

    Subclasses give the model (``_model``), its map from factors to log counts (``_reconstruct``), and the
    loadings (n_genes, n_latent) on factors of unit variance (``_loadings``).
    """

    def __init__(self, n_latent=10, random_state=0):
        self.n_latent = n_latent
        self.random_state = random_state

    def fit(self, X, batch=None):
        """Fit to counts (n_cells, n_genes); batch labels are not used."""
        Y = _log1p(X)
        if not 1 <= self.n_latent <= min(Y.shape):
            raise ValueError(
                f"{type(self).__name__} cannot fit n_latent={self.n_latent} to {Y.shape[0]} cells × "
                f"{Y.shape[1]} genes: choose 1 to {min(Y.shape)}."
            )
        self.model_ = self._model().fit(Y)
        self.model_.noise_variance_ = np.maximum(self.model_.noise_variance_, noise_floor(len(Y)))
        return self

    def latent(self, X, batch=None):
        """Return the factor scores, (n_cells, n_latent)."""
        return self.model_.transform(_log1p(X))

    def impute(self, X, batch=None):
        """Return exp(reconstruction) - 1, (n_cells, n_genes); values below zero counts become zero."""
        return np.maximum(np.expm1(self._reconstruct(self.latent(X))), 0.0)

    def loglik(self, X, batch=None):
        """Return log p(counts), (n_cells,) nats: log p(y) less the Jacobian of the log (paper, Appendix C)."""
        Y = _log1p(X)
        return self.model_.score_samples(Y) - Y.sum(axis=1)

    def marginal_loglik(self, X, batch=None, n_samples=200, random_state=0):
        """Log-probability of the counts, that of all log counts that round to them, importance-sampled (`rounded`).

        `loglik` is the density instead, closed form and no probability.

        Returns
        -------
        loglik, standard_error : array (n_cells,), nats
        """
        loadings = self._loadings()
        noise_sd = np.broadcast_to(np.sqrt(self.model_.noise_variance_), len(loadings))
        return rounded_marginal(X, loadings, self.model_.mean_, noise_sd, n_samples, random_state)


def _log1p(X):
    return np.log1p(X.toarray().astype(np.float64))
