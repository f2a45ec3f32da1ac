"""The derivatives of DCA on the kernels of scvi_core against automatic differentiation in double precision."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from baselines.dca import DCA, engines, method
from scvi_core.engines.c.kernels import Kernels, missing
from scvi_core.training import TrainingDiverged

if missing():
    pytest.skip(missing(), allow_module_level=True)


@pytest.fixture
def counts():
    """Sparse counts with many zeros, some large: 80 cells × 300 genes, more than one tile of the kernels."""
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.4, 5, (80, 300)))
    X[:, 7] += rng.integers(3000, size=80)
    return sp.csr_matrix(X.astype(np.int32))


def stopped_before_training(monkeypatch, counts, **options):
    """An estimator whose network has its first weights, the cells' counts and the log-normalised ones."""
    found = {}
    monkeypatch.setattr(method, "choose", lambda *given: found.update(given=given) or engines.Plain(*given))
    estimator = DCA(n_epochs=0, **options).fit(counts)
    return estimator, *found["given"][1:]


@pytest.mark.parametrize("n_hidden", [(64, 32, 64), (20, 5)])
@pytest.mark.parametrize("spread", [0.0, 1.5], ids=["start", "beyond the bounds of the heads"])
def test_gradient_and_loss_equal_automatic_differentiation(monkeypatch, counts, spread, n_hidden):
    estimator, X, Y = stopped_before_training(monkeypatch, counts, n_hidden=n_hidden)
    network, rows = estimator.network_, torch.tensor([5, 3, 70, 12, 41, 3, 20])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter += spread * torch.randn(parameter.shape, generator=generator)
    for norm in network.norm:
        norm.momentum = 0.9  # what runs along soon describes these cells
    double = copy.deepcopy(estimator)
    double.network_.double()
    single_tensors = double._tensors
    double._tensors = lambda *of: tuple(each.double() for each in single_tensors(*of))

    plain, fused = engines.Plain(double, X, Y), engines.Fused(estimator, X, Y)
    for each in (network, double.network_):
        each.train()
    assert float(fused.loss_and_gradient(rows)) == pytest.approx(float(plain.loss_and_gradient(rows)), rel=1e-5)
    largest = max(float(each.grad.abs().max()) for each in double.network_.parameters() if each.requires_grad)
    for name, parameter in double.network_.named_parameters():
        own = dict(network.named_parameters())[name]
        if not own.requires_grad:
            assert (own == 1).all()
            continue
        found, expected = fused.vector.part(fused.vector.gradient, own), parameter.grad
        if name.startswith("dense") and name.endswith("bias"):  # normalisation takes it out again
            assert found.abs().max() < 1e-5 * largest
        else:
            torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5 * float(expected.abs().max()))
    for name, buffer in double.network_.named_buffers():
        own = dict(network.named_buffers())[name].to(buffer.dtype)
        torch.testing.assert_close(own, buffer, rtol=1e-5, atol=1e-5 * float(buffer.abs().max()))

    for each in (network, double.network_):
        each.eval()
    assert fused.loss(rows) == pytest.approx(plain.loss(rows), rel=1e-5)


def test_a_step_is_that_of_rmsprop_with_a_cut_gradient():
    generator = torch.Generator().manual_seed(0)
    values, gradient, square = torch.randn(3, 1001, generator=generator).unbind()
    square = square.abs()
    expected = torch.nn.Parameter(values.double())
    optimiser = torch.optim.RMSprop([expected], lr=0.01, alpha=0.9, eps=1e-7)
    optimiser.state[expected] = {"step": torch.zeros(()), "square_avg": square.double()}
    expected.grad = gradient.double().clamp(-0.5, 0.5)
    optimiser.step()
    Kernels().bind("rmsprop", 1, 1001, gradient, square, values)(0.01, 0.9, 1e-7, 0.5)
    torch.testing.assert_close(values.double(), expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(square.double(), optimiser.state[expected]["square_avg"], rtol=1e-5, atol=0)
    gradient[3] = float("nan")
    Kernels().bind("rmsprop", 1, 1001, gradient, square, values)(0.01, 0.9, 1e-7, 0.5)
    assert values[3].isnan()
    assert values.isfinite().sum() == 1000


def test_both_engines_train_to_the_same_likelihood(monkeypatch, counts):
    """Rounding grows from step to step, so the paths part; where they lead they are as good."""
    fused = DCA(n_epochs=15).fit(counts)
    monkeypatch.setattr(engines, "missing", lambda: "no compiler")
    plain = DCA(n_epochs=15).fit(counts)
    assert (fused.engine_, plain.engine_) == ("fused", "plain")
    assert fused.history_[0]["loss"] == pytest.approx(plain.history_[0]["loss"], rel=1e-5)
    assert fused.history_[-1]["loss"] == pytest.approx(plain.history_[-1]["loss"], rel=1e-2)
    assert fused.loglik(counts).mean() == pytest.approx(plain.loglik(counts).mean(), rel=1e-2)
    own = [parameter.untyped_storage().nbytes() == 4 * parameter.numel() for parameter in fused.network_.parameters()]
    assert all(own)  # no view of the vector is left


def test_a_network_that_is_no_longer_finite_is_said(counts):
    with pytest.raises(TrainingDiverged, match="learning rate"):
        DCA(n_epochs=2, lr=1e30).fit(counts)
