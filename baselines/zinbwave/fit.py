"""The fit of ZINB-WaVE: likelihood, start, and the sweeps over dispersion, genes and cells (see `zinbwave`)."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import betaln, digamma
from sklearn.utils.extmath import randomized_svd
from tqdm import tqdm

from ..shared.newton import TILE_ENTRIES, Predictor, Regressions, log1p_exp, row_chunks

ZETA_BOUND = 10.0  # NB is Poisson beyond and the likelihood flat, where the original's search on [-100, 100] gets lost
RIDGE_PI = 1e-3  # of the intercepts of the dropout logit


class Parameters(NamedTuple):
    """Parameters for n cells, J genes and K factors: float64 tensors, and the log of the NB size."""

    W: torch.Tensor  # (n, K)
    gamma_mu: torch.Tensor  # (n,)
    gamma_pi: torch.Tensor  # (n,)
    beta_mu: torch.Tensor  # (J,)
    beta_pi: torch.Tensor  # (J,)
    alpha_mu: torch.Tensor  # (J, K)
    alpha_pi: torch.Tensor  # (J, K)
    zeta: float


def linear_predictors(parameters, rows=slice(None)):
    """Log mean and dropout logit of the cells in ``rows``, two tensors (n_rows, J)."""
    W, gamma_mu, gamma_pi, beta_mu, beta_pi, alpha_mu, alpha_pi, _ = parameters
    log_mean = gamma_mu[rows, None] + beta_mu + W[rows] @ alpha_mu.T
    return log_mean, gamma_pi[rows, None] + beta_pi + W[rows] @ alpha_pi.T


def log_prob(y, eta, logit, zeta):
    """Log-likelihood (P, m) of counts with log mean ``eta``, dropout ``logit`` and log size ``zeta``.

    Without the terms in ``y`` and ``zeta`` alone, for which see `count_constant`.
    """
    size = torch.as_tensor(zeta, dtype=torch.float64).exp()
    excess = log1p_exp(eta - zeta)  # log(1 + mu / theta); NB(0) = exp(-theta * excess)
    negative_binomial = y * (eta - zeta) - (y + size) * excess
    return negative_binomial + _dropout_gain(y, logit, size * excess)


def _dropout_gain(y, logit, surprise):
    """What the dropout adds to the log-likelihood, (P, m); ``surprise`` is -log NB(0).

    log(1 - pi) for a count, and log(pi + (1 - pi) NB(0)) - log NB(0) for a zero, in one logarithm.
    """
    raised = torch.where(y == 0, logit + surprise, -60.0)  # one plus exp(-60) is one
    ratio = (1 + raised.abs().neg_().exp_()) / (1 + logit.abs().neg_().exp_())
    return ratio.log().add_(raised.clamp(min=0)).sub_(logit.clamp(min=0))


def count_constant(X, zeta):
    """Sum over genes of log Gamma(y + theta) - log Gamma(theta) - log y!, array (n_cells,)."""
    terms, top = X.astype(float), X.data.max(initial=0)
    counts = np.arange(1, top + 1) if top < X.nnz else X.data  # mostly few are different
    values = -betaln(counts, np.exp(zeta)) - np.log(counts)  # exact for large theta too
    terms.data = values[X.data - 1] if top < X.nnz else values
    return np.asarray(terms.sum(1))[:, 0]


def derivatives(y, eta, logit, zeta):
    """Of `log_prob` in log mean and dropout logit, as `shared.newton.Regressions` wants them."""
    size = np.exp(zeta)
    p = torch.sigmoid(eta - zeta)  # mu / (mu + theta)
    pi = torch.sigmoid(logit)
    dropped = (y == 0) * torch.sigmoid(logit + size * log1p_exp(eta - zeta))  # probability that a zero is a dropout
    counted = 1 - dropped
    undecided = dropped * counted
    slope = size * p  # of -log NB(0) in log mu
    crossed = -undecided * slope
    expected = y * p + counted * slope
    firsts = [y - expected, dropped - pi]
    seconds = [expected * (1 - p) + crossed * slope, crossed, pi * (1 - pi) - undecided]
    return firsts, seconds


def with_zeta_slope(y, eta, logit, zeta):
    """`log_prob`, and its derivative in the log size."""
    size, ratio = np.exp(zeta), eta - zeta
    excess, p = log1p_exp(ratio), torch.sigmoid(ratio)
    surprise = size * excess
    counted = 1 - (y == 0) * torch.sigmoid(logit + surprise)
    value = y * (ratio - excess) - surprise + _dropout_gain(y, logit, surprise)
    return value, y * (p - 1) - counted * (surprise - size * p)


def zero_log_prob(y, logit):
    """Logistic regression of the zeros: log-likelihood."""
    return (y == 0) * logit - log1p_exp(logit)


def zero_derivatives(y, logit):
    """Logistic regression of the zeros: derivatives, as `shared.newton.Regressions` wants them."""
    pi = torch.sigmoid(logit)
    return [(y == 0).double() - pi], [pi * (1 - pi)]


def zinb_regressions(zeta, predictors, precision, prior_mean=None):
    return Regressions(partial(log_prob, zeta=zeta), partial(derivatives, zeta=zeta), predictors, precision, prior_mean)


def cell_model(parameters, precision, prior_mean=None):
    """Regressions of the cells: theta is (gamma_mu, gamma_pi, W), the genes' parameters and zeta are fixed."""
    factors = range(2, 2 + parameters.W.shape[1])
    predictors = [
        Predictor(_with_intercept(parameters.alpha_mu), [0, *factors], parameters.beta_mu),
        Predictor(_with_intercept(parameters.alpha_pi), [1, *factors], parameters.beta_pi),
    ]
    return zinb_regressions(parameters.zeta, predictors, precision, prior_mean)


