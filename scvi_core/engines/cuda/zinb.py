"""The likelihood of the counts and its derivatives on the GPU, in Triton; likelihood.py explains the formulas.

Arithmetic is in single precision, with polynomials of its own for the logarithm near one and for the gamma functions:
what the GPU computes is what Triton's interpreter computes on a CPU, up to rounding and the GPU's exponential (relative
error about 1e-7 times its argument). The gamma functions are evaluated for every entry, in registers; at zeros, where
they cancel, they are not used. The polynomials are those of c/kernels.c, and a test holds the two to be equal.
"""

import triton
import triton.language as tl

CELLS, GENES = 1, 1024  # of a program, at a time

# Bounds on the logarithms of theta and l, which keeps mu / theta finite, and on the logit, where float has long called
# the probability 0 or 1.
RANGE, LOGIT_RANGE = tl.constexpr(43.0), tl.constexpr(60.0)


@triton.jit
def within(x, bound):
    return tl.minimum(tl.maximum(x, -bound), bound)


@triton.jit
def log1p(u, q):
    """log(1 + u), and how far it is above u, from u and q = 1 + u.

    With q = 2^k (1 + f) near one; where k = 0 nothing cancels, so that both keep their relative precision however small
    u is.
    """
    bits = q.to(tl.int32, bitcast=True) - 0x3F3504F3  # sqrt(1/2)
    k = bits >> 23
    f = ((bits & 0x007FFFFF) + 0x3F3504F3).to(tl.float32, bitcast=True) - 1.0
    f = tl.where(k == 0, u, f)
    p = -0.0790274377
    p = p * f + 0.126223198
    p = p * f - 0.129981838
    p = p * f + 0.142144959
    p = p * f - 0.166412815
    p = p * f + 0.200010451
    p = p * f - 0.250003064
    p = p * f + 0.333333307
    excess = f * f * (f * p - 0.5)
    log = k.to(tl.float32) * 0.693147180559945 + (f + excess)
    return log, tl.where(k == 0, excess, log - u)


@triton.jit
def expm1_ratio(x):
    """(exp(x) - 1) / x for -1/2 <= x <= 0, clipped below."""
    x = tl.maximum(x, -0.5)
    p = 0.00112340422
    p = p * x + 0.00818961363
    p = p * x + 0.0416300728
    p = p * x + 0.166662419
    p = p * x + 0.499999819
    return p * x + 1.0


@triton.jit
def stirling(b):
    """S(a) = lgamma(a) - [(a - 1/2) log a - a + log(2 pi)/2] for a >= 1, from b = 1 / a."""
    p = 0.000142218941
    p = p * b - 0.000645669863
    p = p * b + 0.00106353309
    p = p * b - 6.09097331e-05
    p = p * b - 0.00277068811
    p = p * b - 3.49734534e-07
    p = p * b + 0.0833333367
    return p * b


@triton.jit
def stirling_slope(b):
    """-S'(a) = log a - 1 / (2 a) - digamma(a) for a >= 1, from b = 1 / a."""
    p = -0.000252634789
    p = p * b + 0.00072127025
    p = p * b + 0.00024565859
    p = p * b - 0.00354923833
    p = p * b + 0.00528473865
    p = p * b - 0.000258195322
    p = p * b - 0.00830834454
    p = p * b - 9.31262852e-07
    p = p * b + 0.0833333391
    return p * b * b


@triton.jit
def nb_of_zero(mu, theta, inverse):
    """log NB(0), its slopes in log mu and log theta, and log(1 + mu / theta)."""
    e = mu * inverse
    q = 1.0 + e
    share = e / q
    log, excess = log1p(e, q)
    gap = tl.where(e < 0.41, e * share + excess, log - share)  # log(1 + e) - e / (1 + e)
    return -theta * log, -theta * share, -theta * gap, log


