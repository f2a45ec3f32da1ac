"""ZIFA: factor analysis of log(1 + count) in which small values drop out to zero (Pierson & Yau 2015).

For the expression ``y = log(1 + count)`` of gene ``j`` in one cell::

    z ~ N(0, I_K)
    x_j | z ~ N(a_j'z + mu_j, s_j^2)                           the factor analysis part
    y_j = 0 with probability exp(-decay * x_j^2), else x_j     the dropout

Given z, a zero has probability ``exp(-decay * m^2 / c) / sqrt(c)`` with ``m = a_j'z + mu_j`` and
``c = 1 + 2 * decay * s_j^2``: it says about z what an observation of the value 0 with variance
``s_j^2 + 1 / (2 * decay)`` would say. The posterior of z is therefore Gaussian and costs O(D K^2 + K^3) per cell,
and the marginal density is closed form. The original program inverts D x D matrices to the same effect.
"""

import numpy as np
from tqdm import tqdm

from ..base import Method
from ..shared.rounded import rounded_marginal
from .em import (
    Parameters,
    complete_loglik,
    e_step,
    expression_at_zero,
    initialise,
    log_slices,
    m_step,
    posterior,
    random_blocks,
)

ZERO_ENTROPY_SD = 1 / np.sqrt(2 * np.pi * np.e)


