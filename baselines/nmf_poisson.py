"""Poisson non-negative matrix factorisation, the topic model of counts (Lee and Seung 1999)."""

import warnings

import numpy as np
from scipy.special import gammaln, xlogy
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from .base import Method
from .shared.convergence import convergence
from .shared.normalise import check_n_latent

SMALLEST_RATE = 1e-12  # a count has some probability in every cell


class PoissonNMF(Method):
    """Counts x ~ Poisson(W H), W (cells × factors) and H (factors × genes) not negative, by maximum likelihood.

    This is scikit-learn's ``NMF`` with the Kullback-Leibler loss and its multiplicative updates, on the raw counts: the
    library size of a cell is in its row of W. With the rows of H scaled to sum to one, a row of W has the number of
    counts that each factor gives the cell, and its shares are the topic proportions of a multinomial topic model with
    the same maximum (Carbonetto et al. 2021). ``latent`` returns these shares, which do not depend on the depth of the
    cell. A new cell gets the row of W that is most likely under the fitted H.

    Parameters
    ----------
    n_latent : int
        Number of factors, no more than there are cells or genes.
    max_iter : int
        Most updates.
    tol : float
        The fit ends earlier where ten updates lower the loss by less than ``tol`` times the loss at the start.
    random_state : int
        Seed of the randomised singular vectors that the fit starts from (``init="nndsvda"``).

    Attributes
    ----------
    model_ : sklearn.decomposition.NMF
    convergence_ : baselines.shared.convergence.Convergence

    Notes
    -----
    ``loglik`` is log Poisson(x; W H) at the W that was fitted to the very counts that it is asked about, as for every
    method here whose score is its own: it grows with the number of factors also on cells that are kept back. W has no
    prior that could be integrated out, hence there is no ``marginal_loglik``. For the likelihood a gene without counts
    in training has the rate of half a count over all cells, as in the control ``independent_genes``, and no rate is
    below 1e-12.

    References
    ----------
    Lee and Seung, Nature 401:788 (1999); Carbonetto, Sarkar, Wang and Stephens, arXiv:2105.13440 (2021).

    Examples
    --------
    >>> from baselines.nmf_poisson import PoissonNMF
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> nmf = PoissonNMF(n_latent=2).fit(counts)
    >>> nmf.latent(counts).sum(axis=1).round(3)[:3]  # shares of a cell
    array([1., 1., 1.])
    >>> nmf.impute(counts).shape, nmf.loglik(counts).shape
    ((40, 12), (40,))
    """

    def __init__(self, n_latent=10, max_iter=500, tol=1e-4, random_state=0):
        self.n_latent = n_latent
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X, batch=None):
        """Fit to counts (n_cells, n_genes); batch labels are not used."""
        check_n_latent(self, X.shape)
        self.model_ = NMF(
            n_components=self.n_latent,
            init="nndsvda",
            solver="mu",
            beta_loss="kullback-leibler",
            max_iter=self.max_iter,
            tol=self.tol,
            random_state=self.random_state,
        )
        _quietly(self.model_.fit, X.astype(np.float64))
        self.convergence_ = convergence(self.model_.n_iter_, self.max_iter)
        unseen = np.asarray(X.sum(axis=0)).ravel() == 0
        self.least_rate_ = np.where(unseen, 0.5 / X.shape[0], SMALLEST_RATE)  # (genes,)
        return self

    def latent(self, X, batch=None):
        """Return the share of each cell's expected counts that comes from each factor, (n_cells, n_latent)."""
        counts = self._weights(X) * self.model_.components_.sum(axis=1)
        total = counts.sum(axis=1, keepdims=True)  # zero in a cell whose genes have no counts in training: equal shares
        return np.divide(counts, total, out=np.full_like(counts, 1 / self.n_latent), where=total > 0)

    def impute(self, X, batch=None):
        """Return the Poisson rates W H, (n_cells, n_genes), which are expected counts."""
        return self._weights(X) @ self.model_.components_

    def loglik(self, X, batch=None):
        """Return log Poisson(counts; W H), (n_cells,) nats, at the W fitted to these counts."""
        rate = np.maximum(self.impute(X), self.least_rate_)
        counts = X.toarray()
        return (xlogy(counts, rate) - rate - gammaln(counts + 1.0)).sum(axis=1)

    def _weights(self, X):
        return _quietly(self.model_.transform, X.astype(np.float64))


def _quietly(call, *arguments):
    """Make a call into scikit-learn without its warning that the updates have not converged (``convergence_``)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(*arguments)
