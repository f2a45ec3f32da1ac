"""Gibbs sampler of BISCUIT's model: a Dirichlet process mixture of Gaussians with two scalings per cell.

Log expression x_j (d genes) of cell j given its cluster k = z_j (Prabhakaran, Azizi, Carr and Pe'er 2016, section 4):

    x_j ~ N(alpha_j m_k, beta_j Sigma_k)            z ~ Chinese restaurant process(concentration)
    alpha_j ~ N(alpha_mean, alpha_var)              beta_j ~ inverse-gamma(beta_shape, beta_rate)
    Sigma_k ~ inverse-Wishart(scale, df)            m_k | Sigma_k ~ N(mean, Sigma_k / kappa)

The normal-inverse-Wishart prior of the last line is that of the authors' program; under it a new cluster has a closed
marginal, a Student t. Every conditional below is exact, so that the chain leaves the posterior invariant.

Within a cluster, (alpha, m) -> (c alpha, m / c) and (beta, Sigma) -> (c beta, Sigma / c) leave the likelihood as it
is: the priors on the scalings, which every cell of the cluster shares, are what fixes the scale.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import gammaln, multigammaln

MOST_AHEAD = 512  # cells whose labels are drawn at once


class Prior(NamedTuple):
    mean: np.ndarray  # (d,)
    kappa: float
    scale: np.ndarray  # (d, d)
    df: float
    alpha_mean: float
    alpha_var: float
    beta_shape: float
    beta_rate: float
    concentration: float


class State(NamedTuple):
    """What the chain remembers: labels 0..K-1 without gaps and both scalings, each (n_cells,)."""

    z: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray


class Summary(NamedTuple):
    """What the posterior of the moments of a cluster takes from its cells; the sums of two clusters add up.

    Those of several clusters in one have an axis more in front.
    """

    n: int
    weight: float  # sum alpha^2 / beta
    first: np.ndarray  # sum alpha x / beta, (d,)
    second: np.ndarray  # sum x x' / beta, (d, d)
    log_beta: float  # sum log beta

    @classmethod
    def of(cls, x, alpha, beta):
        return cls(len(x), (alpha**2 / beta).sum(), (alpha / beta) @ x, (x.T / beta) @ x, np.log(beta).sum())

    @classmethod
    def stack(cls, summaries):
        return cls(*map(np.array, zip(*summaries, strict=True)))

    def join(self, other):
        return Summary(*(a + b for a, b in zip(self, other, strict=True)))


class Moments(NamedTuple):
    """Mean (d,) of a cluster and a root W (d, d) of its precision: inverse(Sigma) = W' W."""

    mean: np.ndarray
    root: np.ndarray


def sweep(rng, x, state, prior, scalings=True):
    """Draw everything once from its conditional; return the new state and the moments of its clusters.

    Parameters
    ----------
    rng : numpy.random.Generator
    x : array, shape (n_cells, d)
        Log expression.
    state : State
    prior : Prior
    scalings : bool
        Whether the scalings are drawn too, or stay as they are.

    Returns
    -------
    State, list of Moments
    """
    z, alpha, beta = state
    moments = [
        draw_moments(rng, *posterior(Summary.of(x[z == k], alpha[z == k], beta[z == k]), prior))
        for k in range(z.max() + 1)
    ]
    z, moments = _draw_labels(rng, x, z, alpha, beta, moments, prior)
    if not scalings:
        return State(z, alpha, beta), moments
    xx, xm, mm = (np.empty(len(x)) for _ in range(3))  # x'Px, x'Pm, m'Pm with the precision P of the own cluster
    for k, cluster in enumerate(moments):
        own = z == k
        xx[own], xm[own], mm[own] = _products(x[own], cluster)
    precision = 1 / prior.alpha_var + mm / beta
    centre = (prior.alpha_mean / prior.alpha_var + xm / beta) / precision
    alpha = centre + rng.standard_normal(len(x)) / np.sqrt(precision)
    distance = xx - 2 * alpha * xm + alpha**2 * mm
    beta = (prior.beta_rate + distance / 2) / rng.gamma(prior.beta_shape + x.shape[1] / 2, size=len(x))
    return State(z, alpha, beta), moments


