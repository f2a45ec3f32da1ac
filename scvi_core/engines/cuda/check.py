"""Whether the training step on a GPU can be trusted there: looked at before its first use."""

import copy
import functools
import importlib.util
import logging
import math

import numpy as np
import scipy.sparse as sp
import torch

from ...data.minibatch import Cells
from ...networks import Network, draw_noise, initialise
from ..plain import PlainStep, StepOptions
from .step import CudaStep

TOLERANCE = 1e-4  # of `disagreement`; rounding is below 1e-5


def disagreement(device, arch, n_steps=3):
    """Largest relative error of the step on ``device`` against the plain step in double precision on the CPU.

    Of the losses, of the gradients (their running mean; layer by layer, in units of the largest entry) and of the
    statistics of batch normalisation, over a few steps on made-up counts with equal noise: the first kernel by kernel,
    the others from the recording.
    """
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    means = rng.lognormal(0, 1, arch.n_genes) * rng.lognormal(0, 0.5, (150, 1))
    X = rng.poisson(rng.gamma(0.5, 2 * means)).astype(np.int32)
    X[:, 0] += 1  # no cell is empty
    batch = rng.integers(arch.n_batches, size=150)
    network = Network(arch)
    initialise(network, "torch", torch.Generator().manual_seed(0))
    network.library_mean.fill_(math.log(means.sum() / len(means)))
    exact = copy.deepcopy(network).double()
    step = CudaStep(network.to(device), Cells(sp.csr_matrix(X), batch, device), generator, StepOptions())
    exact_step = PlainStep(exact, Cells(sp.csr_matrix(X), batch, dtype=torch.float64), generator, StepOptions())
    pairs = []
    for _ in range(n_steps):
        rows = torch.from_numpy(rng.permutation(150)[:128])
        noise = draw_noise(arch, 128, generator, torch.float64)
        pairs.append((step.step(rows, 0.5, 0.8, noise), exact_step.step(rows, 0.5, 0.8, noise)))
    layers = {}  # a bias in front of batch normalisation has no effect: weight and bias are taken together
    for (name, _), ours, theirs in zip(
        network.named_parameters(), step.optimiser.mean, exact_step.optimiser.mean, strict=True
    ):
        layers.setdefault(name.rpartition(".")[0], []).append((ours.flatten(), theirs.flatten()))
    pairs += [tuple(map(torch.cat, zip(*parts, strict=True))) for parts in layers.values()]
    pairs += [(own, exact.get_buffer(name)) for name, own in network.named_buffers() if "running" in name]
    pairs = [(ours.cpu(), theirs) for ours, theirs in pairs]
    errors = [(ours - theirs).abs().max() / theirs.abs().max() for ours, theirs in pairs]
    return torch.stack(errors).max().item()  # nan if one is


@functools.cache
def refusal(device, arch):
    """Why the step cannot be used for an architecture on a device, None where it can; looked at once."""
    try:
        if importlib.util.find_spec("triton") is None:
            raise ImportError("Triton is not installed")
        error = disagreement(device, arch)
        reason = None if error < TOLERANCE else f"its results differ by {error:.0e} from the plain ones"
    except Exception as failure:  # a compiler, a driver, a library: whatever it is, there is the plain step
        reason = f"it failed its check ({type(failure).__name__}: {str(failure).strip().partition(chr(10))[0]})"
    if reason is not None:
        logging.getLogger(__name__).warning(
            "Training on %s takes the plain path, several times slower: %s.", device, reason
        )
    return reason


class CheckedStep(CudaStep):
    """The step on a GPU, where it has passed its check."""

    @staticmethod
    def refuses(network, cells, options):
        return CudaStep.refuses(network, cells, options) or refusal(str(torch.device(cells.device)), network.arch)
