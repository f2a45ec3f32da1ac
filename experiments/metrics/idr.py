"""Irreproducible discovery rate: how far two rankings of the same genes agree (Li, Brown, Huang and Bickel 2011)."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, ndtr
from scipy.stats import rankdata

GRID_POINTS = 1000  # of the interpolated quantile function, as in R's idr


class IDR(NamedTuple):
    """A fitted copula mixture."""

    p: float  # share of reproducible genes: the "mixture weight" that the paper reports
    rho: float  # correlation of the two rankings among them
    mu: float  # their mean on the latent scale
    sigma: float  # their standard deviation there
    local_idr: np.ndarray  # (n_genes,) posterior probability of being irreproducible
    idr: np.ndarray  # (n_genes,) expected rate of irreproducible genes among those at least as reproducible
    loglik: np.ndarray  # (n_rounds,) log-likelihood of the pseudo-data after each round, nats


def fit_idr(*, scores_a, scores_b, mu=1.0, sigma=0.5, rho=0.5, p=0.1, tolerance=1e-3, max_rounds=20):
    """Fit the two-component Gaussian copula mixture to two scores of the same genes.

    Only the ranks enter. A gene is reproducible with probability ``p``; its latent pair is then normal with mean
    (mu, mu), variance sigma^2 and correlation rho, and otherwise standard normal without correlation. The marginal
    ranks are turned into latent values by the quantile function of the mixture, which changes with the parameters:
    rounds of expectation maximisation at fixed latent values alternate with new latent values.

    The procedure is that of ``est.IDR`` in the R package idr 1.3, so also its traits: the log-likelihood may fall
    from round to round, the answer depends on the start, and a tight tolerance can end at p = 1. The defaults are the
    start and the tolerances of the paper's code.

    Parameters
    ----------
    scores_a, scores_b : arrays, shape (n_genes,)
        Finite scores, larger = stronger.
    mu, sigma, rho, p : float
        Start of the iteration.
    tolerance : float
        The inner and the outer iteration end when the log-likelihood changes by less than this share of its size.
    max_rounds : int
        The outer iteration ends after ``max_rounds + 1`` rounds.

    Returns
    -------
    IDR

    Raises
    ------
    ValueError
        The scores differ in length, are not finite or are all the same; or the reproducible component collapses onto
        a point or a line, as with two rankings that agree perfectly.
    """
    x = [np.asarray(scores, dtype=np.float64) for scores in (scores_a, scores_b)]
    if x[0].ndim != 1 or x[0].shape != x[1].shape:
        raise ValueError(f"The scores have shapes {x[0].shape} and {x[1].shape}: pass two vectors over the same genes.")
    for name, scores in zip(("scores_a", "scores_b"), x, strict=True):
        if not np.isfinite(scores).all():
            raise ValueError(f"{name} has {(~np.isfinite(scores)).sum()} values that are not finite: drop those genes.")
        if len(scores) < 2 or np.ptp(scores) == 0:
            raise ValueError(f"{name} does not rank the genes: pass at least two different values.")
    u = np.array([_margin(scores) for scores in x])  # (2, genes)
    parameters = mu, sigma, rho, p
    z = _latent(u, *parameters)
    loglik, old = [], None
    for _ in range(max_rounds + 1):
        parameters, reproducible = _expectation_maximisation(z, parameters, tolerance)
        z = _latent(u, *parameters)
        loglik.append(_loglik(z, *parameters))
        if old is not None and abs(loglik[-1] - old) < tolerance * (1 + abs(old)):
            break
        old = loglik[-1]
    mu, sigma, rho, p = parameters
    local_idr = 1 - reproducible
    order = np.sort(local_idr)
    at_most = np.searchsorted(order, local_idr, side="right")  # genes with a local idr no larger
    return IDR(p, rho, mu, sigma, local_idr, np.cumsum(order)[at_most - 1] / at_most, np.array(loglik))


def _margin(scores):
    """Return the share of genes that score no higher, times n / (n + 1) to stay below 1."""
    return rankdata(scores, method="max") / (len(scores) + 1)


def _latent(u, mu, sigma, rho, p):
    """Return the quantiles of the marginal mixture at ``u``, by linear interpolation between grid points."""
    grid = np.linspace(min(-3, mu - 3 * sigma), max(3, mu + 3 * sigma), GRID_POINTS)
    return np.interp(u, p * ndtr((grid - mu) / sigma) + (1 - p) * ndtr(grid), grid)


def _log_densities(z, mu, sigma, rho):
    """Return the log-densities of the reproducible and the irreproducible component, each (n_genes,)."""
    a, b = (z - mu) / sigma
    quadratic = (a**2 - 2 * rho * a * b + b**2) / (1 - rho**2)
    reproducible = -np.log(2 * np.pi) - 2 * np.log(sigma) - np.log1p(-(rho**2)) / 2 - quadratic / 2
    return reproducible, -np.log(2 * np.pi) - (z**2).sum(axis=0) / 2


def _loglik(z, mu, sigma, rho, p):
    log_f1, log_f0 = _log_densities(z, mu, sigma, rho)
    with np.errstate(divide="ignore"):  # p = 1 is a possible end
        return np.logaddexp(np.log(p) + log_f1, np.log1p(-p) + log_f0).sum()


def _expectation_maximisation(z, parameters, tolerance):
    """Return the maximising (mu, sigma, rho, p) at fixed ``z`` and the last posterior weights, (n_genes,)."""
    old = None
    while True:
        log_f1, log_f0 = _log_densities(z, *parameters[:3])
        e = expit(logit(parameters[3]) + log_f1 - log_f0)  # posterior probability of being reproducible
        total = e.sum()
        mu = (e * z).sum() / (2 * max(total, 1e-300))
        centred = z - mu
        square = (e * centred**2).sum()
        rho = 2 * (e * centred[0] * centred[1]).sum() / max(square, 1e-300)
        parameters = mu, np.sqrt(square / (2 * max(total, 1e-300))), rho, total / z.shape[1]
        if not (parameters[1] > 1e-12 and abs(rho) < 1 - 1e-12):
            raise ValueError(
                f"The likelihood has no maximum for these rankings: the reproducible component collapsed to sigma = "
                f"{parameters[1]:.3g}, rho = {rho:.3g}. Give another start, or score these rankings some other way."
            )
        loglik = _loglik(z, *parameters)
        if old is not None and abs(loglik - old) < tolerance * (1 + abs(old)):
            return parameters, e
        old = loglik
