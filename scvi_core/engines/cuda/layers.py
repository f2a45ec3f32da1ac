"""What the training step on the GPU does beside the large products and the likelihood, in Triton.

Sums over the cells run in an order fixed by the shapes: the same seed gives the same bits.
"""

import triton
import triton.language as tl

from .zinb import log1p

CELLS, GENES = 1, 1024  # of a program that takes cells, at a time
ROWS, COLUMNS = 128, 4  # of a program that normalises: cells at a time, hidden units
DRAWS, PARAMETERS = 16, 1024  # of a program that draws, and of one that moves parameters


@triton.jit
def _take(
    rows, indptr, genes, counts, batch, x, inputs, codes, log_library, places, stride, n,
    N_GENES: tl.constexpr, LONGEST: tl.constexpr, LOG_INPUT: tl.constexpr, N_PLACES: tl.constexpr,
    N_BATCHES: tl.constexpr, BATCHES: tl.constexpr, CELLS: tl.constexpr, GENES: tl.constexpr,
):  # fmt: skip
    i = (tl.program_id(0) * CELLS + tl.arange(0, CELLS)).to(tl.int64)[:, None]
    own, at = i < n, tl.arange(0, GENES)[None, :]
    x, inputs = x + i * N_GENES, inputs + i * stride
    for start in range(0, N_GENES, GENES):
        g = start + at
        inside = own & (g < N_GENES)
        zero = tl.zeros([CELLS, GENES], tl.float32)
        tl.store(x + g, zero, mask=inside)
        tl.store(inputs + g, zero, mask=inside)
    tl.debug_barrier()  # other threads put counts where this one has put zeros
    row = tl.load(rows + i, mask=own, other=0)
    first, end = tl.load(indptr + row, mask=own, other=0), tl.load(indptr + row + 1, mask=own, other=0)
    sums = tl.zeros([CELLS, GENES], tl.float32)
    for start in range(0, LONGEST, GENES):
        j = first + start + at
        inside = j < end
        count = tl.load(counts + j, mask=inside, other=0).to(tl.float32)
        g = tl.load(genes + j, mask=inside, other=0)
        sums += count
        value = count
        if LOG_INPUT:
            value, _ = log1p(count, 1.0 + count)
        tl.store(x + g, count, mask=inside)
        tl.store(inputs + g, value, mask=inside)
    total = tl.where(own, tl.sum(sums, axis=1)[:, None], 1.0)
    code = tl.load(batch + row, mask=own, other=0)
    log, _ = log1p(total - 1.0, total)
    tl.store(log_library + i, log, mask=own)
    tl.store(codes + i, code, mask=own)
    b = tl.arange(0, BATCHES)[None, :]
    for k in tl.static_range(N_PLACES):
        to = tl.load(places + 2 * k).to(tl.pointer_type(tl.float32)) + i * tl.load(places + 2 * k + 1)
        tl.store(to + b, (b == code).to(tl.float32), mask=own & (b < N_BATCHES))


def take(rows, cells, x, inputs, codes, log_library, places, log_input, n_batches):
    """What the step needs to know of the cells in the given rows.

    Parameters
    ----------
    rows : tensor of int64 (n,)
    cells : ResidentCounts
        Sparse counts and batches of all cells.
    x, inputs : tensors (n, genes)
        Receive the counts, and log(1 + count) or the counts. ``inputs`` may be a part of a wider matrix.
    codes, log_library : tensors (n,)
        Receive the batch and the logarithm of the number of counts.
    places : tensor of int64 (n_places, 2)
        Address and distance of the rows of matrices that receive the one-hot batch (n, n_batches).
    """
    n, n_genes = x.shape
    _take[(triton.cdiv(n, CELLS),)](
        rows, cells.indptr, cells.genes, cells.counts, cells.batch, x, inputs, codes, log_library, places,
        inputs.stride(0), n, N_GENES=n_genes, LONGEST=cells.longest, LOG_INPUT=log_input, N_PLACES=len(places),
        N_BATCHES=n_batches, BATCHES=triton.next_power_of_2(n_batches), CELLS=CELLS, GENES=GENES, num_warps=8,
    )  # fmt: skip


