"""The layers of the networks for one minibatch size, forth and back, each with its buffers; see c/step.py.

A layer's result has columns behind it for what the next layer reads as well: the one-hot batch, and a one for the bias.
The kernels are bound to the buffers once; what changes from step to step is passed last.
"""

import torch


def address(tensor):
    """Address of the first element, for a kernel; None stays None."""
    return None if tensor is None else tensor.data_ptr()


class Buffers:
    """What the layers for ``n`` cells write to, and the kernels bound to it.

    Parameters
    ----------
    step : object
        Has ``kernels`` and ``parameters``, a `ParameterVector`.
    n : int
    """

    def __init__(self, step, n):
        self.step, self.n = step, n

    def bind(self, kernel, *arguments):
        return self.step.kernels.bind(kernel, *arguments)

    def matrices(self, linear):
        """The weights of a linear layer and of those beside it, and their derivatives."""
        parameters = self.step.parameters
        return (parameters.matrix(vector, linear) for vector in (parameters.values, parameters.gradient))

    def derivative(self, parameter):
        """Where the derivative of a parameter goes; that of one which is not trained is kept out of the gradient."""
        if not parameter.requires_grad:
            return torch.empty_like(parameter)
        return self.step.parameters.part(self.step.parameters.gradient, parameter)

    def buffer(self, width, n_covariates):
        """A result (n, width + n_covariates + 1), and what writes the batch into it."""
        whole = torch.zeros(self.n, width + n_covariates + 1)
        whole[:, -1] = 1
        if not n_covariates:
            return whole, lambda: None
        return whole, self.bind("one_hot", self.n, whole.shape[1], width, n_covariates, self.codes, whole)

    def output(self, n_columns):
        """Where the last layer puts what it computes, (n, n_columns); rows a multiple of 32 bytes apart fill faster."""
        return torch.empty(self.n, -(-n_columns // 8) * 8)[:, :n_columns]


class Minibatch(Buffers):
    """``n`` cells, sparse, with what the layers need to know of them.

    Attributes
    ----------
    indptr, genes, counts, inputs : tensors
        Row by row the non-zero counts, and what the encoders read for them: log(1 + count) or the count.
    starts, by_gene : tensors
        The inputs gene by gene: `input_t` of kernels.c.
    codes, log_library, constants : tensors (n,)
        Batch, log library size, and the part of the log-likelihood that the counts alone decide.
    """

    def __init__(self, step, n):
        super().__init__(step, n)
        self.arch = step.network.arch
        n_genes = self.arch.n_genes
        room = n * n_genes  # memory that is not touched is not taken
        self.indptr, self.genes = torch.empty(n + 1, dtype=torch.int64), torch.empty(room, dtype=torch.int32)
        self.counts, self.inputs = torch.empty(room), torch.empty(room)
        self.starts, self.by_gene = torch.empty(n_genes + 1, dtype=torch.int32), torch.empty(room, dtype=torch.int64)
        self.codes, self.log_library = torch.empty(n, dtype=torch.int64), torch.empty(n)
        self.constants = torch.empty(n, dtype=torch.float64)
        by_row = (self.indptr, self.genes, self.counts, self.inputs)
        by_gene = (self.starts, self.by_gene)
        of_cells = (self.codes, self.log_library, self.constants)
        self._take = self.bind("take", n, n_genes, self.arch.log_input, *by_row, *by_gene, *of_cells)

    def take(self, rows):
        counts, rows = self.step.counts_of(rows)
        self._take(*counts.arrays, rows)

    def first_layer(self, module, n_covariates, n_covariates_after):
        return FirstHidden(self, module, n_covariates, n_covariates_after)

    def count_loss(self, network, out, log_l, by_log_l, loss):
        """What turns ``out``, what the decoder put out, into the derivatives and fills ``by_log_l`` and ``loss``."""
        arch, n_genes, threads = self.arch, self.arch.n_genes, self.step.n_threads
        tabulate, tables, which, by_log_theta, n_thetas = [], None, None, None, 0
        if arch.dispersion != "gene-cell":
            log_theta, by_log_theta = network.log_theta, self.derivative(network.log_theta)
            n_thetas = log_theta.numel() // n_genes
            which = self.codes if n_thetas > 1 else None
            tables = torch.empty(n_thetas, 4, n_genes)
            for each, table in zip(log_theta.detach().view(n_thetas, n_genes), tables, strict=True):
                tabulate.append(self.bind("dispersion_tables", n_genes, each, table))
        scratch = torch.empty(threads, 1 + n_thetas, n_genes)
        run = self.bind(
            "count_loss", threads, self.n, n_genes, self.indptr, self.genes, self.counts, self.constants,
            "dropout" in arch.heads, out, out.stride(0), n_thetas, which, tables, log_l, 1 / self.n, loss, by_log_l,
            by_log_theta, scratch,
        )  # fmt: skip

        def count_loss():
            for each in tabulate:
                each()
            run()

        return count_loss


class Hidden:
    """A hidden layer behind another one: dense, batch normalisation, ReLU, dropout.

    Attributes
    ----------
    out : tensor (n, n_hidden + n_covariates + 1)
    by_out : tensor (n, n_hidden)
        The derivative with respect to ``out``, to be set before `backward`, which overwrites it.

    Parameters
    ----------
    below : pair of tensors
        What the layer reads, and where the derivative with respect to it goes; None where nobody asks for that.
    """

    def __init__(self, batch, module, n_covariates_after, below=None):
        n, norm = batch.n, module.norm
        width = norm.num_features
        self.weights, self.by_weights = batch.matrices(module.linear)
        self.normalised, self.by_out = torch.empty(n, width), torch.empty(n, width)
        self.out, self._write_batch = batch.buffer(width, n_covariates_after)
        inverse_sd, shape = torch.empty(width), (n, width, self.out.stride(0))
        running = (norm.running_mean, norm.running_var, norm.num_batches_tracked)
        parameters, derivatives = (norm.weight, norm.bias), (batch.derivative(norm.weight), batch.derivative(norm.bias))
        self._norm_forward = batch.bind(
            "norm_forward",
            *shape,
            norm.eps,
            norm.momentum,
            norm.correction,
            self.normalised,
            *parameters,
            *running,
            inverse_sd,
            self.out,
        )
        self._norm_backward = batch.bind(
            "norm_backward", *shape, self.normalised, norm.weight, inverse_sd, self.out, self.by_out, *derivatives
        )
        if below is not None:
            self.below, self.by_below = below

    def forward(self, mask):
        torch.mm(self.below, self.weights, out=self.normalised)
        self._norm_forward(mask)
        self._write_batch()

    def backward(self, mask):
        self._norm_backward(mask)
        torch.mm(self.below.T, self.normalised, out=self.by_weights)
        if self.by_below is not None:
            torch.mm(self.normalised, self.weights[: self.by_below.shape[1]].T, out=self.by_below)


class FirstHidden(Hidden):
    """The first hidden layer of an encoder: it reads the sparse counts."""

    def __init__(self, batch, module, n_covariates, n_covariates_after):
        super().__init__(batch, module, n_covariates_after)
        codes = batch.codes if n_covariates else None
        shape = (batch.step.n_threads, batch.n, batch.arch.n_genes, len(self.weights) - 1, module.norm.num_features)
        by_row, by_gene = (batch.indptr, batch.genes, batch.inputs), (batch.starts, batch.by_gene)
        cursor = torch.empty(batch.n, dtype=torch.int64)
        self._forward = batch.bind("sparse_forward", *shape, *by_row, codes, self.weights, self.normalised, cursor)
        self._backward = batch.bind("sparse_backward", *shape, *by_gene, codes, self.normalised, self.by_weights)

    def forward(self, mask_in, mask):
        self._forward(mask_in)
        self._norm_forward(mask)
        self._write_batch()

    def backward(self, mask_in, mask):
        self._norm_backward(mask)
        self._backward(mask_in)


class Encoder:
    """q(z | x, s) or q(l | x, s): a draw by reparametrisation, and the divergence from the prior.

    Parameters
    ----------
    prior : tensor (., 2)
        Mean and variance, one pair or one per batch.
    offset : tensor (n,) or None
        Added to the mean.
    value, by_value : tensors (n, .)
        Where the draw goes, and where the derivative with respect to it will stand.
    kl : tensor (n,)
    """

    def __init__(self, batch, module, prior, offset, value, by_value, kl):
        n_covariates = batch.arch.n_covariates if batch.arch.encode_batch else 0
        after = [n_covariates] * (len(module.hidden) - 1) + [0]
        self.input_dropout = batch.arch.dropout_on == "input"
        self.first = batch.first_layer(module.hidden[0], n_covariates, after[0])
        self.others, last = [], self.first
        for hidden, behind in zip(module.hidden[1:], after[1:], strict=True):
            last = Hidden(batch, hidden, behind, below=(last.out, last.by_out))
            self.others.append(last)
        self.last, (self.weights, self.by_weights) = last, batch.matrices(module.mean)
        width = self.weights.shape[1] // 2
        self.heads, shape = torch.empty(batch.n, 2 * width), (batch.n, width)
        given = (self.heads, offset, prior, batch.codes if len(prior) > 1 else None)
        self._draw = batch.bind("gaussian_forward", *shape, value.stride(0), *given, value, kl)
        self._draw_backward = batch.bind("gaussian_backward", *shape, by_value.stride(0), *given, by_value)

    def forward(self, masks, eps):
        first, *others = self._masks(masks)
        self.first.forward(*first)
        for hidden, mask in zip(self.others, others, strict=True):
            hidden.forward(mask)
        torch.mm(self.last.out, self.weights, out=self.heads)
        self._draw(eps)

    def backward(self, masks, eps, weight):
        """``weight`` is that of a cell's divergence in the loss."""
        self._draw_backward(eps, weight)
        torch.mm(self.last.out.T, self.heads, out=self.by_weights)
        torch.mm(self.heads, self.weights[:-1].T, out=self.last.by_out)
        first, *others = self._masks(masks)
        for hidden, mask in zip(reversed(self.others), reversed(others), strict=True):
            hidden.backward(mask)
        self.first.backward(*first)

    def _masks(self, masks):
        """The masks (in front of, behind) the first layer, and those behind the others."""
        if not masks:
            return ((None, None), *[None] * len(self.others))
        before, *after = (*masks, None) if self.input_dropout else (None, *masks)
        return ((before, after[0]), *after[1:])


class Decoder:
    """p(x | z, l, s): the decoder's layers and minus the log-likelihood of the counts.

    Parameters
    ----------
    log_l, by_log_l : tensors (n,), or None without a library size
    loss : tensor (n,)
        Receives minus the log-likelihood of each cell, over ``n``.

    Attributes
    ----------
    z, by_z : tensors (n, n_latent)
        ``z`` is to be filled before `forward`; `backward` fills the derivative.
    """

    def __init__(self, batch, network, log_l, by_log_l, loss):
        arch, n = batch.arch, batch.n
        below, self._write_batch = batch.buffer(arch.n_latent, arch.n_covariates)
        self.z, self.by_z = below[:, : arch.n_latent], torch.empty(n, arch.n_latent)
        self.hidden, by_below = [], self.by_z
        for module in network.decoder.hidden:
            self.hidden.append(Hidden(batch, module, arch.n_covariates, below=(below, by_below)))
            below, by_below = self.hidden[-1].out, self.hidden[-1].by_out
        self.below, self.by_below = below, by_below
        self.weights, self.by_weights = batch.matrices(network.decoder.rate)
        self.out = batch.output(self.weights.shape[1])
        self._count_loss = batch.count_loss(network, self.out, log_l, by_log_l, loss)

    def forward(self, masks):
        self._write_batch()
        for hidden, mask in zip(self.hidden, self._masks(masks), strict=True):
            hidden.forward(mask)
        torch.mm(self.below, self.weights, out=self.out)

    def backward(self, masks):
        self._count_loss()  # what the decoder put out is replaced by the derivatives
        torch.mm(self.below.T, self.out, out=self.by_weights)
        torch.mm(self.out, self.weights[: self.by_below.shape[1]].T, out=self.by_below)
        for hidden, mask in zip(reversed(self.hidden), reversed(self._masks(masks)), strict=True):
            hidden.backward(mask)

    def _masks(self, masks):
        return (*masks, None) if masks else (None,) * len(self.hidden)
