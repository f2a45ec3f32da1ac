"""Questions to a fitted model on the kernels of kernels.c: the answers of the plain code up to rounding, in less time.

The counts are read sparse, and no matrix of cells × genes is written that can be done without.
"""

import functools

import torch

from ...networks import Posterior
from .kernels import Kernels, refuses

CELLS = 256  # decoded at once: what the decoder puts out for them is still in the cache when it is read


class FusedAnswers:
    """What `scvi_core.engines.plain.PlainAnswers` says, in less time; same parameters."""

    name = "fused"
    refuses = staticmethod(refuses)

    def __init__(self, network, cells):
        self.network, self.cells = network, cells

    def encoded(self, library=True):
        return encoded(self.network, self.cells, library)

    def likelihood(self, x, batch):
        return Likelihood(self.network, x, batch)

    @functools.cached_property
    def mean_rho(self):
        return MeanRho(self.network)

    @functools.cached_property
    def contrast(self):
        return Contrast(self.network)


_kernels = functools.cache(Kernels)


@torch.no_grad()
def encoded(network, cells, library=True):
    """Yield (row numbers, q, number of counts, batch codes) for a few cells at a time.

    Parameters
    ----------
    cells : Cells
    library : bool
        Also q(l | x, s), where the library size is latent.

    Yields
    ------
    rows : tensor of int (cells,)
    q : Posterior
    size : tensor (cells, 1)
    codes : tensor of int (cells,)
    """
    arch = network.arch
    encoder_l = network.encoder_l if library else None
    encoders = [(e, _with_bias(e.hidden[0].linear)) for e in (network.encoder_z, encoder_l) if e is not None]
    for rows in cells.row_chunks():
        X, codes = cells.X[int(rows[0]) : int(rows[-1]) + 1].tocsr(), cells.batch[rows]
        size = torch.from_numpy(X.sum(axis=1, dtype="float32").reshape(-1, 1))
        s = network.one_hot(codes) if arch.encode_batch else size[:, :0]
        q_z, *q_l = (_encode(arch, encoder, first, X, codes, s) for encoder, first in encoders)
        l_mean, l_logvar = q_l[0] if q_l else (None, None)
        if q_l and arch.library_encoder == "offset":
            l_mean = l_mean + size.log()
        yield rows, Posterior(*q_z, l_mean, l_logvar), size, codes


def _encode(arch, encoder, first, X, codes, s):
    """Mean and log-variance from an encoder whose first layer is the matrix ``first``."""
    inputs = torch.from_numpy(X.data.astype("float32"))
    inputs = inputs.log1p_() if arch.log_input else inputs
    n, width = X.shape[0], first.shape[1]
    out, cursor = torch.empty(n, width), torch.empty(n, dtype=torch.int64)
    indptr, genes = torch.from_numpy(X.indptr.astype("int64")), torch.from_numpy(X.indices.astype("int32", copy=False))
    codes = codes if s.shape[1] else None
    shape = (torch.get_num_threads(), n, arch.n_genes, len(first) - 1, width)
    _kernels().bind("sparse_forward", *shape, indptr, genes, inputs, codes, first, out, cursor)(None)
    h = encoder.hidden[0].norm(out).relu_()
    for hidden in encoder.hidden[1:]:
        h = hidden(h, s)
    return encoder.mean(h), encoder.logvar(h)


class Likelihood:
    """log p(x | z, l, s) of some cells, for one draw of z and l after the other.

    Parameters
    ----------
    x : tensor (cells, genes)
        Counts.
    batch : tensor of int (cells,)
    """

    def __init__(self, network, x, batch):
        self.network, self.s = network, network.one_hot(batch)
        arch, decoder, kernels = network.arch, network.decoder, _kernels()
        self.weights = _of_heads(*decoder.heads())
        tables, n_thetas, n_threads = None, 0, torch.get_num_threads()
        if arch.dispersion != "gene-cell":
            log_theta = network.log_theta.detach().view(-1, arch.n_genes)
            n_thetas, tables = len(log_theta), torch.empty(len(log_theta), 4, arch.n_genes)
            for each, table in zip(log_theta, tables, strict=True):
                kernels.bind("dispersion_tables", arch.n_genes, each, table)()
        self.blocks, self.loss = [], torch.empty(len(x))
        self.log_scale, self.constants = torch.empty(len(x)), torch.empty(len(x), dtype=torch.float64)
        unused = torch.empty(len(x))
        scratch = torch.empty(n_threads, 1 + n_thetas, arch.n_genes)
        for rows in torch.arange(len(x)).split(CELLS):
            own = slice(int(rows[0]), int(rows[-1]) + 1)
            indptr, genes, values = _sparse(x[own])
            kernels.bind("describe_cells", len(rows), indptr, values.int(), unused, self.constants[own])()
            out, which = torch.empty(len(rows), self.weights.shape[1]), batch[own] if n_thetas > 1 else None
            log_scale = None if arch.library == "none" else self.log_scale[own]
            data = (indptr, genes, values, self.constants[own], "dropout" in arch.heads, out, out.stride(0))
            results = (1.0, self.loss[own], None, None, scratch)
            given = (*data, n_thetas, which, tables, log_scale, *results)
            run = kernels.bind("count_loss", n_threads, len(rows), arch.n_genes, *given)
            self.blocks.append((own, out, run))

    @torch.no_grad()
    def __call__(self, z, log_scale):
        """Nats per cell, (cells,), at z (cells, n_latent) and the logarithms of the scaling factors (cells, 1)."""
        self.log_scale.copy_(log_scale.squeeze(1))
        h = self.network.decoder.trunk(z, self.s)
        h = torch.cat([h, h.new_ones(len(h), 1)], dim=1)
        for own, out, run in self.blocks:
            torch.mm(h[own], self.weights, out=out)
            run()
        return -self.loss


