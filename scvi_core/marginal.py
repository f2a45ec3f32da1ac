"""Importance sampling of a marginal likelihood, for many cells at once."""

import math

import numpy as np
import torch
from scipy.special import gammaln

PROPOSAL_DF = 10.0
ROUNDS, ROUND_DRAWS = 10, 200  # of adapting a proposal
MIN_EFFECTIVE = 0.2  # of the draws of a round: the weights are flattened until so many count


class Proposal:
    """Multivariate t distributions, one for each cell.

    Parameters
    ----------
    centre : tensor (n_cells, q)
        Where the draws of each cell are centred: best a maximum of its log joint, or the mean of its posterior.
    root : tensor (n_cells, q, q)
        ``root root'`` is the scale of the draws: best the inverse curvature there, or the covariance.
    """

    def __init__(self, centre, root, df=PROPOSAL_DF):
        q = centre.shape[1]
        self.centre, self.root, self.df = centre, root, df
        self._inverse = torch.linalg.inv(root)
        constant = float(gammaln((df + q) / 2) - gammaln(df / 2) - q / 2 * np.log(df * np.pi))
        self._constant = constant - torch.linalg.slogdet(root)[1]

    def draw(self, rng):
        """One draw for each cell, (n_cells, q)."""
        normal = torch.from_numpy(rng.standard_normal(self.centre.shape)).to(self.centre)
        scale = torch.from_numpy(self.df / rng.chisquare(self.df, len(self.centre))).to(self.centre)
        return self.centre + (self.root @ normal[:, :, None])[:, :, 0] * scale.sqrt()[:, None]

    def log_density(self, z):
        """Log density of each cell's distribution at its row of ``z``, (n_cells,)."""
        distance = ((self._inverse @ (z - self.centre)[:, :, None])[:, :, 0] ** 2).sum(1)
        return self._constant - (self.df + z.shape[1]) / 2 * torch.log1p(distance / self.df)


def sampled_marginal(log_joint, proposals, n_samples, rng):
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
    centre = proposals[0].centre
    log_weights = torch.empty(n_samples, len(centre), dtype=torch.float64, device=centre.device)
    for k in range(n_samples):
        draw = proposals[k % len(proposals)].draw(rng)
        mixture = torch.stack([proposal.log_density(draw) for proposal in proposals]).logsumexp(0)
        log_weights[k] = log_joint(draw) - mixture + math.log(len(proposals))
    return tuple(each.cpu().numpy() for each in log_mean(log_weights))


def log_mean(log_weights):
    """Logarithm of the mean weight over the draws (first axis), and its standard error by the delta method."""
    n = len(log_weights)
    estimate = log_weights.logsumexp(0) - math.log(n)
    relative = (log_weights - estimate).exp()  # weights over their mean
    return estimate, relative.std(0) / math.sqrt(n) if n > 1 else torch.full_like(estimate, math.nan)


def adapted(log_joint, proposal, rng):
    """A proposal with about the mean and covariance of p(z | x), found from draws of the given one.

    Population Monte Carlo (Cappé et al., J Comput Graph Stat 13:907, 2004): in each round every cell takes the
    weighted mean and covariance of draws of its proposal, correlations a little shrunk. As long as a few draws carry
    all the weight, the weights are raised to a power below one, the largest that leaves `MIN_EFFECTIVE` of the draws,
    so that a proposal far off walks towards the posterior in place of collapsing onto its luckiest draw. What is
    sampled from the result is independent of the draws made here.

    Parameters
    ----------
    log_joint : callable
        As in `sampled_marginal`.
    proposal : Proposal
        Where to start. Of a posterior with several modes the ones near by are found, and one that is many deviations
        away may not be reached in `ROUNDS`.
    rng : numpy.random.Generator

    Returns
    -------
    Proposal
    """
    q = proposal.centre.shape[1]
    effective = MIN_EFFECTIVE * ROUND_DRAWS
    trust = effective / (effective + q)  # in correlations: so few draws would make some by chance
    for _ in range(ROUNDS):
        draws = torch.stack([proposal.draw(rng) for _ in range(ROUND_DRAWS)])
        log_weights = torch.stack([log_joint(draw) - proposal.log_density(draw) for draw in draws])
        weights = (_power(log_weights, effective) * log_weights).softmax(0)
        draws -= proposal.centre
        covariance = torch.einsum("kn,kni,knj->nij", weights, draws, draws)  # about the old centre: longer on the way
        centre = proposal.centre + torch.einsum("kn,kni->ni", weights, draws)
        variance = torch.diag_embed(torch.diagonal(covariance, dim1=1, dim2=2))
        proposal = Proposal(centre, torch.linalg.cholesky(trust * covariance + (1 - trust) * variance))
    return proposal


def _power(log_weights, effective):
    """The largest power, at most one, of each cell's weights that leaves so many effective draws."""
    low, high = torch.full_like(log_weights[0], -50.0), torch.zeros_like(log_weights[0])
    for _ in range(20):
        middle = (low + high) / 2
        powered = middle.exp() * log_weights
        enough = 2 * powered.logsumexp(0) - (2 * powered).logsumexp(0) >= math.log(effective)
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return low.exp()  # of weights that need no flattening one but for 5e-5
