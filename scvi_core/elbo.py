"""The variational bound of the paper (equations 8 and 10), its penalty, and estimates of the likelihood itself."""

import math
from typing import NamedTuple

import torch

from .engines.c import answers as fused_inference
from .likelihood import NonZero, nb_coefficient, nb_log_prob, zinb_log_prob
from .marginal import Proposal, adapted, log_mean, sampled_marginal
from .networks import Noise


class Bound(NamedTuple):
    """The parts of the bound, nats per cell, each (cells,), and the sample of z they were computed at."""

    log_likelihood: torch.Tensor
    kl_z: torch.Tensor
    kl_l: torch.Tensor  # zero where the library size is not latent
    z: torch.Tensor  # (cells, n_latent)

    def elbo(self, weight_z=1.0, weight_l=1.0):
        return self.log_likelihood - weight_z * self.kl_z - weight_l * self.kl_l


def kl_normal(mean, logvar, prior_mean=0.0, prior_var=1.0):
    """KL(N(mean, exp(logvar)) || N(prior_mean, prior_var)), summed over the last axis."""
    prior_var = torch.as_tensor(prior_var, dtype=mean.dtype, device=mean.device)
    gap = ((mean - prior_mean).square() + logvar.exp()) / prior_var
    return 0.5 * (gap - 1 - logvar + prior_var.log()).sum(dim=-1)


def log_normal(value, mean, logvar):
    """Log-density of N(mean, exp(logvar)) at value, summed over the last axis."""
    return -0.5 * ((value - mean).square() / logvar.exp() + logvar + math.log(2 * math.pi)).sum(dim=-1)


def log_likelihood(network, x, decoded, log_scale, nonzero=None, coefficient=None):
    """log p(x | z, l, s), nats per cell: the sum of the genes' log-probabilities."""
    log_mu = decoded.log_rho + log_scale
    if network.arch.likelihood == "nb":
        return nb_log_prob(x, log_mu, decoded.log_theta, nonzero, coefficient).sum(dim=1)
    return zinb_log_prob(x, log_mu, decoded.log_theta, decoded.dropout_logit, nonzero, coefficient).sum(dim=1)


def bound(network, x, batch, noise):
    """Equation 8 for counts x (cells, genes): one sample of q by reparametrisation, both KLs in closed form."""
    q = network.encode(x, batch, noise)
    z = q.z_mean + (0.5 * q.z_logvar).exp() * noise.eps_z
    kl_z = kl_normal(q.z_mean, q.z_logvar)
    if q.l_mean is None:
        log_l, kl_l = None, torch.zeros_like(kl_z)
    else:
        log_l = q.l_mean + (0.5 * q.l_logvar).exp() * noise.eps_l
        prior_mean, prior_var = network.library_mean[batch, None], network.library_var[batch, None]
        kl_l = kl_normal(q.l_mean, q.l_logvar, prior_mean, prior_var)
    decoded = network.decode(z, batch, noise)
    return Bound(log_likelihood(network, x, decoded, network.scale(x, log_l)), kl_z, kl_l, z)


class Likelihood:
    """log p(x | z, l, s) of some cells, for one draw of z and l after the other."""

    def __init__(self, network, x, batch):
        self.network, self.x, self.batch = network, x, batch
        self.nonzero, self.coefficient = NonZero.of(x), None

    def __call__(self, z, log_scale):
        """Nats per cell, (cells,), at z (cells, n_latent) and the logarithms of the scaling factors (cells, 1)."""
        decoded = self.network.decode(z, self.batch)
        if self.coefficient is None and self.network.arch.dispersion != "gene-cell":  # theta does not depend on z
            self.coefficient = nb_coefficient(self.nonzero, decoded.log_theta)
        return log_likelihood(self.network, self.x, decoded, log_scale, self.nonzero, self.coefficient)


