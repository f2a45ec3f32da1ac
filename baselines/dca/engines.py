"""The loss of DCA and its gradient, by PyTorch or, on the CPU and several times faster, by the kernels of `scvi_core`.

Both say the same up to rounding, and leave the gradient in the ``grad`` of their ``parameters``.
"""

import math
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from torch.optim import RMSprop

from scvi_core.engines.c.kernels import Kernels, missing
from scvi_core.engines.written_out.layers import Buffers, Hidden
from scvi_core.engines.written_out.parameters import ParameterVector
from scvi_core.likelihood import zinb_log_prob

from .network import DISPERSION_RANGE, MEAN_RANGE


def choose(method, X, Y):
    """Return the engine that trains ``method.network_`` on counts ``X`` with log-normalised ``Y``, both CSR."""
    if method.device_ == "cpu" and X.data.dtype == np.int32 and not missing():
        return Fused(method, X, Y)
    return Plain(method, X, Y)


class Plain:
    """PyTorch differentiates."""

    name = "plain"

    def __init__(self, method, X, Y):
        self.network, self.parameters = method.network_, list(method.network_.parameters())
        self.tensors = lambda rows: method._tensors(X[rows.numpy()], Y[rows.numpy()])

    def loss_and_gradient(self, rows):
        self.network.zero_grad(set_to_none=True)
        loss = self._loss(rows)
        loss.backward()
        return loss.detach()

    def move(self, optimiser, clip):
        """Take a step along the gradient, its entries cut to [-clip, clip]."""
        nn.utils.clip_grad_value_(self.parameters, clip)
        optimiser.step()

    @torch.no_grad()
    def loss(self, rows):
        return float(self._loss(rows))

    def release(self):
        """Nothing: the parameters are where they were."""

    def _loss(self, rows):
        inputs, log_size, x = self.tensors(rows)
        return -zinb_log_prob(x, *self.network(inputs, log_size)).mean()


class Fused(Plain):
    """The derivatives are written out, on the layers and kernels that train scVI.

    The parameters of the network are views of one vector until `release`, and the optimiser moves that.
    """

    name = "fused"

    def __init__(self, method, X, Y):
        self.network, self.kernels = method.network_, Kernels()
        vector = self.vector = ParameterVector(self.network, self.network.side_by_side())
        self.parameters = [nn.Parameter(vector.values)]
        self.parameters[0].grad = vector.gradient
        self.n_genes, (self.zeros, self.cells) = X.shape[1], self._describe(method, X, Y)
        square, threads = torch.zeros_like(vector.values), torch.get_num_threads()
        state = (vector.gradient, square, vector.values)
        self._rmsprop = self.kernels.bind("rmsprop", threads, len(square), *state)
        self._passes = {}  # by number of cells, and whether they move the parameters

    def _describe(self, method, X, Y):
        """What the encoder reads where there is no count (n_genes,), and the cells as `take_dense` wants them."""
        scored = (Y.data - method.mean_[Y.indices]) / method.sd_[Y.indices]
        log_size = np.log(np.asarray(X.sum(axis=1)).ravel() / method.median_library_)
        indptr, counts = torch.from_numpy(X.indptr.astype(np.int64)), torch.from_numpy(X.data)
        genes = torch.from_numpy(X.indices.astype(np.int32, copy=False))
        constants, unused = torch.empty(X.shape[0], dtype=torch.float64), torch.empty(X.shape[0])
        self.kernels.bind("describe_cells", X.shape[0], indptr, counts, unused, constants)()
        zeros, scored, log_size = (
            torch.from_numpy(each.astype(np.float32)) for each in (-method.mean_ / method.sd_, scored, log_size)
        )
        return zeros, (indptr, genes, counts, scored, log_size, constants)

    def loss_and_gradient(self, rows):
        return self._pass(rows, trains=True).loss_and_gradient(rows)

    def move(self, optimiser, clip):
        if not isinstance(optimiser, RMSprop):  # none that is written out
            super().move(optimiser, clip)
            return
        group = optimiser.param_groups[0]
        self._rmsprop(group["lr"], group["alpha"], group["eps"], clip)

    @torch.no_grad()
    def loss(self, rows):
        if not self.vector.values.isfinite().all():  # the kernels cut what they are given, infinite values as well
            return math.nan
        return float(self._pass(rows, trains=False).loss(rows))

    def release(self):
        self.vector.release(self.network)

    def _pass(self, rows, trains):
        key = len(rows), trains
        if key not in self._passes:
            self._passes[key] = Pass(self, len(rows), trains)
        return self._passes[key]


class Pass(Buffers):
    """The buffers for ``n`` cells; with ``trains`` those of the derivatives too."""

    def __init__(self, engine, n, trains):
        super().__init__(SimpleNamespace(kernels=engine.kernels, parameters=engine.vector), n)
        self.engine, n_genes, network = engine, engine.n_genes, engine.network
        room, threads = n * n_genes, torch.get_num_threads()
        inputs, _ = self.buffer(n_genes, 0)
        self.inputs, log_size, self.losses = inputs[:, :-1], torch.empty(n), torch.empty(n)
        sparse = torch.empty(n + 1, dtype=torch.int64), torch.empty(room, dtype=torch.int32), torch.empty(room)
        constants = torch.empty(n, dtype=torch.float64)
        taken = (*sparse, inputs, log_size, constants)
        self._take = self.bind("take_dense", n, n_genes, inputs.stride(0), engine.zeros, *taken, *engine.cells)

        self.hidden, below = [], (inputs, None)
        for dense, norm in zip(network.dense, network.norm, strict=True):
            self.hidden.append(Hidden(self, SimpleNamespace(linear=dense, norm=norm), 0, below=below))
            below = self.hidden[-1].out, self.hidden[-1].by_out
        self.below, self.by_below = below
        self.weights, self.by_weights = self.matrices(network.mean)
        self.out = self.output(3 * n_genes)
        shape, slopes = (n, n_genes, self.out.stride(0)), torch.empty(n, 2 * n_genes)
        bounds = (*map(math.log, MEAN_RANGE), *DISPERSION_RANGE)
        self._heads = self.bind("bounded_heads", *shape, *bounds, self.out, log_size, slopes)
        self._heads_backward = self.bind("bounded_heads_backward", *shape, self.out, slopes)
        given = (*sparse, constants, True, self.out, self.out.stride(0), 0, None, None, None)
        slope_of_l = torch.empty(n) if trains else None  # its presence asks for derivatives; there is no l to have one
        self._count_loss = self.bind(
            "count_loss", threads, n, n_genes, *given, 1 / room, self.losses, slope_of_l, torch.empty(0),
            torch.empty(threads, n_genes),
        )  # fmt: skip

    def loss_and_gradient(self, rows):
        self._take(rows)
        for hidden in self.hidden:
            hidden.forward(None)
        torch.mm(self.below, self.weights, out=self.out)
        self._heads()
        self._count_loss()  # what the heads put out is replaced by the derivatives
        self._heads_backward()
        torch.mm(self.below.T, self.out, out=self.by_weights)
        torch.mm(self.out, self.weights[:-1].T, out=self.by_below)
        for hidden in reversed(self.hidden):
            hidden.backward(None)
        return self.losses.sum()

    def loss(self, rows):
        self._take(rows)
        h = self.inputs
        for dense, norm in zip(self.engine.network.dense, self.engine.network.norm, strict=True):
            h = norm(dense(h)).relu()
        self.below[:, :-1] = h
        torch.mm(self.below, self.weights, out=self.out)
        self._heads()
        self._count_loss()
        return self.losses.sum()
