"""Importance sampling of a marginal likelihood, for many cells at once."""

import numpy as np
import torch
from scipy.special import gammaln
from tqdm import tqdm

PROPOSAL_DF = 10.0


def sampled_marginal(log_joint, mode, root, n_samples, rng, verbose=False):
    """Estimate ``log p(x) = log integral p(x, z) dz`` of each cell from draws of a t distribution around a mode.

    Parameters
    ----------
    log_joint : callable
        ``log_joint(z)`` is log p(x, z) of each cell, a tensor (n_cells,), at latent variables (n_cells, q).
    mode : tensor (n_cells, q)
        Where the draws of each cell are centred: best a maximum of its ``log_joint``.
    root : tensor (n_cells, q, q)
        ``root root'`` is the scale of the draws: best the inverse curvature at the mode.
    n_samples : int
        Draws for each cell, at least 2.
    rng : numpy.random.Generator

    Returns
    -------
    loglik : array (n_cells,), nats
        Log of an unbiased estimate of p(x).
    standard_error : array (n_cells,), nats
        By the delta method: standard error of the weights over their mean.
    """
    if n_samples < 2:
        raise ValueError(f"n_samples is {n_samples}: a standard error needs at least 2 draws.")
    log_weights = torch.empty(n_samples, len(mode), dtype=torch.float64)
    for k in tqdm(range(n_samples), desc="marginal log-likelihood", leave=False, disable=not verbose):
        draw, log_proposal = draw_t(mode, root, rng)
        log_weights[k] = log_joint(draw) - log_proposal
    loglik = log_weights.logsumexp(0) - np.log(n_samples)
    relative = (log_weights - loglik).exp()  # weights over their mean
    return loglik.numpy(), (relative.std(0) / np.sqrt(n_samples)).numpy()


def draw_t(mode, root, rng, df=PROPOSAL_DF):
    """One multivariate t draw per row around ``mode`` (P, q) with scale ``root root'``, and its log density (P,)."""
    P, q = mode.shape
    normal = torch.from_numpy(rng.standard_normal((P, q)))
    scale = torch.from_numpy(df / rng.chisquare(df, P))
    draw = mode + (root @ normal[:, :, None])[:, :, 0] * scale.sqrt()[:, None]
    constant = gammaln((df + q) / 2) - gammaln(df / 2) - q / 2 * np.log(df * np.pi)
    distance = (normal**2).sum(1) * scale / df
    return draw, constant - torch.linalg.slogdet(root)[1] - (df + q) / 2 * torch.log1p(distance)
