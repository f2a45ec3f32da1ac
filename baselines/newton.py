"""Newton's method for many small regressions over one design at once, each with a step of its own (for ZINB-WaVE)."""

from itertools import combinations_with_replacement
from typing import NamedTuple

import torch

MAX_ROWS, CHUNK_ENTRIES = 256, 2**24  # regressions worked on side by side, and a bound on their dense data
TILE_ENTRIES = 2**15  # entries whose likelihood is evaluated at once: their temporaries stay in the cache
MAX_STEPS = 100


class Predictor(NamedTuple):
    """A linear predictor, ``offset + design @ theta[index]``, of the m entries of each regression."""

    design: torch.Tensor  # (m, k)
    index: list  # k positions in theta
    offset: torch.Tensor  # (m,)

    def __call__(self, theta, entries=slice(None)):
        """The predictor (P, m) of the regressions with parameters ``theta`` (P, q)."""
        return self.offset[entries] + theta[:, self.index] @ self.design[entries].T


class Regressions:
    """Regressions with parameters theta (q,) each, that share predictors and a Gaussian prior.

    Parameters
    ----------
    loss : callable
        ``loss(y, *eta)`` with all arguments (P, m) returns the log-likelihood summed over m, (P,), then two lists:
        its gradients in each eta, and minus its second derivatives in each pair of them (pairs (0, 0), (0, 1),
        (1, 1) for two predictors), all (P, m).
    predictors : list of Predictor
    prior_precision : tensor (q, q)
    prior_mean : tensor (q,), optional
        Zero by default.
    """

    def __init__(self, loss, predictors, prior_precision, prior_mean=None):
        self.loss = loss
        self.predictors = predictors
        self.prior_precision = prior_precision
        self.prior_mean = torch.zeros_like(prior_precision[0]) if prior_mean is None else prior_mean
        self.pairs = list(combinations_with_replacement(predictors, 2))

    def objective(self, Y, theta):
        """Penalised log-likelihood (P,), its gradient (P, q) and minus its Hessian (P, q, q).

        ``Y`` (P, m) holds the data of P regressions and ``theta`` (P, q) their parameters.
        """
        loglik = torch.zeros(len(Y), dtype=Y.dtype)
        slopes, curves = [0.0] * len(self.predictors), [0.0] * len(self.pairs)
        width = max(1, TILE_ENTRIES // len(Y))
        for start in range(0, Y.shape[1], width):
            tile = slice(start, start + width)
            value, firsts, seconds = self.loss(Y[:, tile], *(eta(theta, tile) for eta in self.predictors))
            loglik += value
            for i, eta in enumerate(self.predictors):
                slopes[i] = slopes[i] + firsts[i] @ eta.design[tile]
            for i, (a, b) in enumerate(self.pairs):
                products = a.design[tile, :, None] * b.design[tile, None, :]
                curves[i] = curves[i] + seconds[i] @ products.flatten(1)

        pull = (self.prior_mean - theta) @ self.prior_precision
        value = loglik + 0.5 * (pull * (theta - self.prior_mean)).sum(1)
        gradient, curvature = pull, self.prior_precision.repeat(len(theta), 1, 1)
        for eta, slope in zip(self.predictors, slopes, strict=True):
            gradient[:, eta.index] += slope
        for (a, b), curve in zip(self.pairs, curves, strict=True):
            block = curve.unflatten(1, (len(a.index), len(b.index)))
            curvature[:, torch.tensor(a.index)[:, None], b.index] += block
            if a is not b:
                curvature[:, torch.tensor(b.index)[:, None], a.index] += block.mT
        return value, gradient, curvature

    def fit(self, X, theta):
        """Parameters (n, q) that maximise the objective for the rows of the CSR matrix ``X`` (n, m)."""
        solution = torch.empty_like(theta)
        for rows, Y in row_chunks(X):
            solution[rows] = self.maximise(Y, theta[rows])
        return solution

    def maximise(self, Y, theta, tol=1e-8):
        """Parameters (P, q) at the maximum of the objective, starting from ``theta``.

        A step that does not improve its regression is halved. A regression is done when Newton's step promises a
        gain below ``tol`` of the absolute value of its objective.
        """
        solution, running = theta.clone(), torch.arange(len(theta))
        value, gradient, curvature = self.objective(Y, theta)
        length = torch.ones_like(value)
        for _ in range(MAX_STEPS):
            step = newton_step(gradient, curvature)
            unfinished = (0.5 * (step * gradient).sum(1) > tol * value.abs()) & (length > 1e-8)
            if not unfinished.all():
                solution[running] = theta
                running, Y, theta, step, length, value, gradient, curvature = (
                    each[unfinished] for each in (running, Y, theta, step, length, value, gradient, curvature)
                )
                if not len(running):
                    break
            trial = theta + length[:, None] * step
            new_value, new_gradient, new_curvature = self.objective(Y, trial)
            better = new_value > value  # False for NaN
            length = torch.where(better, 1.0, length / 2)
            theta = torch.where(better[:, None], trial, theta)
            value = torch.where(better, new_value, value)
            gradient = torch.where(better[:, None], new_gradient, gradient)
            curvature = torch.where(better[:, None, None], new_curvature, curvature)
        solution[running] = theta
        return solution


def newton_step(gradient, curvature):
    """Solve ``curvature @ step = gradient``; where curvature is not positive definite, with absolute eigenvalues."""
    factor, failed = torch.linalg.cholesky_ex(curvature)
    step = torch.cholesky_solve(gradient[:, :, None], factor)[:, :, 0]
    bad = failed > 0
    if bad.any():
        root = inverse_root(curvature[bad])
        step[bad] = (root @ (root.mT @ gradient[bad, :, None]))[:, :, 0]
    return step


def inverse_root(curvature):
    """``R`` (P, q, q) with ``R R' = curvature^-1``, the eigenvalues of ``curvature`` taken as absolute values."""
    values, vectors = torch.linalg.eigh(curvature)
    values = values.abs()
    values = torch.maximum(values, 1e-8 * values.amax(1, keepdim=True))
    return vectors * values.rsqrt()[:, None, :]


def row_chunks(X):
    """Yield (slice of rows, dense float64 tensor of them) over the rows of the CSR matrix ``X``."""
    step = max(1, min(MAX_ROWS, CHUNK_ENTRIES // X.shape[1]))
    for start in range(0, X.shape[0], step):
        rows = slice(start, min(start + step, X.shape[0]))
        yield rows, torch.from_numpy(X[rows].toarray().astype(float))