def gene_model(parameters):
    """Regressions of the genes: theta is (beta_mu, beta_pi, alpha_mu, alpha_pi), the cells' parameters are fixed."""
    K = parameters.W.shape[1]
    design = _with_intercept(parameters.W)
    predictors = [
        Predictor(design, [0, *range(2, 2 + K)], parameters.gamma_mu),
        Predictor(design, [1, *range(2 + K, 2 + 2 * K)], parameters.gamma_pi),
    ]
    return zinb_regressions(parameters.zeta, predictors, _diagonal([0.0, RIDGE_PI] + [1.0] * 2 * K))


def cell_precision(n_latent, weight_W):
    """Penalty weights of (gamma_mu, gamma_pi, W) as a matrix; ``weight_W`` is J / n of the training data."""
    return _diagonal([0.0, RIDGE_PI] + [weight_W] * n_latent)


def optimise(X, parameters, max_iter=25, tol=1e-4, verbose=False):
    """Sweep over dispersion, genes and cells until the penalised log-likelihood settles.

    Returns
    -------
    parameters : Parameters
    objective : list of float
        Penalised log-likelihood before each sweep.
    """
    weight_W = X.shape[1] / X.shape[0]
    XT = X.T.tocsr()
    objective = []
    with tqdm(total=max_iter, desc="ZINB-WaVE", disable=not verbose) as bar:
        for _ in range(max_iter):
            objective.append(loglik_of_cells(X, parameters).sum() - penalty(parameters, weight_W))
            bar.set_postfix(objective=f"{objective[-1]:.6g}")
            if len(objective) > 1 and abs(objective[-1] - objective[-2]) < tol * abs(objective[-2]):
                break
            parameters = fit_zeta(X, parameters)
            parameters = balance(fit_genes(XT, parameters), weight_W)
            parameters = balance(fit_cells(X, parameters, weight_W), weight_W)
            bar.update()
    return parameters, objective


