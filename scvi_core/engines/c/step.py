"""The training step with its derivatives written out, on kernels in C: the fast path on the CPU.

The networks are fixed, so that nothing has to be recorded for differentiation; the encoders read the sparse counts as
they are, and what is dense is read and written as seldom as the products allow. The large products go to PyTorch's
BLAS, all else to kernels.c. What is served stands in written_out/served.py; with the same noise the result is that of
the plain step up to rounding, and with the same seed and number of threads the same to the bit.
"""

import math

import torch

from ...networks import draw_noise
from ..adam import Adam
from ..written_out.gradient import Pass
from ..written_out.layers import Minibatch
from ..written_out.parameters import ParameterVector, side_by_side
from .kernels import Kernels, refuses


class FusedStep:
    """What `scvi_core.engines.plain.PlainStep` does, several times faster; same parameters.

    The parameters of ``network`` are moved into one vector, of which they are views from then on. A step that leaves
    parameters that are not finite returns nan.
    """

    name = "fused"

    @staticmethod
    def refuses(network, cells, options):
        if options.mmd_kernel not in ("fourier", "rbf"):
            return f"it does not know mmd_kernel={options.mmd_kernel!r}"
        return refuses(network, cells)

    def __init__(self, network, cells, generator, options):
        self.network, self.cells, self.generator, self.options = network, cells, generator, options
        self.kernels, self.n_threads = Kernels(), torch.get_num_threads()
        self._place_parameters()
        self.counts = None
        self._passes = {}  # by number of cells: two sizes occur in training

    def _place_parameters(self):
        vector = self.parameters = ParameterVector(self.network, side_by_side(self.network))
        adam = self.optimiser = Adam(
            self.network.parameters(), self.options.lr, self.options.adam_eps, self.network.arch.framework
        )
        mean, square = torch.zeros_like(vector.values), torch.zeros_like(vector.values)
        adam.mean, adam.square = ([vector.part(moment, p) for p in adam.parameters] for moment in (mean, square))
        self.finite = torch.ones(1, dtype=torch.int32)
        self._move = self.kernels.bind(
            "adam", self.n_threads, len(mean), vector.gradient, mean, square, vector.values, self.finite
        )

    def step(self, rows, weight_z=1.0, weight_l=1.0, noise=None):
        n, adam = len(rows), self.optimiser
        if n < 2:
            raise ValueError("Batch normalisation needs at least 2 cells in a minibatch.")
        if noise is None:
            noise = draw_noise(self.network.arch, n, self.generator, fourier=self.options.fourier)
        if n not in self._passes:
            self._passes[n] = Pass(self, Minibatch(self, n))
        loss = self._passes[n].loss_and_gradient(rows, weight_z, weight_l, noise)
        adam.n_steps += 1
        unbias = 1 / (1 - 0.9**adam.n_steps), 1 / (1 - 0.999**adam.n_steps)
        self._move(adam.lr, 0.9, 0.999, adam.eps_of_step, *unbias)
        return loss if self.finite else loss * math.nan

    def counts_of(self, rows):
        """`Counts` with the given cells, and their rows in there."""
        X, owners, where = self.cells.find(rows)
        if self.counts is None or self.counts.X is not X:
            self.counts = None  # let go of what it holds before there is more
            self.counts = Counts(self.kernels, X, self.cells.batch[owners])
        return self.counts, where

    def state(self):
        """What `Adam` keeps between steps, in the order of the network's parameters."""
        return self.optimiser.state()

    def restore(self, state):
        self.optimiser.restore(state)

    def release(self):
        self.parameters.release(self.network)


class Counts:
    """The counts of some cells as the kernels read them, and what of the likelihood they alone decide."""

    def __init__(self, kernels, X, batch):
        indptr, counts = torch.from_numpy(X.indptr.astype("int64")), torch.from_numpy(X.data)
        genes = torch.from_numpy(X.indices.astype("int32", copy=False))
        log_library, constants = torch.empty(len(batch)), torch.empty(len(batch), dtype=torch.float64)
        kernels.bind("describe_cells", len(batch), indptr, counts, log_library, constants)()
        self.X, self.arrays = X, (indptr, genes, counts, batch, log_library, constants)
