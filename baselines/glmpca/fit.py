"""The penalised maximum likelihood of GLM-PCA, by alternating regressions of all genes and of all cells."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import gammaln
from sklearn.utils.extmath import randomized_svd
from tqdm import tqdm

from ..shared.newton import Predictor, Regressions, row_chunks
from ..shared.normalise import log_normalised

START_LOG_THETA, STEP_LOG_THETA = np.log(100.0), 1.0  # where the size starts, and the most it moves in a sweep


class Parameters(NamedTuple):
    """log mu = log size factor + intercept + U V'; float64 tensors.

    ``intercept`` (n_genes,), ``U`` (n_cells, n_latent), ``V`` (n_genes, n_latent); ``log_theta`` of the negative
    binomial, None for Poisson counts.
    """

    intercept: torch.Tensor
    U: torch.Tensor
    V: torch.Tensor
    log_theta: float | None


class Counts:
    """Counts as the regressions read them: ``of_cells`` and ``of_genes`` are the CSR matrix and its transpose."""

    def __init__(self, X, log_factors):
        self.of_cells, self.of_genes = X, X.T.tocsr()
        self.log_factors = torch.from_numpy(log_factors)
        self.values, self.times = np.unique(X.data, return_counts=True)  # of the counts that are not zero
        self.log_factorials = float(self.times @ gammaln(self.values + 1.0))


def initialise(counts, n_latent, negative_binomial, random_state):
    """Start from the intercepts of a model without factors and the singular vectors of centred log counts."""
    factors = counts.log_factors.exp().numpy()
    intercept = np.log(np.asarray(counts.of_cells.sum(axis=0)).ravel() / factors.sum())
    Y, _ = log_normalised(counts.of_cells)
    Y -= Y.mean(axis=0)
    left, values, right = randomized_svd(Y, n_latent, random_state=random_state)
    U, V = left * np.sqrt(values), right.T * np.sqrt(values)
    log_theta = START_LOG_THETA if negative_binomial else None
    return Parameters(*(torch.from_numpy(np.ascontiguousarray(part)) for part in (intercept, U, V)), log_theta)


def optimise(counts, start, penalty, max_iter, tol, verbose=False):
    """Return the `Parameters` of a maximum and the objective after each sweep, a list of float.

    No sweep makes the objective smaller: every regression halves a step that does not improve it, and the common size
    moves to the best value within `STEP_LOG_THETA`.
    """
    found, trace = start, [objective(counts, start, penalty)]
    with tqdm(total=max_iter, desc="GLM-PCA", disable=not verbose) as progress:
        while len(trace) <= max_iter:
            found = balanced(fit_genes(counts, found, penalty))
            found = balanced(found._replace(U=fit_cells(counts.of_cells, counts.log_factors, found, penalty, found.U)))
            if found.log_theta is not None:
                found = fit_theta(counts, found)
            trace.append(objective(counts, found, penalty))
            progress.update()
            progress.set_postfix(objective=f"{trace[-1]:.1f}")
            if trace[-1] - trace[-2] < tol * abs(trace[-1]):
                break
    return found, trace


def fit_genes(counts, found, penalty):
    """Regress every gene on the factors of the cells, with an intercept that is not penalised."""
    n_latent = found.U.shape[1]
    ones = torch.ones(len(found.U), 1, dtype=torch.float64)
    precision = torch.full((1 + n_latent,), float(penalty), dtype=torch.float64)
    precision[0] = 0
    model = regressions(torch.cat([ones, found.U], 1), 0 * found.U[:, 0], precision.diag(), found.log_theta)
    theta = torch.cat([found.intercept[:, None], found.V], 1)
    solution = torch.empty_like(theta)
    for rows, Y in row_chunks(counts.of_genes):
        solution[rows] = model.maximise(entries(Y, counts.log_factors[None, :]), theta[rows])
    return found._replace(intercept=solution[:, 0], V=solution[:, 1:])


def fit_cells(X, log_factors, found, penalty, start=None):
    """Factors (n_cells, n_latent) of cells with counts ``X``: every cell regressed on the loadings of the genes."""
    precision = penalty * torch.eye(found.V.shape[1], dtype=torch.float64)
    model = cell_model(found, precision)
    solution = torch.empty(X.shape[0], found.V.shape[1], dtype=torch.float64)
    for rows, Y in row_chunks(X):
        data = entries(Y, log_factors[rows, None])
        solution[rows] = model.maximise(data, first_guess(data, found, precision) if start is None else start[rows])
    return solution


def first_guess(data, found, precision):
    """Factors (P, n_latent) by least squares on the logarithms of the counts, weighted as at a fit that meets them.

    Where generalised linear models usually start. From zero the first step of Fisher scoring would go as far as a
    count exceeds its rate, e^100 for a hundred times, and a negative binomial comes back from there one e at a time.
    """
    y, log_factor = data.unbind(2)
    met = y + 0.5
    weight = met if found.log_theta is None else met / (1 + met / np.exp(found.log_theta))
    target = met.log() - log_factor - found.intercept
    squares = torch.einsum("pg,gk,gl->pkl", weight, found.V, found.V) + precision
    return torch.linalg.solve(squares, (weight * target) @ found.V)


def fit_theta(counts, found):
    """Move the common size to the maximum near by; log theta has a standard normal prior, as in the original."""

    def loss(log_theta):
        return -total_loglik(counts, found._replace(log_theta=log_theta)) + 0.5 * log_theta**2

    here = found.log_theta
    bounds = here - STEP_LOG_THETA, here + STEP_LOG_THETA
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return found._replace(log_theta=float(best.x)) if best.fun < loss(here) else found


def balanced(found):
    """The same rates with the smallest penalty: U has mean zero, and U and V orthogonal columns of the same lengths."""
    mean = found.U.mean(0)
    basis_u, in_u = torch.linalg.qr(found.U - mean)
    basis_v, in_v = torch.linalg.qr(found.V)
    left, values, right = torch.linalg.svd(in_u @ in_v.T)
    root = values.sqrt()
    return found._replace(
        intercept=found.intercept + found.V @ mean, U=basis_u @ left * root, V=basis_v @ right.T * root
    )


def objective(counts, found, penalty):
    """Penalised log-likelihood, nats over all cells."""
    value = total_loglik(counts, found) - 0.5 * penalty * float(found.U.square().sum() + found.V.square().sum())
    return value if found.log_theta is None else value - 0.5 * found.log_theta**2


def total_loglik(counts, found):
    """Log-likelihood of all counts at their factors, nats."""
    model, total = cell_model(found), -counts.log_factorials
    for rows, Y in row_chunks(counts.of_cells):
        total += float(model.value(entries(Y, counts.log_factors[rows, None]), found.U[rows]).sum())
    return total + _gamma_terms(counts.values, found.log_theta) @ counts.times


def loglik_of_cells(X, log_factors, found, U):
    """Log-likelihood (n_cells,) of counts ``X`` at factors ``U``, nats."""
    model, parts = cell_model(found), []
    for rows, Y in row_chunks(X):
        parts.append(model.value(entries(Y, log_factors[rows, None]), U[rows]))
    return torch.cat(parts).numpy() + constant_of_cells(X, found.log_theta)


def constant_of_cells(X, log_theta):
    """What the log-likelihood of each cell has besides the terms with its rates, (n_cells,) nats."""
    terms = X.astype(np.float64)
    terms.data = _gamma_terms(X.data, log_theta) - gammaln(X.data + 1.0)
    return np.asarray(terms.sum(axis=1)).ravel()


def _gamma_terms(y, log_theta):
    """Of a count above zero: log Γ(y + theta) - log Γ(theta) - y log theta, 0 for Poisson; `_nb` has the rest."""
    if log_theta is None:
        return np.zeros(len(y))
    theta = np.exp(log_theta)
    return gammaln(y + theta) - gammaln(theta) - y * log_theta


def cell_model(found, precision=None):
    """Regressions of cells on the loadings; without ``precision`` (n_latent, n_latent) there is no penalty."""
    n_latent = found.V.shape[1]
    precision = torch.zeros(n_latent, n_latent, dtype=torch.float64) if precision is None else precision
    return regressions(found.V, found.intercept, precision, found.log_theta)


def regressions(design, offset, precision, log_theta):
    predictor = Predictor(design, list(range(design.shape[1])), offset)
    if log_theta is None:
        return Regressions(_poisson, _poisson_slopes, [predictor], precision)
    return Regressions(
        partial(_nb, log_theta=log_theta), partial(_nb_slopes, log_theta=log_theta), [predictor], precision
    )


def entries(Y, log_factors):
    """Counts (P, m) with the logarithms of the size factors that belong to them, (P, m, 2)."""
    return torch.stack([Y, log_factors.expand_as(Y)], dim=2)


def _poisson(pairs, eta):
    y, log_factor = pairs.unbind(2)
    log_mu = eta + log_factor
    return y * log_mu - log_mu.exp()


def _poisson_slopes(pairs, eta):
    y, log_factor = pairs.unbind(2)
    mu = (eta + log_factor).exp()
    return [y - mu], [mu]


def _nb(pairs, eta, log_theta):
    """y log(mu) - (y + theta) log(1 + mu / theta): what depends on the rate mu (`_gamma_terms` has the rest)."""
    y, log_factor = pairs.unbind(2)
    log_mu = eta + log_factor
    return y * log_mu - (y + np.exp(log_theta)) * torch.nn.functional.softplus(log_mu - log_theta)


def _nb_slopes(pairs, eta, log_theta):
    """Gradient, and the expected curvature (Fisher scoring), which is positive wherever it is asked for."""
    y, log_factor = pairs.unbind(2)
    share = torch.sigmoid(eta + log_factor - log_theta)  # mu / (mu + theta)
    theta = np.exp(log_theta)
    return [y - (y + theta) * share], [theta * share]