def loglik_of_cells(X, parameters):
    """Unpenalised log-likelihood, array (n_cells,)."""
    value = count_constant(X, parameters.zeta)
    for rows, Y in row_chunks(X):
        value[rows] += log_prob(Y, *linear_predictors(parameters, rows), parameters.zeta).sum(1).numpy()
    return value


def penalty(parameters, weight_W):
    """What the penalised log-likelihood subtracts; ``weight_W`` is J / n."""
    squares = {name: float((value**2).sum()) for name, value in parameters._asdict().items() if name != "zeta"}
    alpha, intercepts = squares["alpha_mu"] + squares["alpha_pi"], squares["beta_pi"] + squares["gamma_pi"]
    return 0.5 * (alpha + weight_W * squares["W"] + RIDGE_PI * intercepts)


def fit_zeta(X, parameters):
    """Best log size for fixed means and dropout, searched from its present value."""
    counts, times = np.unique(X.data, return_counts=True)

    def negative(zeta):
        zeta = float(zeta[0])
        size = np.exp(zeta)
        value = -(times * betaln(counts, size)).sum()
        slope = (times * size * (digamma(counts + size) - digamma(size))).sum()
        for rows, Y in row_chunks(X, TILE_ENTRIES):
            sums = [each.sum().item() for each in with_zeta_slope(Y, *linear_predictors(parameters, rows), zeta)]
            value, slope = value + sums[0], slope + sums[1]
        return -value, -np.array([slope])

    found = minimize(negative, [parameters.zeta], jac=True, method="L-BFGS-B", bounds=[(-ZETA_BOUND, ZETA_BOUND)])
    return parameters._replace(zeta=float(found.x[0]))


def fit_genes(XT, parameters):
    """Best beta and alpha for fixed cells and zeta; ``XT`` (n_genes, n_cells) is CSR."""
    K = parameters.W.shape[1]
    theta = torch.column_stack([parameters.beta_mu, parameters.beta_pi, parameters.alpha_mu, parameters.alpha_pi])
    beta_mu, beta_pi, alpha_mu, alpha_pi = gene_model(parameters).fit(XT, theta).split([1, 1, K, K], dim=1)
    return parameters._replace(beta_mu=beta_mu[:, 0], beta_pi=beta_pi[:, 0], alpha_mu=alpha_mu, alpha_pi=alpha_pi)


def fit_cells(X, parameters, weight_W):
    """Best W and gamma for fixed genes and zeta."""
    model = cell_model(parameters, cell_precision(parameters.W.shape[1], weight_W))
    theta = model.fit(X, torch.column_stack([parameters.gamma_mu, parameters.gamma_pi, parameters.W]))
    return parameters._replace(gamma_mu=theta[:, 0], gamma_pi=theta[:, 1], W=theta[:, 2:])


def balance(parameters, weight_W):
    """Rotate and scale W and alpha so that their product stays and the penalty is least."""
    alpha = torch.cat([parameters.alpha_mu, parameters.alpha_pi])
    (Q_W, R_W), (Q_a, R_a) = torch.linalg.qr(parameters.W), torch.linalg.qr(alpha)
    u, d, vt = torch.linalg.svd(R_W @ R_a.T)
    scale = weight_W**0.25
    alpha_mu, alpha_pi = (scale * Q_a @ vt.T * d.sqrt()).split(len(parameters.beta_mu))
    return parameters._replace(W=Q_W @ u * d.sqrt() / scale, alpha_mu=alpha_mu, alpha_pi=alpha_pi)


