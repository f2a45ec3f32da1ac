"""The bound, its KLs and the importance-weighted estimate against quadrature with an independent NumPy model."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from scvi_core.elbo import bound, kl_normal
from scvi_core.engines.plain import LikelihoodOfCells
from scvi_core.marginal import Joint, adapted_marginal, importance_weighted, log_normal
from scvi_core.networks import Architecture, Network, Noise, initialise

CELL = np.array([3.0, 0.0, 7.0, 1.0, 0.0])
BATCH = 1


def tiny(library, likelihood="zinb", seed=0):
    """A network of one latent dimension with weights and batch statistics that are nowhere special."""
    arch = Architecture(
        n_genes=5, n_batches=2, n_latent=1, n_hidden=6, library=library, likelihood=likelihood, library_encoder="offset"
    )
    network = Network(arch).double()
    g = torch.Generator().manual_seed(seed)
    initialise(network, "torch", g)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(generator=g)
            module.running_var.uniform_(0.5, 2, generator=g)
            module.weight.data.uniform_(0.5, 2, generator=g)
            module.bias.data.normal_(generator=g)
    for encoder in (network.encoder_z, network.encoder_l):
        if encoder is not None:  # a q that covers the posterior, for importance sampling
            encoder.mean.weight.data.mul_(0.2)
            encoder.logvar.weight.data.mul_(0.2)
            encoder.logvar.bias.data.add_(0.5)
    network.library_mean.copy_(torch.tensor([2.0, 2.3], dtype=torch.float64))
    network.library_var.copy_(torch.tensor([0.2, 0.4], dtype=torch.float64))
    return network.eval()


class ByHand:
    """The model of the paper written again in NumPy and scipy.stats, for one cell; columns are points (z, log l)."""

    def __init__(self, network, x):
        self.w = {name: value.numpy() for name, value in network.state_dict().items()}
        self.arch, self.x, self.s = network.arch, x, np.eye(2)[BATCH]

    def hidden(self, prefix, h):
        w = {k.removeprefix(prefix): v for k, v in self.w.items() if k.startswith(prefix)}
        h = w["linear.weight"] @ h + w["linear.bias"][:, None]
        scale = w["norm.weight"] / np.sqrt(w["norm.running_var"] + 1e-3)
        return np.maximum((h - w["norm.running_mean"][:, None]) * scale[:, None] + w["norm.bias"][:, None], 0)

    def linear(self, name, h):
        return self.w[f"{name}.weight"] @ h + self.w[f"{name}.bias"][:, None]

    def posterior(self, which):
        h = self.hidden(f"encoder_{which}.hidden.0.", np.r_[np.log1p(self.x), self.s][:, None])
        offset = np.log(self.x.sum()) if which == "l" else 0.0
        mean = self.linear(f"encoder_{which}.mean", h).item() + offset
        return mean, np.exp(0.5 * self.linear(f"encoder_{which}.logvar", h).item())

    def log_likelihood(self, z, log_l):
        s = np.tile(self.s[:, None], len(z))
        h = np.r_[self.hidden("decoder.hidden.0.", np.r_[z[None], s]), s]
        logits = self.linear("decoder.rate", h)  # (genes, points)
        mu = np.exp(log_l + logits - logsumexp(logits, axis=0))
        theta, x = np.exp(self.w["log_theta"])[:, None], self.x[:, None]
        log_nb = stats.nbinom.logpmf(x, theta, theta / (theta + mu))
        if self.arch.likelihood == "nb":
            return log_nb.sum(axis=0)
        pi = 1 / (1 + np.exp(-self.linear("decoder.dropout", h)))
        return np.log(np.where(x == 0, pi, 0) + (1 - pi) * np.exp(log_nb)).sum(axis=0)


def hermite(n):
    """Nodes and weights of E f(eps) for standard normal eps."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    return nodes, weights / weights.sum()