class Joint:
    """log p(x, z, log l | s) of some cells as a function of their latent variables, z and, where it is latent, log l.

    ``mean`` and ``logvar`` (cells, n_latent or one more) are those of q: where to look for these variables.
    """

    def __init__(self, network, x, batch):
        q = network.encode(x, batch)
        parts = [(q.z_mean, q.z_logvar, torch.zeros_like(q.z_mean), torch.zeros_like(q.z_mean))]
        if q.l_mean is not None:
            prior = network.library_mean[batch, None], network.library_var[batch, None].log()
            parts.append((q.l_mean, q.l_logvar, *prior))
        self.mean, self.logvar, *self.prior = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        self.n_latent = network.arch.n_latent
        self.log_scale = network.scale(x) if q.l_mean is None else None
        engine = fused_inference.Likelihood if fused_inference.usable(network) else Likelihood
        self.likelihood = engine(network, x, batch)

    def __call__(self, u):
        """Nats per cell, (cells,), float64, at u (cells, n_latent or one more)."""
        u = u.to(self.mean.dtype)
        z, log_l = u[:, : self.n_latent], u[:, self.n_latent :]
        likelihood = self.likelihood(z, log_l if self.log_scale is None else self.log_scale)
        return likelihood.double() + log_normal(u, *self.prior)


def importance_weighted(network, x, batch, n_samples, generator):
    """Estimate log p(x | s) per cell by importance sampling from q, and the standard error of the estimate.

    log (1/K) sum_k p(x, z_k, l_k | s) / q(z_k, l_k | x, s): a lower bound in expectation, tight as K grows. The
    standard error is the delta method's; where a few samples carry all the weight it is too small, as the estimate is.

    Returns
    -------
    estimate, standard_error : tensors (cells,)
    """
    joint = Joint(network, x, batch)
    mean, logvar = joint.mean, joint.logvar
    log_weights = torch.empty(n_samples, len(x), dtype=torch.float64, device=x.device)
    for k in range(n_samples):
        u = mean + (0.5 * logvar).exp() * torch.randn(
            mean.shape, generator=generator, dtype=mean.dtype, device=mean.device
        )
        log_weights[k] = joint(u) - log_normal(u, mean, logvar)
    return log_mean(log_weights)


def adapted_marginal(network, x, batch, n_samples, rng):
    """Estimate log p(x | s) per cell by importance sampling, half of the draws around q and half where it leads.

    The latter are of a distribution fitted to the posterior of the cell, starting from q (`marginal.adapted`). Where
    there are so many latent variables that q is the better of the two, its own draws are enough.

    Parameters
    ----------
    x : tensor (cells, genes)
        Counts.
    batch : tensor of int (cells,)
    n_samples : int
        Draws for each cell, beside those of fitting.
    rng : numpy.random.Generator

    Returns
    -------
    estimate, standard_error : arrays (cells,), nats
    """
    joint = Joint(network, x, batch)
    mean = joint.mean.double().clamp(-20, 20)  # an encoder may say anything of cells unlike those it has seen
    deviation = (0.5 * joint.logvar.double().clamp(-6, 4)).exp()
    q = Proposal(mean, torch.diag_embed(deviation))
    return sampled_marginal(joint, [q, adapted(joint, q, rng)], n_samples, rng)


@torch.no_grad()
def bound_of_cells(network, cells, generator, weight_z=1.0, weight_l=1.0):
    """The bound of each cell in evaluation mode (no dropout, running batch statistics), one sample of q: (n_cells,)."""
    network.eval()
    values = []
    for _, x, batch in cells.chunks():
        noise = evaluation_noise(network.arch, len(x), generator, x.dtype)
        values.append(bound(network, x, batch, noise).elbo(weight_z, weight_l))
    return torch.cat(values)


def evaluation_noise(arch, n_cells, generator, dtype=torch.float32):
    """`Noise` for a bound in evaluation mode: samples of q, no dropout."""
    like = {"generator": generator, "device": generator.device, "dtype": dtype}
    eps_l = torch.randn(n_cells, 1, **like) if arch.library == "latent" else None
    return Noise(torch.randn(n_cells, arch.n_latent, **like), eps_l, (), (), ())