def initialise(X, n_latent, random_state=0):
    """Start of the fit: log-normal factors of the positive counts, then logistic regressions of the zeros.

    The means start from the positive log counts: intercepts by alternating means, factors by low-rank completion.
    The dropout starts as if every zero were one: gamma_pi from the share of zeros of a cell, then beta_pi and
    alpha_pi by a logistic regression per gene (of which the original makes two rounds).
    """
    n, J = X.shape
    scale = (J / n) ** 0.25
    positives = X.astype(float)
    positives.data = np.log(positives.data)
    rows = np.repeat(np.arange(n), np.diff(X.indptr))
    gamma_mu, beta_mu = np.zeros(n), np.zeros(J)
    for _ in range(2):
        gamma_mu = np.bincount(rows, positives.data - beta_mu[X.indices], n) / X.getnnz(axis=1)
        beta_mu = np.bincount(X.indices, positives.data - gamma_mu[rows], J) / X.getnnz(axis=0)
    positives.data -= gamma_mu[rows] + beta_mu[X.indices]
    W, alpha_mu = complete(positives, n_latent, np.sqrt(J / n), random_state)

    share_of_zeros = np.clip(1 - X.getnnz(axis=1) / J, 0.5 / J, 1 - 0.5 / J)
    gamma_pi = np.log(share_of_zeros / (1 - share_of_zeros))

    tensors = map(torch.from_numpy, (W / scale, gamma_mu, gamma_pi, beta_mu, alpha_mu * scale))
    W, gamma_mu, gamma_pi, beta_mu, alpha_mu = tensors
    logit = Predictor(_with_intercept(W), list(range(n_latent + 1)), gamma_pi)
    dropout = Regressions(zero_log_prob, zero_derivatives, [logit], _diagonal([RIDGE_PI] + [1.0] * n_latent))
    theta = dropout.fit(X.T.tocsr(), torch.zeros(J, n_latent + 1, dtype=torch.float64))
    return Parameters(W, gamma_mu, gamma_pi, beta_mu, theta[:, 0], alpha_mu, theta[:, 1:], zeta=0.0)


def complete(D, rank, ridge, random_state=0, max_iter=100, tol=1e-5):
    """Factors A (n, rank), B (J, rank) minimising |P * (D - A B')|^2 + ridge (|A|^2 + |B|^2), all over 2.

    ``P`` marks the stored entries of the sparse ``D``, the rest is missing. Alternating ridge regressions, which
    solve the nuclear-norm problem (penalty ridge |A B'|_*) at rank up to ``rank``; where fewer factors survive the
    penalty, it is halved.
    """
    U, d, Vt = randomized_svd(D, rank, random_state=random_state)
    A, B = U * np.sqrt(d), Vt.T * np.sqrt(d)
    DT = D.T.tocsr()
    present, presentT = _stored(D), _stored(DT)
    for _ in range(max_iter):
        old_A, old_B = A, B
        A = _ridge_rows(D, present, B, ridge)
        B = _ridge_rows(DT, presentT, A, ridge)
        size = np.sum(old_A.T @ old_A * (old_B.T @ old_B))
        change = size + np.sum(A.T @ A * (B.T @ B)) - 2 * np.sum(A.T @ old_A * (B.T @ old_B))
        if change < tol * size:
            strengths = np.linalg.svd(np.linalg.qr(A)[1] @ np.linalg.qr(B)[1].T)[1]
            if strengths[-1] > 1e-3 * strengths[0]:
                break
            ridge /= 2
    return A, B


def _stored(D):
    """One where ``D`` has an entry."""
    return csr_matrix((np.ones(D.nnz), D.indices, D.indptr), D.shape)


def _ridge_rows(D, present, B, ridge):
    """Ridge regression of the stored entries of each row of ``D`` on the rows of ``B``."""
    K = B.shape[1]
    i, j = np.triu_indices(K)
    gram = np.empty((D.shape[0], K, K))
    gram[:, i, j] = gram[:, j, i] = present @ (B[:, i] * B[:, j])
    gram += ridge * np.eye(K)
    return np.linalg.solve(gram, (D @ B)[:, :, None])[:, :, 0]


def _with_intercept(design):
    return torch.column_stack([torch.ones(len(design), dtype=design.dtype), design])


def _diagonal(values):
    return torch.diag(torch.tensor(values, dtype=torch.float64))
