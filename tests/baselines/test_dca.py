"""DCA: its inputs, its network and its likelihood against numpy and scipy; it denoises data that have structure."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import expit
from scipy.stats import nbinom

from baselines.dca import DCA, Autoencoder
from scvi_core.training import TrainingDiverged


@pytest.fixture(scope="module")
def simulated():
    """Counts of four kinds of cells with their expectation: 300 cells × 40 genes."""
    rng = np.random.default_rng(0)
    kind, depth = rng.integers(4, size=300), rng.gamma(8, 1 / 8, (300, 1))
    mean = rng.gamma(0.8, 8, (4, 40))[kind] * depth + 0.1
    X = rng.negative_binomial(4, 4 / (4 + mean))
    X[:, 0] += 1
    return X, mean


@pytest.fixture(scope="module")
def trained(simulated):
    return DCA(n_epochs=40).fit(simulated[0])


@pytest.mark.slow
def test_inputs_are_size_normalised_logged_and_scored(simulated, trained):
    X, _ = simulated
    counts = sp.csr_matrix(X)
    inputs, log_size, x = trained._tensors(counts, trained._log_normalise(counts))
    size = X.sum(axis=1) / np.median(X.sum(axis=1))
    logged = np.log1p(X / size[:, None])
    np.testing.assert_allclose(inputs.numpy(), (logged - logged.mean(axis=0)) / logged.std(axis=0, ddof=1), atol=2e-5)
    np.testing.assert_allclose(log_size.numpy()[:, 0], np.log(size), atol=1e-6)
    np.testing.assert_array_equal(x.numpy(), X)


def test_network_equals_numpy(simulated, trained):
    """Dense, batch normalisation without a scale, ReLU; three heads; the bottleneck before its activation."""
    X, _ = simulated
    counts = sp.csr_matrix(X)
    state = {name: value.numpy().astype(float) for name, value in trained.network_.state_dict().items()}
    inputs, log_size, _ = (t.numpy() for t in trained._tensors(counts, trained._log_normalise(counts)))
    h = inputs
    for layer in range(3):
        h = h @ state[f"dense.{layer}.weight"].T + state[f"dense.{layer}.bias"]
        if layer == 1:
            np.testing.assert_allclose(trained.latent(X), h, atol=1e-3)
        centred = h - state[f"norm.{layer}.running_mean"]
        h = np.maximum(centred / np.sqrt(state[f"norm.{layer}.running_var"] + 1e-3) + state[f"norm.{layer}.bias"], 0)
    head = {name: h @ state[f"{name}.weight"].T + state[f"{name}.bias"] for name in ("mean", "dispersion", "dropout")}
    mu = np.exp(head["mean"] + log_size)
    np.testing.assert_allclose(trained.impute(X), mu, rtol=1e-3)

    theta, pi = np.log1p(np.exp(head["dispersion"])), expit(head["dropout"])
    pmf = (1 - pi) * nbinom.pmf(X, theta, theta / (theta + mu)) + pi * (X == 0)
    np.testing.assert_allclose(trained.loglik(X), np.log(pmf).sum(axis=1), rtol=1e-3)


def test_the_published_architecture():
    network = Autoencoder(100, (64, 32, 64), torch.Generator().manual_seed(0))
    shapes = [tuple(layer.weight.shape) for layer in network.dense]
    assert shapes == [(64, 100), (32, 64), (64, 32)]
    assert {tuple(head.weight.shape) for head in (network.mean, network.dispersion, network.dropout)} == {(100, 64)}
    for layer in (*network.dense, network.mean):
        bound = np.sqrt(6 / sum(layer.weight.shape))  # Glorot's uniform rule
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()
    assert all(not norm.weight.requires_grad and norm.bias.requires_grad for norm in network.norm)
    assert network.encode(torch.zeros(3, 100)).shape == (3, 32)
    assert DCA().get_params()["n_hidden"] == (64, 32, 64)


def test_denoises_better_than_the_gene_mean(simulated, trained):
    X, mean = simulated
    error = np.abs(trained.impute(X) - mean).mean()
    assert error < 0.6 * np.abs(X.mean(axis=0) - mean).mean()
    assert error < np.abs(X - mean).mean()
    assert trained.history_[-1]["loss"] < trained.history_[0]["loss"]


def test_training_stops_and_the_step_shrinks(simulated, monkeypatch):
    """A validation loss that never improves after the first epoch: the step shrinks, then training ends."""
    rates = []
    epoch = DCA._epoch

    def watched(self, X, Y, rows, optimiser):
        rates.append(optimiser.param_groups[0]["lr"])
        return epoch(self, X, Y, rows, optimiser)

    losses = iter([1.0] + [2.0] * 300)
    monkeypatch.setattr(DCA, "_epoch", watched)
    monkeypatch.setattr(DCA, "_loss", lambda *_: next(losses))
    DCA(n_epochs=60, patience=15, patience_lr=10).fit(simulated[0][:40])
    assert len(rates) == 16  # the best epoch and fifteen without progress
    np.testing.assert_allclose(rates[:11], 1e-3)  # the best epoch and ten without progress
    np.testing.assert_allclose(rates[11:], 1e-4)


def test_the_gradient_is_clipped(simulated, monkeypatch):
    """A step of plain gradient descent moves no weight further than lr times the bound."""
    X = simulated[0][:40]
    monkeypatch.setattr(torch.optim, "RMSprop", lambda p, lr, **_: torch.optim.SGD(p, lr=lr))
    method = DCA(n_epochs=1, batch_size=40, lr=1.0, clip=1e-4).fit(X)
    start = Autoencoder(X.shape[1], (64, 32, 64), torch.Generator().manual_seed(0))
    moved = [(a - b).abs().max() for a, b in zip(method.network_.parameters(), start.parameters(), strict=True)]
    assert 0 < max(moved) <= 1e-4 * 1.01


def test_other_cells_are_described_as_the_fit_was(simulated, trained):
    X, _ = simulated
    np.testing.assert_allclose(trained.impute(X[:5]), trained.impute(X)[:5], rtol=1e-4)
    np.testing.assert_allclose(trained.loglik(X[:5]), trained.loglik(X)[:5], rtol=1e-4)


def test_odd_sizes_and_the_global_generator(simulated):
    X = simulated[0]
    before = torch.random.get_rng_state()
    first, second = (DCA(n_epochs=2, batch_size=8, random_state=3).fit(X[:38]).impute(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)  # 34 training cells: the last minibatch would hold two
    assert np.isfinite(DCA(n_epochs=1, batch_size=8).fit(X[:37]).impute(X)).all()  # 33: it would hold one
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.isfinite(DCA(n_epochs=1).fit(X[:3]).loglik(X[:3])).all()


def test_says_what_is_wrong(simulated, trained):
    X = simulated[0]
    with pytest.raises(ValueError, match="at least 2 cells"):
        DCA().fit(X[:2])
    with pytest.raises(ValueError, match="There are 39 genes and the model was fitted to 40"):
        trained.impute(X[:, :39])
    with pytest.raises(TrainingDiverged, match="learning rate"):
        DCA(n_epochs=3, lr=float("inf")).fit(X[:40])
