"""The training step on an NVIDIA GPU: counts that live there, kernels in Triton, one CUDA graph per minibatch size.

The layers and their derivatives are those of the fast path on the CPU (written_out/layers.py). A step reads nothing
back: the rows, the weights of the divergences and the random numbers are put into buffers that stay where they are,
then a recorded sequence of about forty kernels is started as a whole, and the loss stays on the device. The random
numbers are drawn outside of the recording, by the step's own generator. All products are in single precision; that they
may use TF32 is PyTorch's switch, which is off unless the user turns it on, and with it on the check does not pass.

A step is 36 kernels with the latent library size and 27 with the observed one (two batches, one layer), 16 and 11 of
them products, which cuBLAS may split further; 31 and 22 are in the recording. At 720 genes that is bound by launches
and by the latency of small products, at 10,000 by bandwidth. What they really cost: ``python -m scvi_core.bench
--device cuda``.

Not yet run on a GPU: the recording, the two streams, the absence of waiting, the speed; their tests are there and are
skipped without one (tests/scvi_core/test_cuda.py). Checked without one: every kernel and whole steps in Triton's
interpreter against double precision and SciPy, with kernels run one by one in place of the recording, and that the
kernels compile for an H100.

Before an architecture is trained for the first time on a device, check.py compares a few steps with the plain step
in double precision; where they differ the plain step is taken and a warning says so.
"""

import contextlib
import functools

import numpy as np
import torch

from ...data.on_disk import StoredCounts
from ...networks import Noise, draw_noise
from ..adam import Adam
from ..written_out.gradient import Pass
from ..written_out.layers import Hidden, Minibatch
from ..written_out.parameters import ParameterVector, side_by_side
from ..written_out.served import unknown


class CudaStep:
    """What `scvi_core.engines.plain.PlainStep` does, on a GPU and without its launches; same parameters.

    The parameters of ``network`` are moved into one vector, of which they are views from then on. A step that leaves
    parameters that are not finite returns nan. The first step with a minibatch of a new size runs kernel by kernel, the
    second is recorded. Given ``rows`` on the device, a later step does not wait for the device.
    """

    name = "cuda"

    @staticmethod
    def refuses(network, cells, options):
        device = torch.device(cells.device)
        if device.type != "cuda" or torch.version.cuda is None or cells.dtype != torch.float32:
            return "it is for single precision on an NVIDIA GPU"
        if isinstance(cells.X, StoredCounts):
            return "it is for counts that the GPU's memory holds"
        if cells.X.dtype != "int32":
            return "it is for counts below 2^31"
        if options.mmd_weight:
            return "it is for training without the penalty on the difference between batches"
        return unknown(network.arch)

    def __init__(self, network, cells, generator, options):
        self.network, self.cells, self.generator, self.options = network, cells, generator, options
        self.device, self._passes = torch.device(cells.device), {}
        self.records = self.device.type == "cuda"
        self.side = torch.cuda.Stream(self.device) if self.records and network.encoder_l is not None else None
        with self.current(), torch.device(self.device):
            self.resident = ResidentCounts(cells)
            vector = self.parameters = ParameterVector(network, side_by_side(network))
            self.mean, self.square = torch.zeros_like(vector.values), torch.zeros_like(vector.values)
            self.decays = torch.tensor([0.9, 0.999], dtype=torch.float64)
            self.powers = torch.ones_like(self.decays)  # of the decays, to the number of steps
        adam = self.optimiser = Adam(network.parameters(), options.lr, options.adam_eps, network.arch.framework)
        adam.mean, adam.square = ([vector.part(m, p) for p in adam.parameters] for m in (self.mean, self.square))

    def current(self):
        """Kernels go to the device."""
        return torch.cuda.device(self.device) if self.records else contextlib.nullcontext()

    def step(self, rows, weight_z=1.0, weight_l=1.0, noise=None):
        n = len(rows)
        if n < 2:
            raise ValueError("Batch normalisation needs at least 2 cells in a minibatch.")
        with self.current():
            if n not in self._passes:
                with torch.device(self.device):
                    self._passes[n] = RecordedPass(self, n)
            self.optimiser.n_steps += 1
            return self._passes[n].run(rows, weight_z, weight_l, noise)

    def state(self):
        """What `Adam` keeps between steps, in the order of the network's parameters."""
        return self.optimiser.state()

    def restore(self, state):
        self.optimiser.restore(state)
        self.powers.copy_(self.decays**self.optimiser.n_steps)

    def release(self):
        self.parameters.release(self.network)


