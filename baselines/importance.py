"""Importance sampling of a marginal likelihood, for many cells at once."""

import numpy as np
import torch
from scipy.special import gammaln
from tqdm import tqdm

PROPOSAL_DF = 10.0


class Proposal:
    """Multivariate t distributions, one for each cell.

    Parameters
    ----------
    mode : tensor (n_cells, q)
        Where the draws of each cell are centred: best a maximum of its log joint.
    root : tensor (n_cells, q, q)
        ``root root'`` is the scale of the draws: best the inverse curvature at the mode.
    """

    def __init__(self, mode, root, df=PROPOSAL_DF):
        q = mode.shape[1]
        self.mode, self.root, self.df = mode, root, df
        self._inverse = torch.linalg.inv(root)
        constant = gammaln((df + q) / 2) - gammaln(df / 2) - q / 2 * np.log(df * np.pi)
        self._constant = constant - torch.linalg.slogdet(root)[1]

    def draw(self, rng):
        """One draw for each cell, (n_cells, q)."""
        normal = torch.from_numpy(rng.standard_normal(self.mode.shape))
        scale = torch.from_numpy(self.df / rng.chisquare(self.df, len(self.mode)))
        return self.mode + (self.root @ normal[:, :, None])[:, :, 0] * scale.sqrt()[:, None]

    def log_density(self, z):
        """Log density of each cell's distribution at its row of ``z``, (n_cells,)."""
        distance = ((self._inverse @ (z - self.mode)[:, :, None])[:, :, 0] ** 2).sum(1)
        return self._constant - (self.df + z.shape[1]) / 2 * torch.log1p(distance / self.df)


def sampled_marginal(log_joint, proposals, n_samples, rng, verbose=False):
    """Estimate ``log p(x) = log integral p(x, z) dz`` of each cell by deterministic mixture sampling.

    Draws of several proposals, each weighed by the mixture of all (Owen and Zhou, JASA 95:135, 2000).

    Parameters
    ----------
    log_joint : callable
        ``log_joint(z)`` is log p(x, z) of each cell, a tensor (n_cells,), at latent variables (n_cells, q).
    proposals : list of Proposal
        Drawn from in turn: a cell is safe where one of them suits it.
    n_samples : int
        Draws for each cell, at least 2.
    rng : numpy.random.Generator

    Returns
    -------
    loglik : array (n_cells,), nats
        Log of an unbiased estimate of p(x), where every proposal has as many draws.
    standard_error : array (n_cells,), nats
        By the delta method: standard error of the weights over their mean. With several proposals it is too large
        rather than too small: that each has its share of the draws is not counted.
    """
    if n_samples < 2:
        raise ValueError(f"n_samples is {n_samples}: a standard error needs at least 2 draws.")
    log_weights = torch.empty(n_samples, len(proposals[0].mode), dtype=torch.float64)
    for k in tqdm(range(n_samples), desc="marginal log-likelihood", leave=False, disable=not verbose):
        draw = proposals[k % len(proposals)].draw(rng)
        mixture = torch.stack([proposal.log_density(draw) for proposal in proposals]).logsumexp(0)
        log_weights[k] = log_joint(draw) - mixture + np.log(len(proposals))
    loglik = log_weights.logsumexp(0) - np.log(n_samples)
    relative = (log_weights - loglik).exp()  # weights over their mean
    return loglik.numpy(), (relative.std(0) / np.sqrt(n_samples)).numpy()