@pytest.mark.parametrize("likelihood", ["zinb", "nb"])
@pytest.mark.parametrize("library", ["latent", "observed"])
def test_bound_equals_quadrature(library, likelihood):
    network = tiny(library, likelihood)
    hand = ByHand(network, CELL)
    nodes, weights = hermite(16)
    z_mean, z_sd = hand.posterior("z")
    if library == "latent":
        l_mean, l_sd = hand.posterior("l")
        eps = np.array([(a, b) for a in nodes for b in nodes])
        weights = np.outer(weights, weights).ravel()
        log_l = l_mean + l_sd * eps[:, 1]
    else:
        eps = np.c_[nodes, nodes]
        log_l = np.full(len(nodes), np.log(CELL.sum()))
    z = z_mean + z_sd * eps[:, 0]
    expected = np.sum(weights * hand.log_likelihood(z, log_l))
    # KLs as integrals over q, not by their closed form
    expected -= np.sum(weights * (stats.norm.logpdf(z, z_mean, z_sd) - stats.norm.logpdf(z)))
    if library == "latent":
        prior = stats.norm.logpdf(log_l, 2.3, np.sqrt(0.4))
        expected -= np.sum(weights * (stats.norm.logpdf(log_l, l_mean, l_sd) - prior))

    n = len(weights)
    x, batch = torch.tensor(CELL).expand(n, 5), torch.full((n,), BATCH)
    eps = torch.tensor(eps)
    with torch.no_grad():
        b = bound(network, x, batch, Noise(eps[:, :1], eps[:, 1:] if library == "latent" else None, (), (), ()))
    assert b.elbo() @ torch.tensor(weights) == pytest.approx(expected, rel=1e-9)
    half = b.elbo(0.5, 0.25)
    assert torch.allclose(half, b.log_likelihood - 0.5 * b.kl_z - 0.25 * b.kl_l)


def marginal_by_quadrature(network, library):
    hand = ByHand(network, CELL)
    z = np.linspace(-6, 6, 241)
    if library == "observed":
        joint = hand.log_likelihood(z, np.log(CELL.sum())) + stats.norm.logpdf(z)
        return logsumexp(joint) + np.log(z[1] - z[0])
    log_l = np.linspace(2.3 - 6 * np.sqrt(0.4), 2.3 + 6 * np.sqrt(0.4), 121)
    a, b = (v.ravel() for v in np.meshgrid(z, log_l))
    joint = hand.log_likelihood(a, b) + stats.norm.logpdf(a) + stats.norm.logpdf(b, 2.3, np.sqrt(0.4))
    return logsumexp(joint) + np.log((z[1] - z[0]) * (log_l[1] - log_l[0]))


def joint_of_cells(network, n):
    """`Joint` of the same cell over and over."""
    cells = network, torch.tensor(CELL).expand(n, 5), torch.full((n,), BATCH)
    return Joint(*cells, LikelihoodOfCells(*cells))


@pytest.mark.parametrize("library", ["latent", "observed"])
def test_importance_weighted_equals_quadrature(library):
    network = tiny(library)
    expected = marginal_by_quadrature(network, library)
    with torch.no_grad():
        estimate, error = importance_weighted(joint_of_cells(network, 400), 500, torch.Generator().manual_seed(0))
    deviations = (estimate - expected) / error
    assert error.median() < 0.1
    assert estimate.mean() == pytest.approx(
        expected, abs=0.02
    )  # the bias of 500 samples is half the variance, below 0.005
    assert 0.8 < deviations.std() < 1.25  # the standard error is of the right size


@pytest.mark.slow
@pytest.mark.parametrize("library", ["latent", "observed"])
def test_adapted_marginal_equals_quadrature_from_an_encoder_that_is_far_off(library):
    """q is moved by 4 and shrunk to a standard deviation below 0.1: what it draws says nothing of the integral."""
    network = tiny(library)
    expected = marginal_by_quadrature(network, library)
    network.encoder_z.mean.bias.data.add_(4.0)
    for encoder in filter(None, (network.encoder_z, network.encoder_l)):
        encoder.logvar.bias.data.sub_(6.0)
    with torch.no_grad():
        by_q, _ = importance_weighted(joint_of_cells(network, 100), 500, torch.Generator().manual_seed(0))
        estimate, error = adapted_marginal(joint_of_cells(network, 400), 500, np.random.default_rng(0))
    assert by_q.mean() < expected - 1
    deviations = (estimate - expected) / error
    assert np.median(error) < 0.06  # half of the draws are of q, and lost
    assert abs((estimate - expected).mean()) < 0.005  # 400 independent estimates
    assert 0.2 < deviations.std() < 1.1  # that each proposal has its share of the draws makes it better than it says


def test_kl_closed_form():
    g = torch.Generator().manual_seed(0)
    mean, logvar = torch.randn(6, 3, generator=g), torch.randn(6, 3, generator=g)
    q = torch.distributions.Normal(mean, (0.5 * logvar).exp(), validate_args=False)
    p = torch.distributions.Normal(torch.tensor(0.7), torch.tensor(0.3).sqrt(), validate_args=False)
    expected = torch.distributions.kl_divergence(q, p).sum(dim=1)
    torch.testing.assert_close(kl_normal(mean, logvar, 0.7, 0.3), expected)
    torch.testing.assert_close(log_normal(mean + 1, mean, logvar), q.log_prob(mean + 1).sum(dim=1))
