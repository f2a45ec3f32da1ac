"""ZINB-WaVE: zero-inflated negative binomial factor model, fitted by penalised likelihood (Risso et al. 2018).

For the count ``y`` of gene ``j`` in cell ``i``::

    y ~ pi * delta_0 + (1 - pi) * NB(mean mu, size theta)
    log mu   = beta_mu_j + gamma_mu_i + W_i' alpha_mu_j
    logit pi = beta_pi_j + gamma_pi_i + W_i' alpha_pi_j

with intercepts per gene (beta) and per cell (gamma), and one size theta = exp(zeta) for all genes: the design of the
scVI paper. The penalised log-likelihood subtracts

    1/2 [ |alpha|^2 + J/n |W|^2 + 1e-3 (|beta_pi|^2 + |gamma_pi|^2) ]

and leaves beta_mu and gamma_mu free. With W and gamma fixed every gene is a regression of its own, with the rest
fixed every cell is; the fit alternates between the two.
"""

from functools import partial

import numpy as np
import torch
from scipy.special import expit
from tqdm import tqdm

from scvi_core.marginal import Proposal, sampled_marginal

from ..base import Method
from ..shared.newton import inverse_root, row_chunks
from .fit import (
    Parameters,
    cell_model,
    count_constant,
    fit_cells,
    initialise,
    linear_predictors,
    loglik_of_cells,
    optimise,
)


