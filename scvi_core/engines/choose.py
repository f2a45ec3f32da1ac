"""Which code computes a training step.

A step is an object with ``name``, ``network``, ``cells``, ``state()``, ``restore(state)`` and

    step(rows, weight_z, weight_l, noise=None) -> loss

which moves the parameters of ``network`` once and returns the loss as a tensor without dimensions, still on the
device. The parameters live in the network's modules. Given the same noise, every engine leaves the parameters that
`PlainStep` leaves, up to rounding. An engine says what it does not serve in ``refuses(network, cells, options)``.
"""

import logging
from typing import NamedTuple

from ..elbo import bound
from ..mmd import mmd
from ..networks import draw_noise
from .adam import Adam
from .c.step import FusedStep
from .cuda.step import CudaStep


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
        The modules to train; the rest of the network stays in evaluation mode and is not moved. All by default.
    """

    name = "plain"

    def __init__(self, network, cells, generator, options, parts=None):
        self.network, self.cells, self.generator, self.options = network, cells, generator, options
        self.parts = [network] if parts is None else parts
        parameters = [p for part in self.parts for p in part.parameters()]
        self.optimiser = Adam(parameters, options.lr, options.adam_eps)

    @staticmethod
    def refuses(network, cells, options):
        return None

    def step(self, rows, weight_z=1.0, weight_l=1.0, noise=None):
        arch = self.network.arch
        x, batch = self.cells.take(rows)
        if noise is None:
            noise = draw_noise(arch, len(x), self.generator, x.dtype, fourier=self.options.fourier)
        self.network.eval()
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


ENGINES = (CudaStep, FusedStep, PlainStep)  # fastest first


def make_step(engine, network, cells, generator, options):
    """Return the step of the engine of that name, or with "auto" the first that serves the options.

    Raises
    ------
    ValueError
        The engine is not there or does not serve the options.
    """
    if engine == "auto":
        for kind in ENGINES:
            reason = kind.refuses(network, cells, options)
            if reason is None:
                return kind(network, cells, generator, options)
            logging.getLogger(__name__).info("The engine %r is not used: %s.", kind.name, reason)
    kinds = {kind.name: kind for kind in ENGINES}
    if engine == "distributed":  # never by itself: it waits for other processes
        from .distributed import DistributedStep

        kinds[engine] = DistributedStep
    kind = kinds.get(engine)
    if kind is None:
        known = ", ".join(map(repr, [*kinds, "distributed"]))
        raise ValueError(f"SCVI(engine={engine!r}) is not known: choose 'auto' or one of {known}.")
    reason = kind.refuses(network, cells, options)
    if reason is not None:
        raise ValueError(f"SCVI(engine={engine!r}) cannot be used: {reason}. Choose engine='auto'.")
    return kind(network, cells, generator, options)