class ZIFA(Method):
    """Zero-inflated factor analysis, fitted by exact EM.

    Parameters
    ----------
    n_latent : int
        Number of factors K; the scVI paper uses 10.
    n_blocks : int
        In ``fit``, infer z from each of this many random blocks of genes and average (the original's "block ZIFA",
        made to shrink its matrices; here it saves nothing and is kept for comparison). 1 is the exact E-step.
    single_noise : bool
        Share one noise level between the genes (zero-inflated probabilistic PCA).
    max_iter, tol : int, float
        Stop after ``max_iter`` EM steps, or once the mean absolute change of loadings, means, noise and decay is
        below ``tol`` of their mean absolute value, each. 100 and 0.01 are the original's (block ZIFA: 20).
    impute_only_zeros : bool
        What ``impute`` returns: the factor mean everywhere (the paper's text), or what the authors' code compared
        with the truth, E[x | y] where the count is zero and 0 elsewhere.
    random_state : int
        Seed of the random blocks; with ``n_blocks=1`` nothing is random.
    verbose : bool
        Show a progress bar with the marginal log-likelihood, which no EM step lowers (``n_blocks=1``).

    Attributes
    ----------
    loadings_ : array (n_genes, n_latent)
    mean_, noise_sd_ : array (n_genes,)
    decay_ : float
    n_iter_ : int
    objective_ : list of float
        Marginal log-likelihood of log(1 + counts), nats over all cells, before each step.

    Notes
    -----
    ``batch`` is checked and not used. A gene without counts in ``fit`` (the original stops there) gets mean zero,
    no loadings and a noise of entropy zero: its zeros add nothing to `loglik`, and a count of it stays possible.
    The noise variance is held above what a single count would make (`shared.rounded.noise_floor`): the density of
    a gene whose few counts are all 1 grows without bound.
    A matrix without zeros is fitted too: the decay runs to its upper bound and the model is factor analysis. The
    original's block program leaves out genes with more than 95% zeros; here every gene stays.

    One step is equal to the original's (epierson9/ZIFA at ab7213a) to 1e-10.

    Cost
    ----
    n^1.0 G^0.7 (2,253 × 558: 1 s; 50,000 × 720: 25 s, 7 steps, 1.3 GB with the data; 100,000 × 720: 40 s)

    References
    ----------
    Pierson & Yau, Genome Biology 16:241 (2015). scVI paper: section 4.6 (use), appendices C and E (likelihood).

    Examples
    --------
    >>> from baselines.zifa import ZIFA
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> zifa = ZIFA(n_latent=2, max_iter=5).fit(counts)
    >>> zifa.latent(counts).shape, zifa.impute(counts).shape, zifa.loglik(counts).shape
    ((40, 2), (40, 12), (40,))
    """

    def __init__(
        self,
        n_latent=10,
        n_blocks=1,
        single_noise=False,
        max_iter=100,
        tol=1e-2,
        impute_only_zeros=False,
        random_state=0,
        verbose=False,
    ):
        self.n_latent = n_latent
        self.n_blocks = n_blocks
        self.single_noise = single_noise
        self.max_iter = max_iter
        self.tol = tol
        self.impute_only_zeros = impute_only_zeros
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, batch=None):
        """Fit by EM to counts ``X`` (n_cells, n_genes), starting from factor analysis with the zeros left in."""
        expressed = np.flatnonzero(X.getnnz(axis=0))
        n_genes, X = X.shape[1], X[:, expressed]
        for name in ("n_latent", "n_blocks"):
            if not 1 <= getattr(self, name) <= len(expressed):
                raise ValueError(
                    f"{name} is {getattr(self, name)} and {len(expressed)} genes have counts: "
                    f"choose 1 to {len(expressed)}."
                )
        blocks = None
        if self.n_blocks > 1:
            blocks = random_blocks(*X.shape, self.n_blocks, self.random_state)

        parameters = initialise(X, self.n_latent, self.single_noise)
        self.objective_ = []
        with tqdm(total=self.max_iter, desc="ZIFA", disable=not self.verbose) as bar:
            for _ in range(self.max_iter):
                moments, objective = e_step(X, parameters, blocks)
                previous, parameters = parameters, m_step(X, moments, parameters, self.single_noise)
                self.objective_.append(objective)
                bar.update()
                bar.set_postfix(loglik=f"{objective:.6g}")
                if all(_settled(a, b, self.tol) for a, b in zip(parameters, previous, strict=True)):
                    break

        self.n_iter_ = len(self.objective_)
        self.loadings_ = np.zeros((n_genes, self.n_latent))
        self.mean_ = np.zeros(n_genes)
        self.noise_sd_ = np.full(n_genes, ZERO_ENTROPY_SD)
        self.loadings_[expressed], self.mean_[expressed], self.noise_sd_[expressed], self.decay_ = parameters
        return self

    def latent(self, X, batch=None):
        """Posterior mean of z, (n_cells, n_latent)."""
        parameters = self._parameters()
        return np.concatenate([posterior(Y, parameters)[0] for _, Y in log_slices(X)])

    def impute(self, X, batch=None):
        """Counts without dropout, (n_cells, n_genes): ``expm1(A E[z] + mu)``, see ``impute_only_zeros``.

        Values below zero counts become zero.
        """
        parameters = self._parameters()
        imputed = np.empty(X.shape)
        for rows, Y in log_slices(X):
            z, _, _ = posterior(Y, parameters)
            if self.impute_only_zeros:
                imputed[rows] = np.where(Y == 0, np.expm1(expression_at_zero(z, parameters)), 0.0)
            else:
                imputed[rows] = np.expm1(z @ parameters.loadings.T + parameters.mean)
        return np.maximum(imputed, 0.0, out=imputed)

    def loglik(self, X, batch=None):
        """The scVI paper's score: expected complete log-likelihood (appendix E), brought to the count scale (C).

        E[log p(z, x, dropout, y)] over the posterior of z and x, minus sum_j log(1 + count_j). It leaves out the
        entropy of that posterior, so it neither is nor bounds log p(y), whose sum over the cells is in ``objective_``;
        `marginal_loglik` is the probability that goes with that density.

        Returns
        -------
        array (n_cells,), nats
        """
        parameters = self._parameters()
        return np.concatenate([complete_loglik(Y, parameters) - Y.sum(1) for _, Y in log_slices(X)])

    def marginal_loglik(self, X, batch=None, n_samples=200, random_state=0):
        """Log-probability of the counts, with z, x and dropout integrated out under the prior (`baselines.base`).

        A count is all values that round to it (`rounded`); z is importance-sampled.

        Returns
        -------
        loglik, standard_error : array (n_cells,), nats
        """
        loadings, mean, noise_sd, decay = self._parameters()
        return rounded_marginal(X, loadings, mean, noise_sd, n_samples, random_state, decay)

    def sample(self, X, n_samples=1, batch=None, random_state=0):
        """Posterior predictive draws, (n_samples, n_cells, n_genes): z from its posterior, then x, then dropout.

        On the scale of counts but not integer; values below zero counts become zero.
        """
        parameters = self._parameters()
        A, mean, noise_sd, decay = parameters
        rng = np.random.default_rng(random_state)
        draws = np.empty((n_samples, *X.shape))
        for rows, Y in log_slices(X):
            z, covariance, _ = posterior(Y, parameters)
            root = np.linalg.cholesky(covariance)
            for draw in draws[:, rows]:
                z_draw = z + np.einsum("ckl,cl->ck", root, rng.standard_normal(z.shape))
                x = z_draw @ A.T + mean + noise_sd * rng.standard_normal(Y.shape)
                draw[:] = np.where(rng.random(Y.shape) < np.exp(-decay * x**2), 0.0, np.maximum(np.expm1(x), 0.0))
        return draws

    def _parameters(self):
        return Parameters(self.loadings_, self.mean_, self.noise_sd_, self.decay_)


def _settled(new, old, tol):
    return np.mean(np.abs(new - old)) <= tol * np.mean(np.abs(new))