@triton.jit
def _norm_forward(
    a, weight, bias, running_mean, running_var, n_tracked, inverse_sd, out, mask, n, width, stride, correction, eps,
    momentum, PADDED: tl.constexpr, HAS_MASK: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    k = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    r = tl.arange(0, ROWS)
    mean, var = tl.zeros([COLUMNS], tl.float32), tl.zeros([COLUMNS], tl.float32)
    for start in range(0, PADDED, ROWS):
        i = (start + r)[:, None]
        mean += tl.sum(tl.load(a + i * width + k[None, :], mask=(i < n) & (k < width)[None, :], other=0.0), axis=0)
    mean = mean / n
    for start in range(0, PADDED, ROWS):
        i = (start + r)[:, None]
        inside = (i < n) & (k < width)[None, :]
        gap = tl.load(a + i * width + k[None, :], mask=inside, other=0.0) - mean[None, :]
        var += tl.sum(tl.where(inside, gap * gap, 0.0), axis=0)
    own = k < width
    old_mean, old_var = tl.load(running_mean + k, mask=own, other=0.0), tl.load(running_var + k, mask=own, other=0.0)
    tl.store(running_mean + k, old_mean + momentum * (mean - old_mean), mask=own)
    tl.store(running_var + k, old_var + momentum * (var / (n - correction) - old_var), mask=own)
    if tl.program_id(0) == 0:
        tl.store(n_tracked, tl.load(n_tracked) + 1)
    inverse = 1.0 / tl.sqrt(var / n + eps)
    tl.store(inverse_sd + k, inverse, mask=own)
    w, b = tl.load(weight + k, mask=own, other=0.0), tl.load(bias + k, mask=own, other=0.0)
    for start in range(0, PADDED, ROWS):
        i = (start + r)[:, None]
        inside = (i < n) & own[None, :]
        normalised = (tl.load(a + i * width + k[None, :], mask=inside, other=0.0) - mean[None, :]) * inverse[None, :]
        tl.store(a + i * width + k[None, :], normalised, mask=inside)
        y = tl.maximum(normalised * w[None, :] + b[None, :], 0.0)
        if HAS_MASK:
            y *= tl.load(mask + i * width + k[None, :], mask=inside, other=0.0)
        tl.store(out + i * stride + k[None, :], y, mask=inside)


def norm_forward(
    n, width, stride, eps, momentum, correction, a, weight, bias, mean, var, n_tracked, inverse_sd, out, mask
):
    """Batch normalisation over n cells, ReLU, dropout; see kernels.c."""
    _norm_forward[(triton.cdiv(width, COLUMNS),)](
        a, weight, bias, mean, var, n_tracked, inverse_sd, out, a if mask is None else mask, n, width, stride,
        correction, eps, momentum, PADDED=-(-n // ROWS) * ROWS, HAS_MASK=mask is not None, ROWS=ROWS, COLUMNS=COLUMNS,
    )  # fmt: skip


@triton.jit
def _norm_backward(
    a, weight, inverse_sd, out, by_out, by_weight, by_bias, mask, n, width, stride,
    PADDED: tl.constexpr, HAS_MASK: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    k = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    r, own = tl.arange(0, ROWS), k < width
    weight_sum, bias_sum = tl.zeros([COLUMNS], tl.float32), tl.zeros([COLUMNS], tl.float32)
    for start in range(0, PADDED, ROWS):
        i = (start + r)[:, None]
        inside = (i < n) & own[None, :]
        by = tl.load(by_out + i * width + k[None, :], mask=inside, other=0.0)
        if HAS_MASK:
            by *= tl.load(mask + i * width + k[None, :], mask=inside, other=0.0)
        by = tl.where(tl.load(out + i * stride + k[None, :], mask=inside, other=0.0) > 0.0, by, 0.0)
        tl.store(by_out + i * width + k[None, :], by, mask=inside)
        bias_sum += tl.sum(by, axis=0)
        weight_sum += tl.sum(by * tl.load(a + i * width + k[None, :], mask=inside, other=0.0), axis=0)
    tl.store(by_weight + k, weight_sum, mask=own)
    tl.store(by_bias + k, bias_sum, mask=own)
    factor = tl.load(weight + k, mask=own, other=0.0) * tl.load(inverse_sd + k, mask=own, other=0.0)
    for start in range(0, PADDED, ROWS):
        i = (start + r)[:, None]
        inside = (i < n) & own[None, :]
        x = tl.load(a + i * width + k[None, :], mask=inside, other=0.0)
        by = tl.load(by_out + i * width + k[None, :], mask=inside, other=0.0)
        by = by - (bias_sum[None, :] + x * weight_sum[None, :]) / n
        tl.store(a + i * width + k[None, :], factor[None, :] * by, mask=inside)


def norm_backward(n, width, stride, a, weight, inverse_sd, out, by_out, by_weight, by_bias, mask):
    """Its derivatives; see kernels.c."""
    _norm_backward[(triton.cdiv(width, COLUMNS),)](
        a, weight, inverse_sd, out, by_out, by_weight, by_bias, a if mask is None else mask, n, width, stride,
        PADDED=-(-n // ROWS) * ROWS, HAS_MASK=mask is not None, ROWS=ROWS, COLUMNS=COLUMNS,
    )  # fmt: skip


@triton.jit
def _gaussian(
    heads, offset, priors, prior, value, by_value, kl, eps, weight, n, width, stride,
    HAS_OFFSET: tl.constexpr, HAS_PRIOR: tl.constexpr, BACKWARD: tl.constexpr,
    ROWS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    i = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    k = tl.arange(0, WIDTH)[None, :]
    own = i < n
    inside = own[:, None] & (k < width)
    shift = tl.load(offset + i, mask=own, other=0.0)[:, None] if HAS_OFFSET else 0.0
    which = tl.load(prior + i, mask=own, other=0) if HAS_PRIOR else tl.zeros([ROWS], tl.int64)
    prior_mean, prior_var = tl.load(priors + 2 * which)[:, None], tl.load(priors + 2 * which + 1)[:, None]
    means = heads + i[:, None] * 2 * width + k
    mean, logvar = tl.load(means, mask=inside, other=0.0), tl.load(means + width, mask=inside, other=0.0)
    gap, sd = mean + shift - prior_mean, tl.exp(0.5 * logvar)
    e = tl.load(eps + i[:, None] * width + k, mask=inside, other=0.0)
    if BACKWARD:
        w = tl.load(weight)
        by = tl.load(by_value + i[:, None] * stride + k, mask=inside, other=0.0)
        tl.store(means, by + w * gap / prior_var, mask=inside)
        tl.store(means + width, 0.5 * (by * sd * e + w * (sd * sd / prior_var - 1.0)), mask=inside)
    else:
        tl.store(value + i[:, None] * stride + k, mean + shift + sd * e, mask=inside)
        terms = (gap * gap + sd * sd) / prior_var - 1.0 - logvar + tl.log(prior_var)
        tl.store(kl + i, 0.5 * tl.sum(tl.where(inside, terms, 0.0), axis=1), mask=own)


def gaussian_forward(n, width, stride, heads, offset, priors, prior, value, kl, eps):
    """A draw of q and the divergence from the prior; see kernels.c."""
    _launch_gaussian(n, width, stride, heads, offset, priors, prior, value, value, kl, eps, eps, False)


def gaussian_backward(n, width, stride, heads, offset, priors, prior, by_value, eps, weight):
    """Its derivatives; see kernels.c. ``weight``, that of the divergence in the loss, is a tensor with one element."""
    _launch_gaussian(n, width, stride, heads, offset, priors, prior, by_value, by_value, heads, eps, weight, True)


def _launch_gaussian(n, width, stride, heads, offset, priors, prior, value, by_value, kl, eps, weight, backward):
    _gaussian[(triton.cdiv(n, DRAWS),)](
        heads, heads if offset is None else offset, priors, heads if prior is None else prior, value, by_value, kl,
        eps, weight, n, width, stride, HAS_OFFSET=offset is not None, HAS_PRIOR=prior is not None, BACKWARD=backward,
        ROWS=DRAWS, WIDTH=triton.next_power_of_2(width),
    )  # fmt: skip


@triton.jit
def _adam(gradient, mean, square, parameter, powers, loss, n, lr, eps, CORRECTED: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    unbias = 1.0 / (1.0 - tl.load(powers)).to(tl.float32)
    unbias_square = 1.0 / (1.0 - tl.load(powers + 1)).to(tl.float32)
    g, m = tl.load(gradient + i, mask=inside, other=0.0), tl.load(mean + i, mask=inside, other=0.0)
    v, p = tl.load(square + i, mask=inside, other=0.0), tl.load(parameter + i, mask=inside, other=0.0)
    m += 0.1 * (g - m)
    v = 0.999 * v + 0.001 * g * g
    if not CORRECTED:
        eps *= tl.sqrt(unbias_square)
    p -= lr * unbias * m / (tl.sqrt(v * unbias_square) + eps)
    tl.store(mean + i, m, mask=inside)
    tl.store(square + i, v, mask=inside)
    tl.store(parameter + i, p, mask=inside)
    n_bad = tl.sum(tl.where(tl.abs(p) < float("inf"), 0, 1))
    tl.store(loss, float("nan"), mask=n_bad > 0)


def adam(gradient, mean, square, parameter, powers, loss, lr, eps, corrected):
    """One step of Adam over all parameters, vectors of one length.

    ``corrected``: whether ``eps`` stands beside the corrected root of ``square`` (see `scvi_core.engines.adam.Adam`).

    ``powers``: 0.9^t and 0.999^t, double precision. The first element of ``loss`` becomes nan where a parameter is not
    finite.
    """
    n = len(parameter)
    vectors = gradient, mean, square, parameter
    _adam[(triton.cdiv(n, PARAMETERS),)](*vectors, powers, loss, n, lr, eps, CORRECTED=corrected, BLOCK=PARAMETERS)