@triton.jit
def nb_of_count(x, mu, theta, inverse, log_ratio):
    """The same for counts x >= 1: K - x h(v) - theta h(w), and its slopes."""
    # S(theta) and -S'(theta); below one by S(a) = S(a + 1) + (a + 1/2) log(1 + 1/a) - 1.
    b = tl.where(theta < 1.0, 1.0 / (theta + 1.0), inverse)
    log, _ = log1p(inverse, 1.0 + inverse)
    s = stirling(b) + tl.where(theta < 1.0, (theta + 0.5) * log - 1.0, 0.0)
    slope = stirling_slope(b) + tl.where(theta < 1.0, (theta + 0.5) * inverse * b - log, 0.0)

    n_inverse, sum_inverse, x_inverse = 1.0 / (x + theta), 1.0 / (theta + mu), 1.0 / x
    w, q = (x - mu) * sum_inverse, (x + theta) * sum_inverse  # q = 1 + w
    log_w, excess_w = log1p(w, q)
    _, excess_v = log1p(-theta * w * x_inverse, mu * x_inverse * q)
    log_x, _ = log1p(x - 1.0, x)
    value = x * excess_v + theta * excess_w - 0.5 * (log_w + log_ratio) + stirling(n_inverse) - s
    value -= 0.5 * log_x + 0.918938533 + stirling(x_inverse)  # log(2 pi) / 2
    by_theta = theta * (excess_w + slope - stirling_slope(n_inverse)) + 0.5 * x * n_inverse
    return value, theta * w, by_theta


@triton.jit
def inflate_zero(nb, logit):
    """log ZINB(0), its slope in log NB(0), and its slope in the dropout logit."""
    odds = tl.exp(logit)
    kept = 1.0 / (1.0 + odds)
    nb_odds = tl.exp(nb - logit)
    from_dropout = 1.0 / (1.0 + nb_odds)
    small = nb > -0.5  # there 1 - exp(nb) would cancel
    missing = kept * tl.where(small, nb * expm1_ratio(nb), odds * nb_odds - 1.0)  # P(x = 0) - 1
    q = tl.where(small, 1.0 + missing, (1.0 + nb_odds) * kept)
    log, _ = log1p(tl.where(small, missing, q - 1.0), q)
    return tl.where(small, 0.0, logit) + log, nb_odds * from_dropout, -missing * from_dropout


@triton.jit
def log_kept(logit):
    """log(1 - pi), and its slope."""
    odds = tl.exp(-tl.abs(logit))
    larger = 1.0 / (1.0 + odds)
    log, _ = log1p(larger - 1.0, larger)
    return log - tl.maximum(logit, 0.0), tl.where(logit >= 0.0, -larger, -odds * larger)