class ZINBWaVE(Method):
    """ZINB-WaVE with gene and cell intercepts and a common dispersion.

    Parameters
    ----------
    n_latent : int
        Number of factors K; the scVI paper uses 10.
    max_iter, tol : int, float
        At most ``max_iter`` sweeps over dispersion, genes and cells; stop once a sweep changes the penalised
        log-likelihood by less than ``tol`` of its value. 25 and 1e-4 are the original's.
    random_state : int
        Seed of the randomised SVD from which the factors start.
    verbose : bool
        Show progress bars; the one of ``fit`` with the penalised log-likelihood.

    Attributes
    ----------
    W_ : array (n_cells, n_latent)
    gamma_mu_, gamma_pi_ : array (n_cells,)
    beta_mu_, beta_pi_ : array (n_genes,)
    alpha_mu_, alpha_pi_ : array (n_genes, n_latent)
    zeta_ : float
        Log of the NB size.
    weight_W_ : float
        Penalty weight of W, J / n.
    objective_ : list of float
        Penalised log-likelihood before each sweep, nats over all cells.

    Notes
    -----
    What is asked of other cells (`latent`, `impute`, `loglik`, `sample`) first fits their W and gamma to them with
    the genes' parameters fixed and the penalty weights of the training cells: scVI paper, appendix D.

    Where the original runs BFGS gene by gene and cell by cell, this runs Newton's method on all of them at once
    (`shared.newton`); the dispersion is searched for in log size -10 to 10. A gene without counts in ``fit`` (an
    error in the original) has no maximum: it gets the mean of half a count over all training cells, no factors and no
    dropout intercept, so that a count of it in other cells stays possible. ``batch`` is checked and not used.

    The original is the R package zinbwave 1.25.2, and the maximum the same. Its dispersion is searched for in log size
    -100 to 100 and gets lost there; it starts with softImpute, at random, and two rounds of the dropout's start: here
    alternating ridge regressions from a seeded SVD, and one round. There are no covariates beside the intercepts.

    Cost
    ----
    n^0.7 G^0.5 from 500 to 2000 cells, 100 to 400 genes (2,253 × 558: 13 s; 50,000 × 720: 7.5 min, 0.8 GB; 100,000 ×
    720: 15.6 min, 1.4 GB; 150 × 60, 5 factors: 0.6 s against 21 s of the package)

    References
    ----------
    Risso et al., Nature Communications 9:284 (2018). scVI paper: section 4.6 (use), appendix D (likelihood).

    Examples
    --------
    >>> from baselines.zinbwave import ZINBWaVE
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> wave = ZINBWaVE(n_latent=2, max_iter=2).fit(counts)
    >>> wave.latent(counts).shape, wave.impute(counts).shape, wave.loglik(counts).shape
    ((40, 2), (40, 12), (40,))
    """

    def __init__(self, n_latent=10, max_iter=25, tol=1e-4, random_state=0, verbose=False):
        self.n_latent = n_latent
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, batch=None):
        """Fit to counts ``X`` (n_cells, n_genes)."""
        expressed = np.flatnonzero(X.getnnz(axis=0))
        largest = min(X.shape[0], len(expressed))
        if not 1 <= self.n_latent <= largest:
            raise ValueError(
                f"n_latent is {self.n_latent} for {X.shape[0]} cells and {len(expressed)} genes with counts: "
                f"choose 1 to {largest}."
            )
        fitted, self.objective_ = self._optimise(X[:, expressed])

        def to_all_genes(values, fill=0.0):
            full = np.full((X.shape[1], *values.shape[1:]), fill)
            full[expressed] = values
            return full

        half_a_count = np.log(0.5) - torch.logsumexp(fitted.gamma_mu, 0).item()
        self.beta_mu_, self.beta_pi_ = to_all_genes(fitted.beta_mu, half_a_count), to_all_genes(fitted.beta_pi)
        self.alpha_mu_, self.alpha_pi_ = to_all_genes(fitted.alpha_mu), to_all_genes(fitted.alpha_pi)
        self.W_, self.gamma_mu_, self.gamma_pi_ = fitted.W.numpy(), fitted.gamma_mu.numpy(), fitted.gamma_pi.numpy()
        self.zeta_ = fitted.zeta
        self.weight_W_ = len(expressed) / X.shape[0]
        return self

    def latent(self, X, batch=None):
        """W fitted to the cells of ``X``, (n_cells, n_latent)."""
        return self._refit(X).W.numpy()

    def impute(self, X, batch=None):
        """Mean mu of the negative binomial, (n_cells, n_genes): the expected count without dropout."""
        return linear_predictors(self._refit(X))[0].exp_().numpy()

    def loglik(self, X, batch=None):
        """The scVI paper's score (appendix D): the unpenalised log-likelihood at W and gamma fitted to ``X`` itself.

        It conditions on fitted factors, and so lies above `marginal_loglik`.

        Returns
        -------
        array (n_cells,), nats
        """
        return loglik_of_cells(X, self._refit(X))

    def marginal_loglik(self, X, batch=None, n_samples=1000, random_state=0):
        """Importance-sampled log-likelihood with W and gamma integrated out (`baselines.base`).

        The prior is the one that the penalty stands for, W ~ N(0, n/J I), and for (gamma_mu, gamma_pi), whose
        penalty is flat or nearly so, the Gaussian with mean and covariance of the training cells. The proposal is a
        t distribution (10 degrees of freedom) at the mode with the curvature there.

        Returns
        -------
        loglik, standard_error : array (n_cells,), nats
        """
        parameters = self._start(X)
        rng = np.random.default_rng(random_state)
        start = torch.column_stack([parameters.gamma_mu, parameters.gamma_pi, parameters.W])
        model = cell_model(parameters, *self._prior())
        constant = count_constant(X, parameters.zeta) + 0.5 * torch.logdet(model.prior_precision / (2 * np.pi)).item()
        parts = []
        for rows, Y in tqdm(row_chunks(X), desc="marginal log-likelihood", disable=not self.verbose):
            mode = model.maximise(Y, start[rows])
            root = inverse_root(model.slope(Y, mode)[1])
            parts.append(sampled_marginal(partial(model.value, Y), [Proposal(mode, root)], n_samples, rng))
        loglik, standard_error = map(np.concatenate, zip(*parts, strict=True))
        return loglik + constant, standard_error

    def sample(self, X, n_samples=1, batch=None, random_state=0):
        """Counts drawn from the model at W and gamma fitted to ``X``, (n_samples, n_cells, n_genes) int64."""
        log_mean, logit = (eta.numpy() for eta in linear_predictors(self._refit(X)))
        mean, pi, size = np.exp(log_mean), expit(logit), np.exp(self.zeta_)
        rng = np.random.default_rng(random_state)
        draws = np.empty((n_samples, *mean.shape), dtype=np.int64)
        for draw in draws:
            draw[:] = rng.poisson(rng.gamma(size, mean / size)) * (rng.random(mean.shape) >= pi)
        return draws

    def _optimise(self, X):
        """`Parameters` fitted to counts without empty genes, and the penalised log-likelihoods on the way."""
        start = initialise(X, self.n_latent, self.random_state)
        return optimise(X, start, self.max_iter, self.tol, self.verbose)

    def _start(self, X):
        """The parameters with W = 0, gamma_mu at the mean of a cell's positive log counts."""
        residual = X.astype(float)
        residual.data = np.log(residual.data) - self.beta_mu_[X.indices]
        return Parameters(
            W=torch.zeros(X.shape[0], self.W_.shape[1], dtype=torch.float64),
            gamma_mu=torch.from_numpy(np.asarray(residual.sum(1))[:, 0] / X.getnnz(axis=1)),
            gamma_pi=torch.full((X.shape[0],), self.gamma_pi_.mean(), dtype=torch.float64),
            beta_mu=torch.from_numpy(self.beta_mu_),
            beta_pi=torch.from_numpy(self.beta_pi_),
            alpha_mu=torch.from_numpy(self.alpha_mu_),
            alpha_pi=torch.from_numpy(self.alpha_pi_),
            zeta=self.zeta_,
        )

    def _refit(self, X):
        """The parameters with W and gamma fitted to the cells of ``X``."""
        return fit_cells(X, self._start(X), self.weight_W_)

    def _prior(self):
        """Precision and mean of (gamma_mu, gamma_pi, W) in `marginal_loglik`."""
        gammas = np.stack([self.gamma_mu_, self.gamma_pi_])
        precision = np.diag(np.full(2 + self.W_.shape[1], self.weight_W_))
        precision[:2, :2] = np.linalg.inv(np.cov(gammas) + 1e-6 * np.eye(2))
        mean = np.append(gammas.mean(1), np.zeros(self.W_.shape[1]))
        return torch.from_numpy(precision), torch.from_numpy(mean)
