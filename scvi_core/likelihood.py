"""The count likelihood of the paper (Appendices A and B): negative binomial, with or without zero inflation.

Everything is a function of the *logarithms* of the mean mu and of the inverse dispersion theta and of the *logit* of
the dropout probability pi, so that nothing overflows; a pmf close to one or a parameter of 1e-4 or 1e6 keeps its
relative precision, in float32 as well. The gamma functions of a zero count cancel,

    log NB(0; mu, theta) = theta log(theta / (theta + mu)),

so they are evaluated at the non-zero counts only, and at one theta per gene. There the textbook expression subtracts
numbers of the size of x log x to leave one of the size of log x. Writing lgamma(a) = (a - 1/2) log a - a +
log(2 pi)/2 + S(a) and n = x + theta, the large parts cancel on paper and positive terms remain (Loader 2000):

    log NB(x; mu, theta) = K(x, theta) - x h(v) - theta h(w),   h(u) = u - log(1 + u) >= 0,
    K = [log theta - log n - log x - log 2 pi] / 2 + S(n) - S(theta) - S(x),
    w = (x - mu) / (theta + mu),    v = -theta w / x.

K does not depend on the mean, hence not on the latent variables: an importance-weighted estimate needs it once.
"""

import math
from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_SERIES_FROM = 10.0  # the last term of the series is below 1e-15 from here on


class NonZero(NamedTuple):
    """Where a dense count matrix is not zero, and what stands there: three vectors of one length."""

    entries: torch.Tensor  # positions in the flattened matrix
    genes: torch.Tensor
    counts: torch.Tensor

    @classmethod
    def of(cls, x):
        entries = x.flatten().nonzero().squeeze(1)
        return cls(entries, entries % x.shape[1], x.flatten()[entries])

    def at(self, values):
        """Entries of ``values``, shape (genes,) or (cells, genes), at the non-zero counts."""
        return values[self.genes] if values.dim() == 1 else values.flatten()[self.entries]


def nb_log_prob(x, log_mu, log_theta, nonzero=None, coefficient=None):
    """Log-probability of counts under the negative binomial (paper, Appendix B).

    Parameters
    ----------
    x : tensor (cells, genes)
        Counts, of the floating type of the parameters.
    log_mu : tensor (cells, genes)
        Logarithm of the mean.
    log_theta : tensor (genes,) or (cells, genes)
        Logarithm of the inverse dispersion: the variance is mu + mu² / theta.
    nonzero : NonZero, optional
        ``NonZero.of(x)``, where the caller has it already.
    coefficient : tensor, optional
        ``nb_coefficient(nonzero, log_theta)``, where the caller has it already; it is then taken as a constant.

    Returns
    -------
    tensor (cells, genes), nats
    """
    nonzero = NonZero.of(x) if nonzero is None else nonzero
    return _NegativeBinomial.apply(x, log_mu, log_theta, nonzero, coefficient)


def zinb_log_prob(x, log_mu, log_theta, dropout_logit, nonzero=None, coefficient=None):
    """Log-probability of counts under the zero-inflated negative binomial (paper, Appendix A).

    As `nb_log_prob`, with ``dropout_logit`` (cells, genes), the logit of the probability that the entry is dropped.
    """
    return _ZeroInflation.apply(x, nb_log_prob(x, log_mu, log_theta, nonzero, coefficient), dropout_logit)


def nb_coefficient(nonzero, log_theta):
    """K(x, theta) of the module's formula at the non-zero counts: the part of log NB without the mean."""
    x = nonzero.counts
    n = x + nonzero.at(log_theta.exp())
    theta_part = 0.5 * (log_theta - math.log(2 * math.pi)) - stirling_remainder(log_theta.exp())
    return nonzero.at(theta_part) - 0.5 * (n.log() + x.log()) + stirling_remainder(n) - stirling_remainder(x)


def stirling_remainder(a):
    """S(a) = lgamma(a) - [(a - 1/2) log a - a + log(2 pi)/2] for a > 0."""
    small = a.clamp(max=_SERIES_FROM)
    direct = small.lgamma() - ((small - 0.5) * small.log() - small + 0.5 * math.log(2 * math.pi))
    b = a.clamp(min=_SERIES_FROM).reciprocal()
    series = b * _polynomial(b * b, _STIRLING)
    return torch.where(a < _SERIES_FROM, direct, series)