class Decoder:
    """What the rate head of the decoder puts out, for at most `CELLS` positions at a time in the same memory."""

    def __init__(self, network):
        self.network, self.weights = network, _of_heads(network.decoder.rate)
        self.n_genes, self.n_threads = network.arch.n_genes, torch.get_num_threads()
        self.scratch = torch.empty(self.n_threads, self.n_genes)
        self._prepared = {}  # by the size of a block: what `prepare` returned

    def trunk(self, z, codes):
        h = self.network.decoder.trunk(z, self.network.one_hot(codes))
        return torch.cat([h, h.new_ones(len(h), 1)], dim=1)

    def block(self, *size):
        """What `prepare` makes for a block of this size, made once."""
        if size not in self._prepared:
            self._prepared[size] = self.prepare(*size)
        return self._prepared[size]

    def bind(self, kernel, size, *arguments):
        """A kernel for a block of this size."""
        shape = (*size, self.n_genes, self.weights.shape[1], self.network.arch.library != "none")
        return _kernels().bind(kernel, self.n_threads, *shape, *arguments, self.scratch)


class MeanRho(Decoder):
    """Averages the frequencies rho over draws and batches."""

    def __init__(self, network):
        super().__init__(network)
        self.total = torch.empty(0, self.n_genes)

    @torch.no_grad()
    def __call__(self, decodings):
        """Return the sum of ``weight`` times rho, (cells, genes), over a list of (z, batch codes, weight).

        The next call writes to the same memory.
        """
        n = len(decodings[0][0])
        if len(self.total) != n:
            self.total = torch.empty(n, self.n_genes)
        total = self.total.zero_()
        for z, codes, weight in decodings:
            for h, own in zip(self.trunk(z, codes).split(CELLS), total.split(CELLS), strict=True):
                rates, add = self.block(len(h))
                torch.mm(h, self.weights, out=rates)
                add(weight, own)
        return total

    def prepare(self, n):
        rates = torch.empty(n, self.weights.shape[1])
        return rates, self.bind("add_frequencies", (n,), rates)


class Contrast(Decoder):
    """Compares the frequencies rho at pairs of draws."""

    def __init__(self, network):
        super().__init__(network)
        self.fold = torch.empty(self.n_genes, dtype=torch.float64)

    @torch.no_grad()
    def __call__(self, z_a, z_b, codes, n_samples):
        """The draws of several pairs of cells, ``n_samples`` of each one after the other, decoded in given batches.

        Parameters
        ----------
        z_a, z_b : tensors (pairs * n_samples, n_latent)
        codes : tensor of int (pairs * n_samples,)

        Returns
        -------
        wins : tensor (pairs, genes)
            The number of draws with the larger frequency at ``z_a``.
        fold : tensor (genes,), float64
            The sum over all draws of log rho_a - log rho_b; the next call writes to the same memory.
        """
        wins = torch.empty(len(codes) // n_samples, self.n_genes)
        self.fold.zero_()
        pairs = max(1, CELLS // n_samples)
        h_a, h_b = (self.trunk(z, codes).split(pairs * n_samples) for z in (z_a, z_b))
        for own, own_a, own_b in zip(wins.split(pairs), h_a, h_b, strict=True):
            (rates_a, rates_b), contrast = self.block(len(own), n_samples)
            torch.mm(own_a, self.weights, out=rates_a)
            torch.mm(own_b, self.weights, out=rates_b)
            contrast(own)
        return wins, self.fold

    def prepare(self, n_pairs, n_samples):
        rates = torch.empty(2, n_pairs * n_samples, self.weights.shape[1])
        return rates, self.bind("contrast", (n_pairs, n_samples), *rates, self.fold)


def _sparse(x):
    """Row starts, columns and values of the entries that are not zero."""
    rows, columns = x.nonzero(as_tuple=True)
    starts = torch.zeros(len(x) + 1, dtype=torch.int64)
    starts[1:] = rows.bincount(minlength=len(x)).cumsum(0)
    return starts, columns.int(), x[rows, columns]


@torch.no_grad()
def _with_bias(*linears):
    """Transposed weights of layers side by side with the bias as last row, (n_in + 1, sum of n_out)."""
    return torch.cat([torch.cat([linear.weight.T, linear.bias[None]]) for linear in linears], dim=1).contiguous()


def _of_heads(*linears):
    """The same with columns of zeros up to a multiple of 8, where a product is faster."""
    weights = _with_bias(*linears)
    return torch.nn.functional.pad(weights, (0, -weights.shape[1] % 8))