@triton.jit
def _count_loss(
    counts, out, log_theta, codes, log_l, loss, by_log_l, by_log_mu, by_log_theta, scale, n,
    N_GENES: tl.constexpr, HEADS: tl.constexpr, HAS_DROPOUT: tl.constexpr, SOFTMAX: tl.constexpr,
    THETA_OF_BATCH: tl.constexpr, THETA_IN_OUT: tl.constexpr, CELLS: tl.constexpr, GENES: tl.constexpr,
):  # fmt: skip
    i = (tl.program_id(0) * CELLS + tl.arange(0, CELLS)).to(tl.int64)
    row, own = i[:, None], (i < n)[:, None]  # tiles are (CELLS, GENES)
    genes = tl.arange(0, GENES)[None, :]
    counts, by_log_mu, by_log_theta = counts + row * N_GENES, by_log_mu + row * N_GENES, by_log_theta + row * N_GENES
    rates = out + row * HEADS * N_GENES
    logits = rates + N_GENES
    log_thetas = log_theta + row * 0
    if THETA_OF_BATCH:
        log_thetas = log_theta + tl.load(codes + row, mask=own, other=0) * N_GENES
    if THETA_IN_OUT:
        log_thetas = rates + (HEADS - 1) * N_GENES
        by_log_theta = log_thetas

    top = tl.zeros([CELLS, 1], tl.float32)
    shift, factor = top, top
    if SOFTMAX:
        tops = tl.full([CELLS, GENES], float("-inf"), tl.float32)
        for start in range(0, N_GENES, GENES):
            g = start + genes
            tops = tl.maximum(tops, tl.load(rates + g, mask=own & (g < N_GENES), other=float("-inf")))
        top = tl.max(tops, axis=1)[:, None]
        top = tl.where(own, top, 0.0)
        sums = tl.zeros([CELLS, GENES], tl.float32)
        for start in range(0, N_GENES, GENES):
            g = start + genes
            rate = tl.load(rates + g, mask=own & (g < N_GENES), other=0.0)
            sums += tl.where(g < N_GENES, tl.exp(rate - top), 0.0)
        shift = within(tl.load(log_l + row, mask=own, other=0.0), RANGE)
        factor = tl.exp(shift) / tl.sum(sums, axis=1)[:, None]

    values, slopes = tl.zeros([CELLS, GENES], tl.float32), tl.zeros([CELLS, GENES], tl.float32)
    for start in range(0, N_GENES, GENES):
        g = start + genes
        inside = own & (g < N_GENES)
        rate = tl.load(rates + g, mask=inside, other=0.0)
        mu = tl.exp(rate - top) * factor if SOFTMAX else tl.exp(within(rate, RANGE))
        log_a = within(tl.load(log_thetas + g, mask=inside, other=0.0), RANGE)
        theta, inverse = tl.exp(log_a), tl.exp(-log_a)
        x = tl.load(counts + g, mask=inside, other=0.0)
        zero = x == 0.0
        value, by_mu, by_theta, log_ratio = nb_of_zero(mu, theta, inverse)
        value_x, by_mu_x, by_theta_x = nb_of_count(tl.where(zero, 1.0, x), mu, theta, inverse, log_ratio)
        if HAS_DROPOUT:
            logit = tl.load(logits + g, mask=inside, other=0.0)
            value, from_nb, by_logit = inflate_zero(value, within(logit, LOGIT_RANGE))
            by_mu, by_theta = by_mu * from_nb, by_theta * from_nb
            kept, by_logit_x = log_kept(logit)
            value_x += kept
            tl.store(logits + g, -scale * tl.where(zero, by_logit, by_logit_x), mask=inside)
        by_mu = tl.where(zero, by_mu, by_mu_x)
        values += tl.where(inside, tl.where(zero, value, value_x), 0.0)
        slopes += tl.where(inside, by_mu, 0.0)
        tl.store(by_log_theta + g, -scale * tl.where(zero, by_theta, by_theta_x), mask=inside)
        tl.store((by_log_mu if SOFTMAX else rates) + g, -scale * by_mu, mask=inside)
    slope = -scale * tl.sum(slopes, axis=1)[:, None]
    tl.store(loss + row, -scale * tl.sum(values, axis=1)[:, None], mask=own)
    if SOFTMAX:  # d rate = d log mu - rho sum(d log mu)
        tl.store(by_log_l + row, slope, mask=own)
        share = slope * tl.exp(-shift) * factor
        for start in range(0, N_GENES, GENES):
            g = start + genes
            inside = own & (g < N_GENES)
            rho = tl.exp(tl.load(rates + g, mask=inside, other=0.0) - top)
            tl.store(rates + g, tl.load(by_log_mu + g, mask=inside, other=0.0) - share * rho, mask=inside)


def count_loss(counts, out, heads, log_theta, codes, log_l, scale, loss, by_log_l, by_log_mu, by_log_theta):
    """Minus the log-likelihood of every cell, times ``scale``, and its derivatives.

    Parameters
    ----------
    counts : tensor (cells, genes)
    out : tensor (cells, heads * genes)
        What the decoder puts out: the rate and then, where there are, the dropout logit and log theta; replaced by the
        derivatives.
    heads : tuple (bool, bool)
        Whether there is a dropout logit, and whether log theta is in ``out``.
    log_theta : tensor (genes,) or (batches, genes), or None where it is in ``out``
    codes : tensor of int (cells,)
        Batch of each cell.
    log_l : tensor (cells,) or None
        Added to the logarithm of the softmax of the rate; None: no softmax, the rate is log mu.
    loss, by_log_l : tensors (cells,)
        Results; ``by_log_l`` only where there is ``log_l``.
    by_log_mu, by_log_theta : tensors (cells, genes)
        Scratch, and the derivative by log theta of every entry where it is not in ``out``.
    """
    n, n_genes = counts.shape
    has_dropout, theta_in_out = heads
    _count_loss[(triton.cdiv(n, CELLS),)](
        counts, out, out if log_theta is None else log_theta, codes, loss if log_l is None else log_l, loss, by_log_l,
        by_log_mu, by_log_theta, scale, n,
        N_GENES=n_genes, HEADS=1 + has_dropout + theta_in_out, HAS_DROPOUT=has_dropout, SOFTMAX=log_l is not None,
        THETA_OF_BATCH=log_theta is not None and log_theta.dim() == 2, THETA_IN_OUT=theta_in_out,
        CELLS=CELLS, GENES=GENES, num_warps=8,
    )  # fmt: skip
