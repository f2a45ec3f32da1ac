"""The count likelihoods: those of the paper (Appendices A and B), negative binomial with or without zero inflation.

What the model knows of a likelihood is an object of `LIKELIHOODS`, and ``SCVI(likelihood=)`` takes its name: another
likelihood is a class (see `CountLikelihood`) and an entry there. The functions behind them come first.

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
from abc import ABC, abstractmethod
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

    def take(self, values):
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

    Examples
    --------
    >>> import torch
    >>> x, log_mu, log_theta = torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2), torch.zeros(2)
    >>> nb_log_prob(x, log_mu, log_theta).exp()  # with mu = theta = 1: 1/2, 1/4, 1/8, ...
    tensor([[0.5000, 0.1250]])
    """
    nonzero = NonZero.of(x) if nonzero is None else nonzero
    return _NegativeBinomial.apply(x, log_mu, log_theta, nonzero, coefficient)


def zinb_log_prob(x, log_mu, log_theta, dropout_logit, nonzero=None, coefficient=None):
    """Log-probability of counts under the zero-inflated negative binomial (paper, Appendix A).

    As `nb_log_prob`, with ``dropout_logit`` (cells, genes), the logit of the probability that the entry is dropped.

    Examples
    --------
    >>> import torch
    >>> x, log_mu, log_theta = torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2), torch.zeros(2)
    >>> zinb_log_prob(x, log_mu, log_theta, torch.zeros(1, 2)).exp()  # half of all entries are dropped
    tensor([[0.7500, 0.0625]])
    """
    return _ZeroInflation.apply(x, nb_log_prob(x, log_mu, log_theta, nonzero, coefficient), dropout_logit)


def poisson_log_prob(x, log_mu, nonzero=None):
    """Log-probability of counts under the Poisson distribution: the module's formula as theta becomes infinite.

    As `nb_log_prob`: -[log x + log 2 pi] / 2 - S(x) - x h(v) with v = (mu - x) / x at the non-zero counts, -mu at the
    zeros.

    Examples
    --------
    >>> import torch
    >>> poisson_log_prob(torch.tensor([[0.0, 1.0]]), torch.zeros(1, 2)).exp()  # 1/e twice
    tensor([[0.3679, 0.3679]])
    """
    return _Poisson.apply(x, log_mu, NonZero.of(x) if nonzero is None else nonzero)