def stirling_remainder_slope(a):
    """S'(a) = digamma(a) - log a + 1 / (2 a) for a > 0."""
    small = a.clamp(max=_SERIES_FROM)
    direct = small.digamma() - small.log() + 0.5 / small
    b2 = a.clamp(min=_SERIES_FROM).reciprocal().square()
    series = -b2 * _polynomial(b2, [(2 * k + 1) * c for k, c in enumerate(_STIRLING)])
    return torch.where(a < _SERIES_FROM, direct, series)


def log1p_gap(u, log1p_u):
    """h(u) = u - log(1 + u) to full relative precision; ``log1p_u`` is its logarithm, used away from u = 0."""
    s = u / (2 + u)  # log(1 + u) = 2 atanh(s) = 2 (s + s³/3 + s⁵/5 + ...)
    s2 = s * s
    terms = 5 if u.dtype == torch.float32 else 11  # |s| < 1/5 where it is used
    series = s * (u - 2 * s2 * _polynomial(s2, [1 / (2 * k + 3) for k in range(terms)]))
    return torch.where(u.abs() < 1 / 3, series, u - log1p_u)


def _polynomial(x, coefficients):
    """Horner's rule; lowest power first."""
    value = torch.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value.mul_(x).add_(c)
    return value


class _NegativeBinomial(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, log_mu, log_theta, nonzero, coefficient):
        ctx.save_for_backward(x, log_mu, log_theta)
        ctx.nonzero = nonzero
        out = log_theta.exp() * logsigmoid(log_theta - log_mu)  # as if every count were zero
        k = nb_coefficient(nonzero, log_theta) if coefficient is None else coefficient
        x, log_mu, theta = nonzero.counts, nonzero.at(log_mu), nonzero.at(log_theta.exp())
        mu = log_mu.exp()
        w = (x - mu) / (theta + mu)
        v = -theta * w / x
        log1p_w = ((x + theta) / (theta + mu)).log()
        log1p_v = torch.where(v > -0.9, v.log1p(), log1p_w + log_mu - x.log())
        out.view(-1)[nonzero.entries] = k - x * log1p_gap(v, log1p_v) - theta * log1p_gap(w, log1p_w)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, log_mu, log_theta = ctx.saved_tensors  # (cells, genes), (cells, genes), (genes,) or (cells, genes)
        nonzero, mu, theta = ctx.nonzero, log_mu.exp(), log_theta.exp()
        w = (x - mu) / (theta + mu)
        grad_mu = grad * theta * w
        if not ctx.needs_input_grad[2]:
            return None, grad_mu, None, None, None
        slope = -theta * log1p_gap(w, ((x + theta) / (theta + mu)).log())
        n = nonzero.counts + nonzero.at(theta)
        slope.view(-1)[nonzero.entries] += 0.5 * nonzero.counts / n + nonzero.at(theta) * (
            stirling_remainder_slope(n) - nonzero.at(stirling_remainder_slope(theta))
        )
        return None, grad_mu, (grad * slope).sum_to_size(log_theta.shape), None, None


class _ZeroInflation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, nb, dropout_logit):
        ctx.save_for_backward(x, nb, dropout_logit)
        log_kept = logsigmoid(-dropout_logit)  # log(1 - pi)
        missing = (-dropout_logit).sigmoid() * nb.expm1()  # P(x = 0) - 1, exact where that probability is near one
        zero = torch.where(missing > -0.5, missing.log1p(), torch.logaddexp(dropout_logit, nb) + log_kept)
        return torch.where(x > 0, nb + log_kept, zero)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, nb, dropout_logit = ctx.saved_tensors
        from_dropout = (dropout_logit - nb).sigmoid()  # P(dropped | x = 0)
        kept = (-dropout_logit).sigmoid()
        grad_nb = torch.where(x > 0, 1.0, 1 - from_dropout)
        grad_logit = torch.where(x > 0, kept - 1, -kept * from_dropout * nb.expm1())
        return None, grad * grad_nb, grad * grad_logit