class ResidentCounts:
    """All counts on the device, row by row, with the batch of each cell; ``longest`` is the longest row."""

    def __init__(self, cells):
        X = cells.X
        arrays = (X.indptr, "int64"), (X.indices, "int32"), (X.data, "int32")
        # PyTorch takes writable arrays only; those mapped from a file are not.
        tensors = (torch.from_numpy(np.require(array, dtype, "W")).to(cells.device) for array, dtype in arrays)
        self.indptr, self.genes, self.counts = tensors
        self.batch, self.longest = cells.batch, int(np.diff(cells.X.indptr).max())


class DenseMinibatch(Minibatch):
    """``n`` cells made dense on the device.

    Attributes
    ----------
    rows, codes, log_library : tensors (n,)
    counts : tensor (n, n_genes)
    inputs : tensor (n, n_genes + n_covariates + 1)
        What the encoders read, log(1 + count) or the count, with the batch and a one behind it.
    """

    def __init__(self, step, n):
        from . import layers, zinb  # Triton is asked for no earlier

        self.n, self.arch, self.step = n, step.network.arch, step
        self.kernels, self._likelihood, self._one_hots = layers, zinb.count_loss, []
        self.rows, self.codes = torch.zeros(n, dtype=torch.int64), torch.zeros(n, dtype=torch.int64)
        self.log_library, self.counts = torch.empty(n), torch.empty(n, self.arch.n_genes)
        self.inputs, _ = self.buffer(self.arch.n_genes, self.arch.n_covariates if self.arch.encode_batch else 0)

    def buffer(self, width, n_covariates):
        """A result (n, width + n_covariates + 1), each row on a boundary of 16 bytes; `take` writes the batch in."""
        n_columns = width + n_covariates + 1
        whole = torch.zeros(self.n, -(-n_columns // 4) * 4)[:, :n_columns]
        whole[:, -1] = 1
        if n_covariates:
            self._one_hots.append(whole[:, width:-1])
        return whole, lambda: None

    @functools.cached_property
    def _places(self):
        """Where the one-hot batch goes; asked for when all buffers are there."""
        places = [(part.data_ptr(), part.stride(0)) for part in self._one_hots]
        return torch.tensor(places, dtype=torch.int64, device=self.codes.device).view(-1, 2)

    def take(self):
        self.kernels.take(
            self.rows, self.step.resident, self.counts, self.inputs[:, : self.arch.n_genes], self.codes,
            self.log_library, self._places, self.arch.log_input, self.arch.n_batches,
        )  # fmt: skip

    def bind(self, kernel, *arguments):
        return functools.partial(getattr(self.kernels, kernel), *arguments)

    def output(self, n_columns):
        return torch.empty(self.n, n_columns)

    def first_layer(self, module, n_covariates, n_covariates_after):
        return DenseFirstHidden(self, module, n_covariates, n_covariates_after)

    def count_loss(self, network, out, log_l, by_log_l, loss):
        heads = "dropout" in self.arch.heads, "dispersion" in self.arch.heads
        log_theta = None if heads[1] else network.log_theta.detach()
        by_log_mu, by_log_theta = torch.empty_like(self.counts), torch.empty_like(self.counts)
        own = torch.empty(0) if heads[1] else self.derivative(network.log_theta)
        of_batch = torch.zeros(self.n, self.arch.n_batches)  # one-hot: sums over the cells of a batch are a product
        if own.dim() == 2:
            self._one_hots.append(of_batch)

        def count_loss():
            self._likelihood(
                self.counts, out, heads, log_theta, self.codes, log_l, 1 / self.n, loss, by_log_l, by_log_mu,
                by_log_theta,
            )  # fmt: skip
            if own.dim() == 2:
                torch.mm(of_batch.T, by_log_theta, out=own)
            elif log_theta is not None:
                torch.sum(by_log_theta, dim=0, out=own)

        return count_loss


class DenseFirstHidden(Hidden):
    """The first hidden layer of an encoder."""

    def __init__(self, batch, module, n_covariates, n_covariates_after):
        super().__init__(batch, module, n_covariates_after)
        self.batch, self.below = batch, batch.inputs
        if batch.arch.dropout and batch.arch.dropout_on == "input":
            self.below, _ = batch.buffer(batch.arch.n_genes, n_covariates)

    def forward(self, mask_in, mask):
        if mask_in is not None:
            n_genes = mask_in.shape[1]
            torch.mul(self.batch.inputs[:, :n_genes], mask_in, out=self.below[:, :n_genes])
        super().forward(mask)

    def backward(self, mask_in, mask):
        self._norm_backward(mask)
        torch.mm(self.below.T, self.normalised, out=self.by_weights)


class RecordedPass(Pass):
    """The buffers for minibatches of ``n`` cells, and the whole step in them, recorded when it has run once."""

    def __init__(self, step, n):
        super().__init__(step, DenseMinibatch(step, n))
        self.weights, self._last_weights = torch.ones(3, n), None  # of the rows of `losses` in the loss
        self.noise, self.normal, self.masks = noise_buffers(step.network.arch, n)
        self._has_run, self._graph = False, None

    def run(self, rows, weight_z, weight_l, noise):
        """Move the parameters and return the loss."""
        self.batch.rows.copy_(rows, non_blocking=True)
        if (weight_z, weight_l) != self._last_weights:
            self.weights[1].fill_(weight_z / self.batch.n)
            self.weights[2].fill_(weight_l / self.batch.n)
            self._last_weights = weight_z, weight_l
        self._fill_noise(noise)
        if not (self.step.records and self._has_run):  # kernels are compiled and handles made outside of a recording
            self._update()
            self._has_run = True
        else:
            if self._graph is None:
                self._graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                    self._update()
            self._graph.replay()
        return torch.dot(self.losses.view(-1), self.weights.view(-1))

    def _fill_noise(self, noise):
        if noise is None:
            keep, generator = 1 - self.batch.arch.dropout, self.step.generator
            self.normal.normal_(generator=generator)
            if len(self.masks):
                self.masks.bernoulli_(keep, generator=generator).div_(keep)
            return
        for own, given in zip(_tensors(self.noise), _tensors(noise), strict=True):
            own.copy_(given, non_blocking=True)

    def _update(self):
        step, noise = self.step, self.noise
        step.powers.mul_(step.decays)
        self.batch.take()
        if self.encoder_l is not None:
            with self._beside():
                self.encoder_l.forward(noise.masks_l, noise.eps_l)
        self.encoder_z.forward(noise.masks_z, noise.eps_z)
        self._join()
        self.decoder.forward(noise.masks_decoder)
        self.decoder.backward(noise.masks_decoder)
        if self.encoder_l is not None:
            with self._beside():
                self.encoder_l.backward(noise.masks_l, noise.eps_l, self.weights[2])
        self.encoder_z.backward(noise.masks_z, noise.eps_z, self.weights[1])
        self._join()
        vectors = (step.parameters.gradient, step.mean, step.square, step.parameters.values)
        adam = step.optimiser
        corrected = adam.framework == "torch"
        self.batch.kernels.adam(*vectors, step.powers, self.losses, adam.lr, adam.eps, corrected)

    @contextlib.contextmanager
    def _beside(self):
        """What is started in here may run beside what comes next, up to `_join`."""
        if self.step.side is None:
            yield
            return
        self.step.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.step.side):
            yield

    def _join(self):
        if self.step.side is not None:
            torch.cuda.current_stream().wait_stream(self.step.side)


def noise_buffers(arch, n):
    """A `Noise` for ``n`` cells to be filled, and what its parts are cut from: the normal draws and the masks."""
    like = draw_noise(arch, n, torch.Generator("cpu"))  # for the shapes

    def cut(parts):
        sizes = [part.numel() for part in parts]
        vector = torch.zeros(sum(sizes))
        return vector, [own.view(part.shape) for own, part in zip(vector.split(sizes), parts, strict=True)]

    normal, eps = cut([part for part in like[:2] if part is not None])
    masks, each = cut([*like.masks_z, *like.masks_l, *like.masks_decoder])
    first, second = len(like.masks_z), len(like.masks_z) + len(like.masks_l)
    eps_l = eps[1] if like.eps_l is not None else None
    noise = Noise(eps[0], eps_l, tuple(each[:first]), tuple(each[first:second]), tuple(each[second:]))
    return noise, normal, masks


def _tensors(noise):
    eps = [noise.eps_z] if noise.eps_l is None else [noise.eps_z, noise.eps_l]
    return [*eps, *noise.masks_z, *noise.masks_l, *noise.masks_decoder]
