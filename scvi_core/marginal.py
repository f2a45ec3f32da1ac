"""Importance sampling of a marginal likelihood, for many cells at once: of any model, then of scVI."""

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


def log_normal(value, mean, logvar):
    """Log-density of N(mean, exp(logvar)) at value, summed over the last axis."""
    return -0.5 * ((value - mean).square() / logvar.exp() + logvar + math.log(2 * math.pi)).sum(dim=-1)


class Joint:
    """log p(x, z, log l | s) of some cells as a function of their latent variables, z and, where it is latent, log l.

    Parameters
    ----------
    network : Network
    x : tensor (cells, genes)
        Counts.
    batch : tensor of int (cells,)
    likelihood : callable
        log p(x | z, l, s) of the cells, (cells,), at z and the logarithms of the scaling factors (cells, 1).

    Attributes
    ----------
    mean, logvar : tensors (cells, n_latent or one more)
        Those of q: where to look for these variables.
    """

    def __init__(self, network, x, batch, likelihood):
        q = network.encode(x, batch)
        parts = [(q.z_mean, q.z_logvar, torch.zeros_like(q.z_mean), torch.zeros_like(q.z_mean))]
        if q.l_mean is not None:
            prior = network.library_mean[batch, None], network.library_var[batch, None].log()
            parts.append((q.l_mean, q.l_logvar, *prior))
        self.mean, self.logvar, *self.prior = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        self.n_latent = network.arch.n_latent
        self.log_scale = network.scale(x) if q.l_mean is None else None
        self.likelihood = likelihood

    def __call__(self, u):
        """Nats per cell, (cells,), float64, at u (cells, n_latent or one more)."""
        u = u.to(self.mean.dtype)
        z, log_l = u[:, : self.n_latent], u[:, self.n_latent :]
        likelihood = self.likelihood(z, log_l if self.log_scale is None else self.log_scale)
        return likelihood.double() + log_normal(u, *self.prior)


def importance_weighted(joint, n_samples, generator):
    """Estimate log p(x | s) per cell by importance sampling from q, and the standard error of the estimate.

    log (1/K) sum_k p(x, z_k, l_k | s) / q(z_k, l_k | x, s): a lower bound in expectation, tight as K grows. The
    standard error is the delta method's; where a few samples carry all the weight it is too small, as the estimate is.

    Parameters
    ----------
    joint : Joint
    n_samples : int
    generator : torch.Generator

    Returns
    -------
    estimate, standard_error : tensors (cells,)
    """
    mean, logvar = joint.mean, joint.logvar
    log_weights = torch.empty(n_samples, len(mean), dtype=torch.float64, device=mean.device)
    for k in range(n_samples):
        u = mean + (0.5 * logvar).exp() * torch.randn(
            mean.shape, generator=generator, dtype=mean.dtype, device=mean.device
        )
        log_weights[k] = joint(u) - log_normal(u, mean, logvar)
    return log_mean(log_weights)


def adapted_marginal(joint, n_samples, rng):
    """Estimate log p(x | s) per cell by importance sampling, half of the draws around q and half where it leads.

    The latter are of a distribution fitted to the posterior of the cell, starting from q (`adapted`). Where
    there are so many latent variables that q is the better of the two, its own draws are enough.

    Parameters
    ----------
    joint : Joint
    n_samples : int
        Draws for each cell, beside those of fitting.
    rng : numpy.random.Generator

    Returns
    -------
    estimate, standard_error : arrays (cells,), nats
    """
    mean = joint.mean.double().clamp(-20, 20)  # an encoder may say anything of cells unlike those it has seen
    deviation = (0.5 * joint.logvar.double().clamp(-6, 4)).exp()
    q = Proposal(mean, torch.diag_embed(deviation))
    return sampled_marginal(joint, [q, adapted(joint, q, rng)], n_samples, rng)
