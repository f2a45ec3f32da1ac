"""The MMD penalty against double sums over cells."""

import numpy as np
import pytest
import torch

from scvi_core.mmd import RELATIVE_VARIANCES, draw_features, mmd


def brute_force(z, batch, kernel):
    """Squared MMD of each batch against the rest, averaged over the batches that are there."""
    values = []
    for b in np.unique(batch):
        own, rest = z[batch == b], z[batch != b]
        if len(rest):
            mean = lambda p, q: np.mean([kernel(((u - v) ** 2).sum()) for u in p for v in q])  # noqa: E731
            values.append(mean(own, own) + mean(rest, rest) - 2 * mean(own, rest))
    return np.mean(values) if values else 0.0


@pytest.mark.parametrize("labels", [[0, 1] * 10, [0, 1, 2, 2] * 5, [0] * 19 + [3], [1] * 20])
def test_brute_force(labels):
    rng = np.random.default_rng(0)
    z, batch = rng.normal(size=(20, 3)), np.array(labels)
    z[batch == 1] += 0.8
    z_, batch_ = torch.tensor(z), torch.tensor(batch)

    mixture = brute_force(z, batch, lambda d: np.mean([np.exp(-d / (2 * v * 3)) for v in RELATIVE_VARIANCES]))
    assert mmd(z_, batch_, 4).item() == pytest.approx(mixture, abs=1e-12)

    g = torch.Generator().manual_seed(0)
    single = brute_force(z, batch, lambda d: np.exp(-d / (2 * 3)))
    draws = [mmd(z_, batch_, 4, draw_features(3, g, torch.float64)).item() for _ in range(100)]
    assert np.mean(draws) == pytest.approx(single, abs=4 * np.std(draws) / np.sqrt(100) + 1e-15)


def test_gradient():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(8, 2, generator=g, dtype=torch.float64, requires_grad=True)
    batch = torch.tensor([0, 1] * 4)
    features = draw_features(2, g, torch.float64)
    assert torch.autograd.gradcheck(lambda z: mmd(z, batch, 2), z)
    assert torch.autograd.gradcheck(lambda z: mmd(z, batch, 2, features), z)
