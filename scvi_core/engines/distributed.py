"""Training in several processes, each with a share of the cells of every minibatch (``SCVI(engine="distributed")``).

The processes compute together what one process computes: all draw the same rows and the same noise from generators in
the same state, each takes its share of both, batch normalisation uses the mean and variance of the whole minibatch, and
PyTorch's DistributedDataParallel adds up the gradients. The number of processes changes rounding and nothing else, and
``batch_size`` is that of all of them together.
"""

import contextlib
import functools
import hashlib
import os

import torch
import torch.distributed as dist
from torch import nn

from ..elbo import bound
from ..mmd import mmd
from ..networks import draw_noise
from .plain import PlainStep


class Processes:
    """The processes of a fit: those of PyTorch's default group, or this one alone.

    Parameters
    ----------
    several : bool
        Join the default group. Where nobody has initialised it (Ray Train does, for one), it is made from what
        torchrun left in the environment: NCCL on GPUs, one for each process, gloo on CPUs.
    """

    def __init__(self, several):
        self.several = several
        if several and not dist.is_initialized():
            if "RANK" not in os.environ:
                raise ValueError(
                    "SCVI(engine='distributed') was started as one process: start the script with torchrun, or call "
                    "torch.distributed.init_process_group before fit."
                )
            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")

    @property
    def first(self):
        """Whether this process is the one that writes files and shows progress."""
        return not self.several or dist.get_rank() == 0

    def from_first(self, function):
        """Return ``function()`` of the first process in all of them."""
        if not self.several:
            return function()
        value = [function() if self.first else None]
        dist.broadcast_object_list(value)
        return value[0]

    def value_of_first(self, function):
        """``function`` with the value of the first process in all: they must not differ about when to stop."""
        return lambda *arguments: self.from_first(lambda: function(*arguments))


class DistributedStep(PlainStep):
    """What `PlainStep` does, by several processes together; same parameters, given to every process alike.

    Raises
    ------
    ValueError
        The processes were not given the same cells, parameters and random state.
    """

    name = "distributed"

    def __init__(self, network, cells, generator, options):
        _check_alike(network, cells, generator)
        super().__init__(network, cells, generator, options)
        self.loss = nn.parallel.DistributedDataParallel(Loss(network, options))
        self.loss.broadcast_buffers = False  # they are alike; the name of the argument depends on PyTorch's version

    def step(self, rows, weight_z=1.0, weight_l=1.0, noise=None):
        n = len(rows)
        if n < 2:
            raise ValueError("Batch normalisation needs at least 2 cells in a minibatch.")
        own = torch.arange(n, device=rows.device).tensor_split(dist.get_world_size())[dist.get_rank()]
        if noise is None:
            noise = draw_noise(self.network.arch, n, self.generator, self.cells.dtype, fourier=self.options.fourier)
        x, _ = self.cells.take(rows[own])
        self.network.train()
        loss = self.loss(x, self.cells.batch[rows.to(self.cells.batch.device)], own, noise, weight_z, weight_l)
        loss.backward()
        self.optimiser.step()
        return total(loss.detach()) / dist.get_world_size()


class Loss(nn.Module):
    """The loss of a minibatch, of which this process has the cells ``own``; the mean over the processes is the loss.

    Called with their counts x, and the batch codes and the noise of all cells.
    """

    def __init__(self, network, options):
        super().__init__()
        self.network, self.options = network, options

    def forward(self, x, batch, own, noise, weight_z, weight_l):
        n = len(batch)
        with synchronised(self.network, n):
            b = bound(self.network, x, batch[own], _share(noise, own))
        loss = -b.elbo(weight_z, weight_l).sum() * (dist.get_world_size() / n)
        if self.options.mmd_weight:  # it is of all cells at once, and every process computes it
            z = total(b.z.new_zeros(n, b.z.shape[1]).index_copy(0, own, b.z))
            loss = loss + self.options.mmd_weight * mmd(z, batch, self.network.arch.n_batches, noise.fourier)
        return loss


class _Total(torch.autograd.Function):
    """The sum over the processes; what each makes of it counts for the derivative."""

    @staticmethod
    def forward(ctx, x):
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, by_sum):
        return _Total.apply(by_sum)


def total(x):
    """The sum of ``x`` over the processes."""
    return _Total.apply(x)


@contextlib.contextmanager
def synchronised(network, n):
    """Within, batch normalisation takes the mean and variance of the ``n`` cells of all processes.

    PyTorch's SyncBatchNorm is for GPUs alone.
    """
    norms = network.norms()
    for norm in norms:
        norm.forward = functools.partial(_normalise, norm, n)
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _normalise(norm, n, h):
    mean = total(h.sum(dim=0)) / n
    centred = h - mean
    var = total(centred.square().sum(dim=0)) / n
    norm.track(mean, var, n)
    return centred * (var + norm.eps).rsqrt() * norm.weight + norm.bias


def _share(noise, own):
    """The `Noise` of some of the cells; features of the penalty are for all."""

    def cut(value):
        return tuple(map(cut, value)) if isinstance(value, tuple) else None if value is None else value[own]

    return noise._replace(**{name: cut(value) for name, value in noise._asdict().items() if name != "fourier"})


def _check_alike(network, cells, generator):
    parts = [generator.get_state(), network.library_mean, network.library_var, *network.parameters()]
    digest = hashlib.sha256(repr((len(cells), network.arch)).encode())
    for part in parts:
        digest.update(part.detach().cpu().numpy().tobytes())
    digests = [None] * dist.get_world_size()
    dist.all_gather_object(digests, digest.hexdigest())
    if len(set(digests)) > 1:
        raise ValueError(
            "The processes of SCVI(engine='distributed') were given different cells, parameters or random states: give "
            "all of them the same, and random_state as a number."
        )
