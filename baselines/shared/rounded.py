"""Probability of counts under a Gaussian model of y = log(1 + count): that of all y that round to them.

A density is no probability: it exceeds one where a gene varies little, and grows without bound with every gene that
hardly varies at all. A count ``k`` stands for all values between ``k - 1/2`` and ``k + 1/2``, a zero for all below
``1/2``, and their probability can be set beside that of a model of counts. The latent variables are integrated out
by importance sampling: given z the genes are independent, and each is an interval of a normal distribution.
"""

from functools import partial

import numpy as np
import torch

from scvi_core.marginal import Proposal, sampled_marginal

from .newton import Predictor, Regressions, inverse_root, row_chunks

SQRT_2 = 2**0.5
SMALLEST = 1e-150  # probability whose square, in the second derivative, does not underflow
UNBOUNDED = -1e6  # where the interval of a zero starts: finite, for the sake of its derivatives


def noise_floor(n_cells):
    """The smallest noise variance of a gene: what a single count among ``n_cells`` cells would make.

    A gene that never varies in training would have none, and its first count in a new cell no probability at all.
    """
    return np.log(2) ** 2 / n_cells


def rounded_marginal(X, loadings, mean, noise_sd, n_samples, random_state, decay=None):
    """log P(counts) of z ~ N(0, I), x = loadings z + mean + noise, and y = 0 with probability exp(-decay x²), else x.

    Parameters
    ----------
    X : CSR matrix (n_cells, n_genes)
        Counts.
    loadings : array (n_genes, n_latent)
    mean, noise_sd : array (n_genes,)
    n_samples : int
        Draws of z for each cell, at least 2.
    random_state : int
    decay : float, optional
        Of the dropout of ZIFA; without it there is none.

    Returns
    -------
    loglik, standard_error : array (n_cells,), nats
    """
    loadings, mean, sd = (torch.tensor(a, dtype=torch.float64) for a in (loadings, mean, noise_sd))
    predictor = Predictor(loadings / sd[:, None], list(range(loadings.shape[1])), mean / sd)
    prior = torch.eye(loadings.shape[1], dtype=torch.float64)
    log_prob = interval if decay is None else partial(interval_or_dropout, log_decay=np.log(decay))
    exact, wide = (
        Regressions(f, partial(_derivatives, f), [predictor], prior) for f in (log_prob, partial(_widened, log_prob))
    )
    rng = np.random.default_rng(random_state)
    parts = []
    for _, counts in row_chunks(X):
        entries = torch.stack([(counts - 0.5).log1p() / sd, (counts + 0.5).log1p() / sd, sd.expand_as(counts)], dim=2)
        entries[:, :, 0][counts == 0] = UNBOUNDED
        proposals = []
        for model in (exact, wide):
            mode = model.maximise(entries, torch.zeros(len(counts), len(prior), dtype=torch.float64))
            proposals.append(Proposal(mode, inverse_root(model.slope(entries, mode)[1])))
        parts.append(sampled_marginal(partial(exact.value, entries), proposals, n_samples, rng))
    loglik, standard_error = map(np.concatenate, zip(*parts, strict=True))
    return loglik - 0.5 * len(prior) * np.log(2 * np.pi), standard_error


def interval(entries, eta):
    """log P(low < u < high) of u ~ N(eta, 1), shape (P, m).

    Parameters
    ----------
    entries : tensor (P, m, 3)
        The bounds low (`UNBOUNDED` at a zero) and high over the noise of the gene, and that noise.
    eta : tensor (P, m)
        Expected log(1 + count) over the noise of the gene.

    Returns
    -------
    tensor (P, m), nats
    """
    low, high, _ = entries.unbind(2)
    return _log_between(low - eta, high - eta)


def interval_or_dropout(entries, eta, log_decay):
    """The same where u is seen as a zero with probability exp(-rate u²), the rate being the decay times the variance.

    N(u; eta, 1) exp(-rate u²) is the normal density of mean eta/c and variance 1/c times exp(-rate eta²/c) / sqrt(c),
    with c = 1 + 2 rate: what of it lies in the interval is lost to a count, and what lies above it won by a zero.
    """
    low, high, sd = entries.unbind(2)
    rate = (log_decay + 2 * sd.log()).exp()
    c = 1 + 2 * rate
    zero = low == UNBOUNDED
    log_dropout = -rate / c * eta**2 - 0.5 * c.log()
    root = c.sqrt()
    upper = (high - eta / c) * root
    lower = (low - eta / c) * root
    dropped = log_dropout + _log_between(torch.where(zero, upper, lower), torch.where(zero, -UNBOUNDED, upper))
    inside = _log_between(low - eta, high - eta)
    lost = inside + torch.log(-torch.expm1(torch.where(zero, -1.0, dropped - inside).clamp(max=-1e-15)))
    return torch.where(zero, torch.stack([inside, dropped]).logsumexp(0), lost)


def _log_between(low, high):
    """log of the standard normal probability between ``low`` and ``high``, taken in the tail where it is small."""
    mirrored = low > 0
    low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    probability = 0.5 * (torch.erfc(-high / SQRT_2) - torch.erfc(-low / SQRT_2))
    near = probability > SMALLEST
    value = torch.where(near, probability, 1.0).log()
    if near.all():
        return value
    top, bottom = _log_far_tail(high), _log_far_tail(low)
    return torch.where(near, value, top + torch.log(-torch.expm1((bottom - top).clamp(max=-1e-15))))


def _log_far_tail(x):
    """log of the standard normal probability below ``x`` < -26, by its asymptotic series (to 1e-9 or better)."""
    x = x.clamp(max=-10.0)  # what is not far is taken from elsewhere
    inverse = 1 / x**2
    series = torch.log1p(-inverse * (1 - inverse * (3 - 15 * inverse)))
    return -0.5 * x**2 - torch.log(-x * SQRT_2 * np.pi**0.5) + series


def _widened(log_prob, entries, eta):
    """``log_prob`` with the variance of the rounding, a twelfth of the square of the interval, added to the noise.

    Where the noise is much smaller than the interval, z may be as likely all over it: draws that go by the noise alone
    would stay at its edge. Where many genes have little noise these draws are too wide; half of all are of each kind.
    """
    low, high, sd = entries.unbind(2)
    zero = low == UNBOUNDED
    width = high - torch.where(zero, np.log(0.5) / sd, low)  # of a zero: as if it began at minus half a count
    spread = (1 + width**2 / 12).sqrt()
    scaled = torch.stack([torch.where(zero, UNBOUNDED, low / spread), high / spread, sd * spread], dim=2)
    return log_prob(scaled, eta / spread)


def _derivatives(log_prob, entries, eta):
    """First derivative of ``log_prob`` in eta and minus the second, as `newton.Regressions` takes them."""
    eta = eta.detach().requires_grad_()
    with torch.enable_grad():
        (first,) = torch.autograd.grad(log_prob(entries, eta).sum(), eta, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), eta)
    return [first.detach()], [-second]
