"""GLM-PCA (Townes, Hicks, Aryee and Irizarry 2019): a factor model of counts with a log link.

For the count ``y`` of gene ``j`` in cell ``i``::

    y ~ Poisson(mu)  or  NB(mean mu, size theta)
    log mu = log s_i + a_j + u_i' v_j

with the size factor s_i, the mean count of the cell, an intercept a_j for each gene and one theta for all. The
penalised log-likelihood subtracts ``penalty``/2 (|U|^2 + |V|^2); log theta has a standard normal prior.
"""

import numpy as np
import torch

from scvi_core.marginal import Proposal, sampled_marginal

from ..base import Method
from ..shared.convergence import convergence
from ..shared.newton import inverse_root, row_chunks
from ..shared.normalise import library_sizes
from .fit import (
    Counts,
    cell_model,
    constant_of_cells,
    entries,
    first_guess,
    fit_cells,
    initialise,
    loglik_of_cells,
    optimise,
)

FAMILIES = ("poisson", "nb")


class GLMPCA(Method):
    """Generalised PCA of counts: Poisson or negative binomial, with the cells' mean counts as size factors.

    Parameters
    ----------
    n_latent : int
        Number of factors; 10 as in the paper's rows.
    family : "poisson" or "nb"
        The negative binomial has one size for all genes.
    penalty : float
        Ridge penalty of factors and loadings; the original's 1.
    max_iter, tol : int, float
        At most ``max_iter`` sweeps over genes and cells; stop once a sweep gains less than ``tol`` of the penalised
        log-likelihood.
    random_state : int
        Seed of the randomised SVD from which the factors start.
    verbose : bool
        Show a progress bar with the penalised log-likelihood.

    Attributes
    ----------
    loadings_ : ndarray, shape (n_genes, n_latent)
        Orthonormal, in the order of the variance of their factors, as the original returns them.
    intercept_ : ndarray, shape (n_genes,)
    theta_ : float or None
    objective_ : list of float
        Penalised log-likelihood at the start and after each sweep, nats over all cells.
    convergence_ : baselines.shared.convergence.Convergence

    Notes
    -----
    The model and the penalty are those of the R package glmpca and of its port to Python, 0.1.0. These take one Fisher
    step along one factor of all cells or genes at a time, with the diagonal of the information and without control of
    the step, from random factors near zero: on CORTEX the Poisson deviance of the port rises from 2e7 to 2e11 before it
    falls, and the port has an error for a deviance that is no longer finite. Here every gene, and then every cell, is a
    regression on all factors at once whose steps are halved until they improve it (`shared.newton`), so that no sweep
    loses and no rate overflows. The start is the SVD of centred log-normalised counts. Between sweeps the factors are
    centred and scaled to the smallest penalty, which changes no rate. A maximum that is reached is one of the
    original's: on simulated counts the penalised likelihood is above that of the port (three starts, stopped at 1e-8),
    the deviance equal to 1e-4.

    Other cells: their factors are fitted to them with the genes' parameters fixed and the same penalty. A gene without
    counts in ``fit``, an error in the original, gets the rate of half a count over all training cells and no loadings.

    All likelihoods are conditional on the size factor, the observed number of counts, which the other rows have to
    predict: part of a lead over them is that. For ``marginal_loglik`` the factors of a cell are normal with mean zero
    and the covariance of those of the training cells: the penalty alone, which is there for stability, would be a prior
    that is far too wide.

    References
    ----------
    Townes, Hicks, Aryee and Irizarry, Genome Biology 20:295 (2019); Townes, arXiv:1907.02647 (2019).

    Examples
    --------
    >>> from baselines.glmpca import GLMPCA
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> model = GLMPCA(n_latent=2).fit(counts)
    >>> model.latent(counts).shape, model.impute(counts).shape, model.loglik(counts).shape
    ((40, 2), (40, 12), (40,))
    >>> model.convergence_.converged
    True
    """

    def __init__(
        self, n_latent=10, family="poisson", penalty=1.0, max_iter=100, tol=1e-5, random_state=0, verbose=False
    ):
        self.n_latent = n_latent
        self.family = family
        self.penalty = penalty
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def check_parameters(self):
        """Raise ValueError where the family is none or the penalty not positive."""
        if self.family not in FAMILIES:
            raise ValueError(f"family={self.family!r}: choose {' or '.join(FAMILIES)}.")
        if not self.penalty > 0:
            raise ValueError(f"penalty={self.penalty}: choose a positive number, 1 as in the original.")

    def fit(self, X, batch=None):
        """Fit to counts (n_cells, n_genes); batch labels are not used."""
        self.check_parameters()
        expressed = np.flatnonzero(X.getnnz(axis=0))
        largest = min(X.shape[0], len(expressed))
        if not 1 <= self.n_latent <= largest:
            raise ValueError(
                f"n_latent={self.n_latent} for {X.shape[0]} cells and {len(expressed)} genes with counts: "
                f"choose 1 to {largest}."
            )
        log_factors = self._log_factors(X)
        counts = Counts(X[:, expressed], log_factors)
        start = initialise(counts, self.n_latent, self.family == "nb", self.random_state)
        found, self.objective_ = optimise(counts, start, self.penalty, self.max_iter, self.tol, self.verbose)
        self.convergence_ = convergence(len(self.objective_) - 1, self.max_iter)

        # Rotated as the original returns it: factors @ loadings' with orthonormal loadings.
        directions, lengths, rotation = np.linalg.svd(found.V.numpy(), full_matrices=False)
        self.rotation_ = rotation.T * lengths  # (n_latent, n_latent), from the factors that are penalised
        self.loadings_ = np.zeros((X.shape[1], self.n_latent))
        self.loadings_[expressed] = directions
        self.intercept_ = np.full(X.shape[1], np.log(0.5 / np.exp(log_factors).sum()))
        self.intercept_[expressed] = found.intercept.numpy()
        self.theta_ = None if found.log_theta is None else float(np.exp(found.log_theta))
        V = torch.zeros(X.shape[1], self.n_latent, dtype=torch.float64)
        V[expressed] = found.V
        self._fitted = found._replace(intercept=torch.from_numpy(self.intercept_), V=V, U=None)
        covariance = found.U.T @ found.U / X.shape[0]  # diagonal, for U is balanced
        self._prior_root = covariance.diagonal().sqrt().diag()
        return self

    def latent(self, X, batch=None):
        """Return the factors, (n_cells, n_latent), in the order of their variance in training."""
        return self._factors(X).numpy() @ self.rotation_

    def impute(self, X, batch=None):
        """Return the expected counts mu, (n_cells, n_genes)."""
        log_rate = self.latent(X) @ self.loadings_.T + self.intercept_
        return np.exp(log_rate + self._log_factors(X)[:, None])

    def loglik(self, X, batch=None):
        """Return log p(counts) at the factors fitted to them, (n_cells,) nats, given the size factors."""
        log_factors = torch.from_numpy(self._log_factors(X))
        return loglik_of_cells(X, log_factors, self._fitted, self._factors(X))

    def marginal_loglik(self, X, batch=None, n_samples=200, random_state=0):
        """Log-probability of the counts given the size factors, factors integrated out by importance sampling.

        Their prior is a normal distribution with the covariance that the factors of the training cells have.

        Returns
        -------
        loglik, standard_error : array (n_cells,), nats
        """
        log_factors = torch.from_numpy(self._log_factors(X))
        scaled = self._fitted._replace(V=self._fitted.V @ self._prior_root)  # of factors with the unit covariance
        precision = torch.eye(self.n_latent, dtype=torch.float64)
        model = cell_model(scaled, precision)
        rng, parts = np.random.default_rng(random_state), []
        for rows, Y in row_chunks(X):
            data = entries(Y, log_factors[rows, None])
            mode = model.maximise(data, first_guess(data, scaled, precision))
            proposal = Proposal(mode, inverse_root(model.slope(data, mode)[1]))
            parts.append(sampled_marginal(lambda z, data=data: model.value(data, z), [proposal], n_samples, rng))
        loglik, standard_error = map(np.concatenate, zip(*parts, strict=True))
        loglik += constant_of_cells(X, self._fitted.log_theta) - 0.5 * self.n_latent * np.log(2 * np.pi)
        return loglik, standard_error

    def _factors(self, X):
        """Factors of cells as they are penalised, (n_cells, n_latent): the maximum of a cell is its only one."""
        return fit_cells(X, torch.from_numpy(self._log_factors(X)), self._fitted, self.penalty)

    def _log_factors(self, X):
        return np.log(library_sizes(X) / X.shape[1])
