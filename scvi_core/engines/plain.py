"""PyTorch and its automatic differentiation: serves every likelihood, option and device; the others are held to it."""

from typing import NamedTuple

from ..differential import Contrast
from ..elbo import bound
from ..mmd import mmd
from ..networks import draw_noise
from .adam import Adam


class StepOptions(NamedTuple):
    """What a step needs to know beside the network; parameters of `SCVI`."""

    lr: float = 4e-4
    adam_eps: float = 0.01
    mmd_weight: float = 0.0
    mmd_kernel: str = "fourier"

    @property
    def fourier(self):
        """Whether the step draws random Fourier features."""
        return bool(self.mmd_weight) and self.mmd_kernel == "fourier"


class PlainStep:
    """One step of Adam on the bound (paper, 4.1 and 4.2), by automatic differentiation; serves every option.

    Parameters
    ----------
    network : Network
    cells : Cells
    generator : torch.Generator
        Draws the noise of a step that is given none; lives on the network's device.
    options : StepOptions
    parts : sequence of Module, optional
        The modules to train, all by default; the rest of the network is not moved, its running statistics included.
    rest_in_training : bool
        Whether the rest normalises by the minibatch, as in training, or by its running statistics.
    """

    name = "plain"

    def __init__(self, network, cells, generator, options, parts=None, rest_in_training=False):
        self.network, self.cells, self.generator, self.options = network, cells, generator, options
        self.parts = [network] if parts is None else parts
        self.rest_in_training = rest_in_training
        own = {module for part in self.parts for module in part.modules()}
        for norm in network.norms():
            norm.track_running_stats = norm in own
        parameters = [p for part in self.parts for p in part.parameters()]
        self.optimiser = Adam(parameters, options.lr, options.adam_eps, network.arch.framework)

    @staticmethod
    def refuses(network, cells, options):
        return None

    def step(self, rows, weight_z=1.0, weight_l=1.0, noise=None):
        arch = self.network.arch
        x, batch = self.cells.take(rows)
        if noise is None:
            noise = draw_noise(arch, len(x), self.generator, x.dtype, fourier=self.options.fourier)
        self.network.train(self.rest_in_training)
        for part in self.parts:
            part.train()
        b = bound(self.network, x, batch, noise)
        loss = -b.elbo(weight_z, weight_l).mean()
        if self.options.mmd_weight:
            loss = loss + self.options.mmd_weight * mmd(b.z, batch, arch.n_batches, noise.fourier)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def state(self):
        """What `Adam` keeps between steps, in the order of the network's parameters."""
        return self.optimiser.state()

    def restore(self, state):
        self.optimiser.restore(state)

    def release(self):
        """Leave the network as it was found, but for what it has learned; the step is not used after."""
        for norm in self.network.norms():
            norm.track_running_stats = True


class PlainAnswers:
    """What the networks say of some cells, in evaluation mode.

    Parameters
    ----------
    network : Network
    cells : Cells
    """

    name = "plain"

    def __init__(self, network, cells):
        self.network, self.cells = network, cells

    @staticmethod
    def refuses(network, cells):
        return None

    def encoded(self, library=True):
        """Yield (rows, q, number of counts (cells, 1), batch codes) of a few cells at a time.

        Without ``library``, q(l | x, s) is not needed.
        """
        for rows, x, codes in self.cells.chunks():
            yield rows, self.network.encode(x, codes), x.sum(dim=1, keepdim=True), codes

    def likelihood(self, x, batch):
        """A function of z and log l, one draw of each for every cell, that returns log p(x | z, l, s), (cells,)."""
        return LikelihoodOfCells(self.network, x, batch)

    def mean_rho(self, decodings):
        """The sum of weight times rho, (cells, genes), over a list of (z, batch codes, weight)."""
        return sum(w * self.network.log_rho(z, codes).exp() for z, codes, w in decodings)

    @property
    def contrast(self):
        """A `scvi_core.differential.Contrast` of the frequencies."""
        return Contrast(self.network.log_rho)


class LikelihoodOfCells:
    """log p(x | z, l, s) of some cells, for one draw of z and l after the other."""

    def __init__(self, network, x, batch):
        self.network, self.x, self.batch = network, x, batch
        self.prepared = network.likelihood.prepare(x, network.log_theta_of(batch))

    def __call__(self, z, log_scale):
        """Nats per cell, (cells,), at z (cells, n_latent) and the logarithms of the scaling factors (cells, 1)."""
        decoded = self.network.decode(z, self.batch)
        return self.network.likelihood.log_prob(self.x, decoded, log_scale, self.prepared).sum(dim=1)
