"""Newton's method for many small regressions over one design at once, each with a step of its own."""

from itertools import combinations_with_replacement
from typing import NamedTuple

import torch

MAX_ROWS, CHUNK_ENTRIES = 256, 2**24  # regressions worked on side by side, and a bound on their dense data
TILE_ENTRIES = 2**15  # entries whose likelihood is evaluated at once: their temporaries stay in the cache
MAX_STEPS, MIN_LENGTH = 100, 1e-8


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
    log_prob : callable
        ``log_prob(y, *eta)`` is the log-likelihood of each entry; all arguments and the result (P, m).
    derivatives : callable
        Two lists, all (P, m): the gradients of ``log_prob`` in each eta, and minus its second derivatives in each
        pair of them (pairs (0, 0), (0, 1), (1, 1) for two predictors).
    predictors : list of Predictor
    prior_precision : tensor (q, q)
    prior_mean : tensor (q,), optional
        Zero by default.
    """

    def __init__(self, log_prob, derivatives, predictors, prior_precision, prior_mean=None):
        self.log_prob, self.derivatives = log_prob, derivatives
        self.predictors = predictors
        self.prior_precision = prior_precision
        self.prior_mean = torch.zeros_like(prior_precision[0]) if prior_mean is None else prior_mean

    def value(self, Y, theta):
        """Penalised log-likelihood (P,) of the data ``Y`` (P, m) at parameters ``theta`` (P, q)."""
        difference = theta - self.prior_mean
        value = -0.5 * (difference @ self.prior_precision * difference).sum(1)
        for tile in _tiles(Y):
            value += self.log_prob(Y[:, tile], *(eta(theta, tile) for eta in self.predictors)).sum(1)
        return value

    def slope(self, Y, theta):
        """Gradient of `value` in theta (P, q), and minus its Hessian (P, q, q)."""
        pairs = [_Pair(a, b) for a, b in combinations_with_replacement(self.predictors, 2)]
        gradients, curvatures = [0.0] * len(self.predictors), [0.0] * len(pairs)
        for tile in _tiles(Y):
            firsts, seconds = self.derivatives(Y[:, tile], *(eta(theta, tile) for eta in self.predictors))
            for i, eta in enumerate(self.predictors):
                gradients[i] = gradients[i] + firsts[i] @ eta.design[tile]
            for i, pair in enumerate(pairs):
                curvatures[i] = curvatures[i] + seconds[i] @ pair.products(tile)

        gradient = (self.prior_mean - theta) @ self.prior_precision
        curvature = self.prior_precision.repeat(len(theta), 1, 1)
        for eta, part in zip(self.predictors, gradients, strict=True):
            gradient[:, eta.index] += part
        for pair, sums in zip(pairs, curvatures, strict=True):
            (a, b), part = pair.predictors, sums[:, pair.places]
            curvature[:, torch.tensor(a.index)[:, None], b.index] += part
            if a is not b:
                curvature[:, torch.tensor(b.index)[:, None], a.index] += part.mT
        return gradient, curvature

    def fit(self, X, theta):
        """Parameters (n, q) that `maximise` for the rows of the CSR matrix ``X`` (n, m), starting from ``theta``."""
        solution = torch.empty_like(theta)
        for rows, Y in row_chunks(X):
            solution[rows] = self.maximise(Y, theta[rows])
        return solution

    def maximise(self, Y, theta, tol=1e-6):
        """Parameters (P, q) at a maximum of `value` for the data ``Y`` (P, m), starting from ``theta``.

        A step that does not improve its regression is halved. The step that promises to gain less than ``tol`` of
        the absolute value is a regression's last: what it leaves to gain is of higher order.
        """
        solution, running = theta.clone(), torch.arange(len(theta))
        value = self.value(Y, theta)
        length = torch.ones_like(value)
        for _ in range(MAX_STEPS):
            gradient, curvature = self.slope(Y, theta)
            step = newton_step(gradient, curvature)
            trial = theta + length[:, None] * step
            new_value = self.value(Y, trial)
            better = new_value > value  # False for NaN
            theta, value = torch.where(better[:, None], trial, theta), torch.where(better, new_value, value)
            length = torch.where(better, 1.0, length / 2)

            solution[running] = theta
            promised = 0.5 * (step * gradient).sum(1)
            is_running = (promised > tol * value.abs()) & (length > MIN_LENGTH)
            if not is_running.any():
                break
            if not is_running.all():
                running, Y, theta, value, length = (each[is_running] for each in (running, Y, theta, value, length))
        return solution


class _Pair:
    """Products of the columns of two designs; of one design with itself each is taken once.

    Attributes
    ----------
    places : tensor of int (k_a, k_b)
        Which of the products is that of a column of the one and a column of the other.
    """

    def __init__(self, a, b):
        self.predictors, shape = (a, b), (len(a.index), len(b.index))
        if a.design is b.design:
            self.columns = torch.triu_indices(*shape)
            self.places = torch.empty(shape, dtype=torch.int64)
            self.places[*self.columns] = self.places.T[*self.columns] = torch.arange(self.columns.shape[1])
        else:
            self.columns = torch.cartesian_prod(*map(torch.arange, shape)).T
            self.places = torch.arange(self.columns.shape[1]).view(shape)

    def products(self, tile):
        (a, b), (i, j) = self.predictors, self.columns
        return a.design[tile][:, i] * b.design[tile][:, j]


def log1p_exp(x):
    """log(1 + exp(x)) to full precision; the log1p of PyTorch's softplus is not vectorised, and slow about x = 0."""
    u = x.abs().neg_().exp_()
    q = 1 + u
    lost = (q - 1).neg_().add_(u) / q  # what rounding took from q, to first order
    return q.log().add_(lost).add_(x.clamp(min=0))


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


def row_chunks(X, entries=CHUNK_ENTRIES):
    """Yield (slice of rows, dense float64 tensor of them) over the rows of the CSR matrix ``X``."""
    step = max(1, min(MAX_ROWS, entries // X.shape[1]))
    for start in range(0, X.shape[0], step):
        rows = slice(start, min(start + step, X.shape[0]))
        yield rows, torch.from_numpy(X[rows].toarray().astype(float))


def _tiles(Y):
    """Slices of columns that cut ``Y`` into tiles."""
    width = max(1, TILE_ENTRIES // len(Y))
    return [slice(start, start + width) for start in range(0, Y.shape[1], width)]
