"""The variational bound of the paper (equations 8 and 10)."""

from typing import NamedTuple

import torch

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
    log_likelihood = network.likelihood.log_prob(x, decoded, network.scale(x, log_l)).sum(dim=1)
    return Bound(log_likelihood, kl_z, kl_l, z)


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
