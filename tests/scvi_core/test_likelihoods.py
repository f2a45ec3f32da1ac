"""One suite over every likelihood: its parts must speak of one distribution, whoever wrote it."""

import numpy as np
import pytest
import torch

from scvi_core.likelihood import LIKELIHOODS, Decoded

SCALE = 20.0  # l: means of 2, 6 and 12
N_DRAWS = 40_000


@pytest.fixture(params=sorted(LIKELIHOODS))
def likelihood(request):
    return LIKELIHOODS[request.param]


def decoded(likelihood, n_cells=1):
    """What the decoder might say of cells that are alike: three genes, in double precision."""
    rows = torch.ones(n_cells, 1, dtype=torch.float64)
    log_rho = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64).log() * rows
    log_theta = torch.tensor([-0.5, 0.4, 1.2], dtype=torch.float64) if likelihood.has_dispersion else None
    heads = {name: torch.tensor([-1.5, -0.3, 0.8], dtype=torch.float64) * rows for name in likelihood.heads}
    return Decoded(log_rho, log_theta, heads), SCALE * rows


def kept(likelihood, said):
    """Probability that an entry is not dropped."""
    return 1 - likelihood.dropout_probability(said).numpy()[0] if likelihood.heads else np.ones(3)


def probabilities(likelihood, n=2000):
    """p(x) of the counts 0 to n - 1, (counts, genes)."""
    said, scale = decoded(likelihood, n)
    x = torch.arange(n, dtype=torch.float64)[:, None].expand(n, 3).contiguous()
    return likelihood.log_prob(x, said, scale.log(), likelihood.prepare(x, said.log_theta)).exp().numpy()


def test_probabilities_sum_to_one_and_their_mean_is_what_is_imputed(likelihood):
    p, (said, _) = probabilities(likelihood), decoded(likelihood)
    np.testing.assert_allclose(p.sum(0), 1, rtol=1e-9)
    mu = SCALE * said.log_rho.exp().numpy()[0]
    np.testing.assert_allclose(np.arange(len(p)) @ p, kept(likelihood, said) * mu, rtol=1e-7)


def test_the_probability_of_zero_is_that_of_log_prob(likelihood):
    said, scale = decoded(likelihood)
    before = likelihood.zero_probability(said, scale.log()).numpy()[0]
    share = kept(likelihood, said)
    np.testing.assert_allclose(probabilities(likelihood)[0], (1 - share) + share * before, rtol=1e-9)


@pytest.mark.parametrize("dropout", [True, False])
def test_draws_have_those_probabilities(likelihood, dropout):
    said, scale = decoded(likelihood, N_DRAWS)
    draws = likelihood.draw(said, scale, np.random.default_rng(0), dropout=dropout)
    assert draws.dtype.kind in "iu"
    p = probabilities(likelihood)
    if not dropout:  # what is left of a zero without the dropped ones, and the others as often again
        share = kept(likelihood, said)
        p = p / share
        p[0] -= (1 - share) / share
    for value in range(6):
        found = (draws == value).mean(0)
        assert (np.abs(found - p[value]) < 5 * np.sqrt(p[value] / N_DRAWS) + 1e-4).all(), value


def test_slopes_are_those_of_finite_differences(likelihood):
    said, scale = decoded(likelihood, 4)
    x = torch.tensor([[0.0, 3, 40], [1, 0, 0], [7, 2, 1], [0, 0, 9]], dtype=torch.float64)
    inputs = [said.log_rho.clone(), *said.heads.values()]
    inputs += [said.log_theta] if likelihood.has_dispersion else []

    def log_prob(log_rho, *rest):
        theta = rest[-1] if likelihood.has_dispersion else None
        return likelihood.log_prob(
            x, Decoded(log_rho, theta, dict(zip(likelihood.heads, rest, strict=False))), scale.log()
        )

    assert torch.autograd.gradcheck(log_prob, [value.requires_grad_() for value in inputs], atol=1e-6)