def nb_coefficient(nonzero, log_theta):
    """K(x, theta) of the module's formula at the non-zero counts: the part of log NB without the mean."""
    x = nonzero.counts
    n = x + nonzero.take(log_theta.exp())
    theta_part = 0.5 * (log_theta - math.log(2 * math.pi)) - stirling_remainder(log_theta.exp())
    return nonzero.take(theta_part) - 0.5 * (n.log() + x.log()) + stirling_remainder(n) - stirling_remainder(x)


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
        x, log_mu, theta = nonzero.counts, nonzero.take(log_mu), nonzero.take(log_theta.exp())
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
        n = nonzero.counts + nonzero.take(theta)
        slope.view(-1)[nonzero.entries] += 0.5 * nonzero.counts / n + nonzero.take(theta) * (
            stirling_remainder_slope(n) - nonzero.take(stirling_remainder_slope(theta))
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


class _Poisson(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, log_mu, nonzero):
        ctx.save_for_backward(x, log_mu)
        out = -log_mu.exp()
        x, log_mu = nonzero.counts, nonzero.take(log_mu)
        gap = log1p_gap((log_mu.exp() - x) / x, log_mu - x.log())
        out.view(-1)[nonzero.entries] = -0.5 * (2 * math.pi * x).log() - stirling_remainder(x) - x * gap
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, log_mu = ctx.saved_tensors
        return None, grad * (x - log_mu.exp()), None


class Decoded(NamedTuple):
    """What the decoder says of some cells."""

    log_rho: torch.Tensor  # (cells, genes)
    log_theta: torch.Tensor | None  # (genes,) or (cells, genes); None for a likelihood without dispersion
    heads: dict  # by the names in the likelihood's `heads`: (cells, genes) each


class CountLikelihood(ABC):
    """p(x | z, l, s) of the count of a gene in a cell, given what the decoder says of it.

    The mean of the count is mu = l rho for every likelihood, before dropout where there is any: that is what
    imputation, frequencies and their comparison speak of. ``decoded`` is a `Decoded`, ``log_scale`` is log l, of shape
    (cells, 1).

    Attributes
    ----------
    heads : tuple of str
        What it asks of the decoder beside rho: unrestricted values of every gene in every cell.
    has_dispersion : bool
        Whether there is a theta, as ``SCVI(dispersion=)`` says.
    """

    heads = ()
    has_dispersion = False

    def prepare(self, x, log_theta=None):
        """What `log_prob` needs of counts that it is asked of many times; ``log_theta`` where it does not change."""
        return (NonZero.of(x),)

    @abstractmethod
    def log_prob(self, x, decoded, log_scale, prepared=()):
        """Log-probability of counts x (cells, genes), nats, (cells, genes); differentiable."""

    @abstractmethod
    def draw(self, decoded, scale, rng, dropout=True):
        """Draw counts (cells, genes), an integer array, with ``rng``; ``scale`` is l, (cells, 1)."""

    @abstractmethod
    def zero_probability(self, decoded, log_scale):
        """Probability of a zero before dropout, (cells, genes)."""

    def dropout_probability(self, decoded):
        """Probability that an entry is dropped, (cells, genes)."""
        raise ValueError(f"{type(self).__name__} has no dropout probability: fit SCVI(likelihood='zinb').")


class NegativeBinomial(CountLikelihood):
    """Equations 3-5: a Poisson count whose rate is Gamma distributed."""

    has_dispersion = True

    def prepare(self, x, log_theta=None):
        nonzero = NonZero.of(x)
        return nonzero, None if log_theta is None else nb_coefficient(nonzero, log_theta)

    def log_prob(self, x, decoded, log_scale, prepared=()):
        return nb_log_prob(x, decoded.log_rho + log_scale, decoded.log_theta, *prepared)

    def draw(self, decoded, scale, rng, dropout=True):
        theta = _numpy(decoded.log_theta.exp().double())
        w = rng.gamma(theta, _numpy(decoded.log_rho.exp().double()) / theta)  # shape theta, mean rho
        return rng.poisson(_numpy(scale.double()) * w)

    def zero_probability(self, decoded, log_scale):
        log_ratio = logsigmoid(decoded.log_theta - (decoded.log_rho + log_scale))
        return (decoded.log_theta.exp() * log_ratio).exp()


class ZeroInflatedNegativeBinomial(NegativeBinomial):
    """Equations 3-7: the same, and then an entry may be dropped."""

    heads = ("dropout",)  # the logit of the probability

    def log_prob(self, x, decoded, log_scale, prepared=()):
        log_mu = decoded.log_rho + log_scale
        return zinb_log_prob(x, log_mu, decoded.log_theta, decoded.heads["dropout"], *prepared)

    def draw(self, decoded, scale, rng, dropout=True):
        y = super().draw(decoded, scale, rng)
        if dropout:
            y[rng.random(y.shape) < _numpy(self.dropout_probability(decoded))] = 0
        return y

    def dropout_probability(self, decoded):
        return decoded.heads["dropout"].sigmoid()


class Poisson(CountLikelihood):
    """A count without any spread but that of counting."""

    def log_prob(self, x, decoded, log_scale, prepared=()):
        return poisson_log_prob(x, decoded.log_rho + log_scale, *prepared)

    def draw(self, decoded, scale, rng, dropout=True):
        return rng.poisson(_numpy(scale.double() * decoded.log_rho.exp().double()))

    def zero_probability(self, decoded, log_scale):
        return (-(decoded.log_rho + log_scale).exp()).exp()


def _numpy(tensor):
    return tensor.cpu().numpy()


LIKELIHOODS = {"zinb": ZeroInflatedNegativeBinomial(), "nb": NegativeBinomial(), "poisson": Poisson()}
