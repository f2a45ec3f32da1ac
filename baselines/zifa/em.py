"""The EM of ZIFA: posterior of the factors, expected complete log-likelihood, E-step and M-step (see `zifa`)."""

import random
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, least_squares
from sklearn.decomposition import FactorAnalysis

from ..shared.rounded import noise_floor

CHUNK_ENTRIES = 2**20  # entries of the dense slices in which the cells are worked through
DECAY_BOUNDS = (1e-8, 1e8)


class Parameters(NamedTuple):
    """The parameters of the model for D genes and K factors."""

    loadings: np.ndarray  # (D, K)
    mean: np.ndarray  # (D,)
    noise_sd: np.ndarray  # (D,)
    decay: float


class Moments(NamedTuple):
    """Sums over cells of the posterior moments of z: all that the M-step needs to know about the data."""

    n: int
    z: np.ndarray  # (K,)
    zz: np.ndarray  # (K, K)
    zero_n: np.ndarray  # (D,) number of zeros of each gene
    zero_z: np.ndarray  # (D, K) sums over the cells in which the gene is zero
    zero_zz: np.ndarray  # (D, K, K)
    y: np.ndarray  # (D,)
    y_squared: np.ndarray  # (D,)
    yz: np.ndarray  # (D, K)


def log_slices(X):
    """Yield (slice of rows, dense log(1 + counts) of these rows) over the cells of ``X``."""
    step = max(1, CHUNK_ENTRIES // X.shape[1])
    for start in range(0, X.shape[0], step):
        rows = slice(start, min(start + step, X.shape[0]))
        yield rows, np.log1p(X[rows].toarray().astype(float))


def random_blocks(n_cells, n_genes, n_blocks, seed):
    """Block of each gene in each cell, (n_cells, n_genes): the partitions of the original for the same seed."""
    rng = random.Random(seed)
    order = list(range(n_genes))
    position = np.minimum(np.arange(n_genes) // (n_genes // n_blocks), n_blocks - 1)
    blocks = np.empty((n_cells, n_genes), dtype=np.int32)
    for row in blocks:
        rng.shuffle(order)
        row[order] = position
    return blocks


def initialise(X, n_latent, single_noise=False):
    """Factor analysis of log(1 + X) gives A, mu, s; the share of zeros against the mean of the rest, the decay."""
    Y = X.astype(float).log1p()
    share_of_zeros = 1 - Y.getnnz(axis=0) / Y.shape[0]
    mean_of_positives = np.asarray(Y.sum(0))[0] / Y.getnnz(axis=0)
    factors = FactorAnalysis(n_latent, copy=False).fit(Y.toarray())
    noise_sd = np.sqrt(np.maximum(factors.noise_variance_, noise_floor(Y.shape[0])))
    curve = least_squares(lambda rate: np.exp(-rate * mean_of_positives**2) - share_of_zeros, 0.05, method="lm")
    return Parameters(
        factors.components_.T,
        factors.mean_,
        np.full_like(noise_sd, noise_sd.mean()) if single_noise else noise_sd,
        float(np.clip(curve.x[0], *DECAY_BOUNDS)),
    )


def posterior(Y, parameters, block=None):
    """Posterior moments of z and log-likelihood of ``Y`` (cells, D) = log(1 + counts).

    Parameters
    ----------
    block : bool array (cells, D), optional
        The genes to infer z from; all of them by default.

    Returns
    -------
    z : array (cells, K), E[z | y]
    covariance : array (cells, K, K), Cov[z | y]
    loglik : array (cells,), log p(y) in nats on the log scale
    """
    A, mean, noise_sd, decay = parameters
    K = A.shape[1]
    observed, residual = Y > 0, Y - mean
    weight = np.where(observed, 1 / noise_sd**2, 1 / (noise_sd**2 + 0.5 / decay))
    log_scale = np.where(observed, -0.5 * np.log(2 * np.pi * noise_sd**2), -0.5 * np.log1p(2 * decay * noise_sd**2))
    log_scale[observed] += log_detection(Y[observed], decay)
    if block is not None:
        weight, log_scale = weight * block, log_scale * block
    products = (A[:, :, None] * A[:, None, :]).reshape(-1, K * K)
    precision = np.eye(K) + (weight @ products).reshape(-1, K, K)
    covariance = np.linalg.inv(precision)
    pull = (weight * residual) @ A
    z = np.einsum("ckl,cl->ck", covariance, pull)
    loglik = (
        log_scale.sum(1)
        - 0.5 * (weight * residual**2).sum(1)
        + 0.5 * (pull * z).sum(1)
        - 0.5 * np.linalg.slogdet(precision)[1]
    )
    return z, covariance, loglik


def expression_at_zero(z, parameters):
    """E[x | y] (cells, D) of entries whose count is zero, from E[z | y] (cells, K): shrunk towards zero."""
    A, mean, noise_sd, decay = parameters
    return (z @ A.T + mean) / (1 + 2 * decay * noise_sd**2)


def log_detection(y, decay):
    """log(1 - exp(-decay y^2)): log-probability that an expression of ``y`` > 0 is seen."""
    return np.log(-np.expm1(-decay * y**2))


def e_step(X, parameters, blocks=None):
    """Posterior moments summed over the cells of counts ``X``, and the marginal log-likelihood.

    With ``blocks`` (n_cells, D), E[z] and E[zz'] are averaged over blocks, while the moments at the zeros of a gene
    come from the block that holds the gene; the second value is then a sum over blocks and no likelihood.
    """
    D, K = parameters.loadings.shape
    total = [0, np.zeros(K), np.zeros((K, K)), np.zeros(D), np.zeros((D, K)), np.zeros((D, K, K))]
    total += [np.zeros(D), np.zeros(D), np.zeros((D, K))]
    objective = 0.0
    for rows, Y in log_slices(X):
        masks = [None] if blocks is None else [blocks[rows] == b for b in np.unique(blocks)]
        z, zz, zero_z, zero_zz = 0.0, 0.0, 0.0, 0.0
        for mask in masks:
            block_z, covariance, loglik = posterior(Y, parameters, mask)
            block_zz = covariance + block_z[:, :, None] * block_z[:, None, :]
            zero = (Y == 0 if mask is None else (Y == 0) & mask).astype(float)
            zero_z += zero.T @ block_z
            zero_zz += (zero.T @ block_zz.reshape(-1, K * K)).reshape(D, K, K)
            z, zz = z + block_z / len(masks), zz + block_zz / len(masks)
            objective += loglik.sum()
        sums = (len(Y), z.sum(0), zz.sum(0), (Y == 0).sum(0), zero_z, zero_zz, Y.sum(0), (Y**2).sum(0), Y.T @ z)
        total = [a + b for a, b in zip(total, sums, strict=True)]
    return Moments(*total), objective


def m_step(X, moments, parameters, single_noise=False):
    """Parameters that maximise the expected complete log-likelihood of counts ``X`` given its moments."""
    A, mean, noise_sd, decay = parameters
    n, z, zz, zero_n, zero_z, zero_zz, y, y_squared, yz = moments
    c = 1 + 2 * decay * noise_sd**2
    # Sums over the zeros of each gene: E[x], E[x z], E[x^2].
    zz_a = np.einsum("dkl,dl->dk", zero_zz, A)
    a_z = (A * zero_z).sum(1)
    x = (a_z + mean * zero_n) / c
    xz = (zz_a + mean[:, None] * zero_z) / c[:, None]
    x_squared = ((A * zz_a).sum(1) + 2 * mean * a_z + mean**2 * zero_n) / c**2 + zero_n * noise_sd**2 / c
    # Linear regression of x (at zeros) and y (elsewhere) on (z, 1).
    gram = np.block([[zz, z[:, None]], [z[None, :], np.array([[n]])]])
    cross = np.column_stack([xz + yz, x + y])
    coefficients = np.linalg.solve(gram, cross.T).T
    variance = (x_squared + y_squared - (coefficients * cross).sum(1)) / n
    noise_sd = np.sqrt(np.maximum(variance, noise_floor(n)))
    if single_noise:
        noise_sd = np.full_like(noise_sd, noise_sd.mean())
    return Parameters(coefficients[:, :-1], coefficients[:, -1], noise_sd, best_decay(X, x_squared.sum()))


def best_decay(X, zero_x_squared):
    """Decay that maximises -decay * zero_x_squared + sum over counts > 0 of log(1 - exp(-decay y^2))."""
    values, times = np.unique(X.data, return_counts=True)
    y_squared = np.log1p(values) ** 2

    def slope(log_decay):
        scaled = np.exp(log_decay) * y_squared
        return (times * y_squared * np.exp(-scaled) / -np.expm1(-scaled)).sum() - zero_x_squared

    low, high = np.log(DECAY_BOUNDS)
    if slope(high) >= 0:
        return DECAY_BOUNDS[1]
    if slope(low) <= 0:
        return DECAY_BOUNDS[0]
    return float(np.exp(brentq(slope, low, high, xtol=1e-14)))


def complete_loglik(Y, parameters):
    """E[log p(z, x, dropout, y)] over the posterior (scVI paper, appendix E), (cells,) nats on the log scale.

    The terms of a zero sum to ``-1/2 - decay E[(a'z + mu)^2] / c``.
    """
    A, mean, noise_sd, decay = parameters
    K = A.shape[1]
    z, covariance, _ = posterior(Y, parameters)
    products = (A[:, :, None] * A[:, None, :]).reshape(-1, K * K)
    factor_mean = z @ A.T + mean
    factor_variance = covariance.reshape(-1, K * K) @ products.T
    observed = Y > 0
    terms = np.where(
        observed,
        -0.5 * ((Y - factor_mean) ** 2 + factor_variance) / noise_sd**2,
        -0.5 - decay * (factor_mean**2 + factor_variance) / (1 + 2 * decay * noise_sd**2),
    )
    terms[observed] += log_detection(Y[observed], decay)
    z_squared = (z**2).sum(1) + np.trace(covariance, axis1=1, axis2=2)
    prior = -0.5 * K * np.log(2 * np.pi) - 0.5 * z_squared
    return prior + terms.sum(1) - 0.5 * np.log(2 * np.pi * noise_sd**2).sum()