def posterior(cells, prior):
    """Return mean, kappa, scale and degrees of freedom of the moments of a cluster given the Summary of its cells."""
    kappa = prior.kappa + cells.weight
    total, per_kappa = prior.kappa * prior.mean + cells.first, np.asarray(kappa)[..., None]
    square = total[..., :, None] * total[..., None, :] / per_kappa[..., None]
    scale = prior.scale + prior.kappa * np.outer(prior.mean, prior.mean) + cells.second - square
    return total / per_kappa, kappa, scale, prior.df + cells.n


def log_evidence(cells, prior):
    """Log-probability of the cells of a cluster given their scalings, the moments integrated out; nats.

    Of several clusters, where there are several in the summary.
    """
    d = len(prior.mean)
    _, kappa, scale, df = posterior(cells, prior)
    return (
        -cells.n * d / 2 * np.log(np.pi)
        - d / 2 * cells.log_beta
        + d / 2 * (np.log(prior.kappa) - np.log(kappa))
        + prior.df / 2 * np.linalg.slogdet(prior.scale)[1]
        - df / 2 * np.linalg.slogdet(scale)[1]
        + multigammaln(df / 2, d)
        - multigammaln(prior.df / 2, d)
    )


def draw_moments(rng, mean, kappa, scale, df):
    """Draw from the normal-inverse-Wishart distribution, by Bartlett's decomposition of the precision."""
    d = len(mean)
    bartlett = np.tril(rng.standard_normal((d, d)), -1)
    np.fill_diagonal(bartlett, np.sqrt(rng.chisquare(df - np.arange(d))))
    cholesky = np.linalg.cholesky(scale)
    root = solve_triangular(cholesky, bartlett, lower=True, trans="T").T
    return Moments(mean + np.linalg.solve(root, rng.standard_normal(d)) / np.sqrt(kappa), root)


def expected_moments(x, alpha, beta, prior):
    """Return the posterior means of the mean and of the covariance of a cluster given its cells, as Moments."""
    mean, _, scale, df = posterior(Summary.of(x, alpha, beta), prior)
    cholesky = np.linalg.cholesky(scale / (df - x.shape[1] - 1))
    return Moments(mean, solve_triangular(cholesky, np.eye(x.shape[1]), lower=True))


def merge_start(x, z, alpha, beta, prior):
    """Merge clusters, the best pair first, while the probability of labels and data grows.

    A greedy climb to a good place to start from: a chain that moves one cell at a time joins clusters very slowly.

    Returns
    -------
    labels (n_cells,), float
        The second is the log-probability of labels and data given the scalings, up to a term that depends on neither
        the labels nor the prior of the moments.
    """
    cells = {k: Summary.of(x[z == k], alpha[z == k], beta[z == k]) for k in np.unique(z)}

    def score(summary):  # the restaurant process gives a cluster of n cells concentration * (n - 1)!
        return log_evidence(summary, prior) + np.log(prior.concentration) + gammaln(summary.n)

    def gains_of(pairs):
        left, right = (Summary.stack([cells[k] for k in side]) for side in zip(*pairs, strict=True))
        joined = score(left.join(right))  # of all pairs at once
        return {(a, b): value - scores[a] - scores[b] for (a, b), value in zip(pairs, joined, strict=True)}

    scores = {k: score(summary) for k, summary in cells.items()}
    gains = gains_of(list(combinations(cells, 2))) if len(cells) > 1 else {}
    merged = z.copy()
    while gains and (best := max(gains.values())) > 0:
        a, b = next(pair for pair, value in gains.items() if value == best)
        merged[merged == b] = a
        cells[a] = cells[a].join(cells.pop(b))
        scores[a] += scores.pop(b) + best
        gains = {pair: value for pair, value in gains.items() if not {a, b} & set(pair)}
        gains |= gains_of([(a, c) for c in cells if c != a]) if len(cells) > 1 else {}
    return np.unique(merged, return_inverse=True)[1], sum(scores.values())


def _products(x, cluster):
    """Return x'Px and x'Pm per cell, (n_cells,), and m'Pm, with the precision P of the cluster."""
    xw, mw = x @ cluster.root.T, cluster.root @ cluster.mean
    return np.einsum("ij,ij->i", xw, xw), xw @ mw, mw @ mw


def log_density(x, alpha, beta, cluster):
    """Log-density of every cell in one cluster given its scalings, (n_cells,)."""
    xx, xm, mm = _products(x, cluster)
    distance = xx - 2 * alpha * xm + alpha**2 * mm
    return np.linalg.slogdet(cluster.root)[1] - x.shape[1] / 2 * np.log(2 * np.pi * beta) - distance / (2 * beta)


def log_marginal(x, alpha, beta, prior):
    """Log-density of every cell in a cluster of its own given its scalings: a Student t, (n_cells,)."""
    d = x.shape[1]
    df = prior.df - d + 1
    spread = beta + alpha**2 / prior.kappa  # the matrix of the t is spread * scale / df
    cholesky = np.linalg.cholesky(prior.scale)
    white = solve_triangular(cholesky, (x - np.outer(alpha, prior.mean)).T, lower=True)
    return (
        gammaln((df + d) / 2)
        - gammaln(df / 2)
        - d / 2 * np.log(np.pi * spread)
        - np.log(np.diag(cholesky)).sum()
        - (df + d) / 2 * np.log1p((white**2).sum(axis=0) / spread)
    )


def _draw_labels(rng, x, z, alpha, beta, moments, prior):
    """Draw the labels one after another (algorithm 2 of Neal 2000); return labels and moments without gaps."""
    z, moments = z.copy(), list(moments)
    sizes = np.bincount(z, minlength=len(moments)).astype(float)
    # The largest of log-weights with Gumbel noise is a draw in proportion to the weights.
    score = np.column_stack([log_density(x, alpha, beta, cluster) for cluster in moments])
    score += rng.gumbel(size=score.shape)
    new = np.log(prior.concentration) + log_marginal(x, alpha, beta, prior) + rng.gumbel(size=len(x))
    j, ahead = 0, MOST_AHEAD
    with np.errstate(divide="ignore"):  # an empty cluster has weight zero: its moments are forgotten
        while j < len(x):
            # Who stays leaves the sizes as they were: up to the next cell that moves all are drawn at once.
            own = z[j : j + ahead]
            rows = np.arange(len(own))
            log_weights = score[j : j + ahead] + np.log(sizes)
            log_weights[rows, own] = score[j + rows, own] + np.log(sizes[own] - 1)
            best = log_weights.argmax(axis=1)
            opens = new[j : j + ahead] > log_weights[rows, best]
            moving = opens | (best != own)
            first = int(moving.argmax())
            if not moving[first]:
                j, ahead = j + len(own), min(2 * ahead, MOST_AHEAD)
                continue
            j, ahead, k = j + first, min(2 * first + 8, MOST_AHEAD), best[first]
            if opens[first]:
                k = len(moments)
                moments.append(draw_moments(rng, *posterior(Summary.of(x[[j]], alpha[[j]], beta[[j]]), prior)))
                column = log_density(x, alpha, beta, moments[k]) + rng.gumbel(size=len(x))
                score, sizes = np.column_stack([score, column]), np.append(sizes, 0.0)
            sizes[z[j]] -= 1
            z[j] = k
            sizes[k] += 1
            j += 1
    kept, z = np.unique(z, return_inverse=True)
    return z, [moments[k] for k in kept]
