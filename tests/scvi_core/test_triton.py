"""The GPU's kernels and step in Triton's interpreter, on the CPU: all but the compiler and the recording.

The interpreter is chosen when Triton is loaded, so test_cuda.py runs this file in a process of its own.
"""

import copy
import os

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy import stats

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("test_cuda.py runs these in a process of their own", allow_module_level=True)

from scvi_core.data.minibatch import Cells
from scvi_core.engines.cuda import layers as triton_layers
from scvi_core.engines.cuda import zinb as triton_zinb
from scvi_core.engines.cuda.check import disagreement
from scvi_core.engines.cuda.step import CudaStep, ResidentCounts
from scvi_core.engines.plain import PlainStep, StepOptions
from scvi_core.likelihood import nb_log_prob, zinb_log_prob
from scvi_core.networks import Architecture, Network, draw_noise, initialise


@pytest.fixture(autouse=True)
def few_programs(monkeypatch):
    """A program costs the interpreter the same time whatever it takes on; genes still come in several tiles."""
    for module in (triton_zinb, triton_layers):
        monkeypatch.setattr(module, "CELLS", 128)
        monkeypatch.setattr(module, "GENES", 64)
    for name, size in {"COLUMNS": 16, "DRAWS": 32, "PARAMETERS": 8192}.items():
        monkeypatch.setattr(triton_layers, name, size)


def some_cells(n_cells=40, n_genes=70, n_batches=3):
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.5, 3, (n_cells, n_genes)))
    X[:, 3], X[:, 5] = 0, rng.integers(1, 100_000, size=n_cells)
    return Cells(sp.csr_matrix(X.astype(np.int32)), rng.integers(n_batches, size=n_cells))


def some_network(**options):
    network = Network(Architecture(**{"n_genes": 70, "n_batches": 3, "n_hidden": 20, "n_latent": 3, **options}))
    initialise(network, "torch", torch.Generator().manual_seed(1))
    network.library_mean.fill_(7.0)
    return network


@pytest.mark.parametrize("log_input", [True, False])
def test_cells_become_dense_as_in_scipy(log_input, monkeypatch):
    monkeypatch.setattr(triton_layers, "CELLS", 4)
    cells, rows = some_cells(), torch.tensor([7, 0, 39, 7, 21, 8])  # the last program has cells to spare
    expected = cells.X[rows.numpy()].toarray()
    cells.X.data.flags.writeable = False  # as one mapped from a file
    counts, inputs, one_hot = torch.full((6, 70), -1.0), torch.full((6, 76), -1.0), torch.full((6, 5), -1.0)
    codes, log_library = torch.zeros(6, dtype=torch.int64), torch.zeros(6)
    places = torch.tensor([[part.data_ptr(), part.stride(0)] for part in (inputs[:, 70:], one_hot)])
    triton_layers.take(rows, ResidentCounts(cells), counts, inputs[:, :70], codes, log_library, places, log_input, 3)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(inputs[:, :70], np.log1p(expected) if log_input else expected, rtol=3e-7)
    np.testing.assert_allclose(log_library, np.log(expected.sum(axis=1)), rtol=3e-7)
    np.testing.assert_array_equal(codes, cells.batch[rows])
    for part in (inputs[:, 70:73], one_hot[:, :3]):
        np.testing.assert_array_equal(part, np.eye(3)[cells.batch[rows]])
    assert (inputs[:, 73:] == -1).all()
    assert (one_hot[:, 3:] == -1).all()


def count_loss(x, rate, log_theta, log_l=None, logit=None):
    """Minus the log-likelihood per cell and its derivatives by rate, log theta, log l and logit, from the kernel."""
    n, n_genes = x.shape
    loss, by_log_l, (by_log_mu, by_log_theta) = torch.empty(n), torch.empty(n), torch.empty(2, n, n_genes)
    out, codes = torch.cat([rate] if logit is None else [rate, logit], dim=1), torch.zeros(n, dtype=torch.int64)
    heads = (logit is not None, False)
    triton_zinb.count_loss(x, out, heads, log_theta, codes, log_l, 1.0, loss, by_log_l, by_log_mu, by_log_theta)
    by_rate, *by_logit = out.split(n_genes, dim=1)
    return loss, by_rate, by_log_theta, None if log_l is None else by_log_l, by_logit[0] if by_logit else None


def exact_count_loss(x, rate, log_theta, log_l=None, logit=None):
    """The same by automatic differentiation in double precision."""
    given = (rate, log_theta.expand(x.shape), log_l, logit)
    inputs = [None if a is None else a.double().requires_grad_() for a in given]
    rate, log_theta, log_l, logit = inputs
    log_mu = rate if log_l is None else rate.log_softmax(dim=1) + log_l[:, None]
    if logit is None:
        loss = -nb_log_prob(x.double(), log_mu, log_theta).sum(dim=1)
    else:
        loss = -zinb_log_prob(x.double(), log_mu, log_theta, logit).sum(dim=1)
    loss.sum().backward()
    return loss.detach(), *(None if a is None else a.grad for a in inputs)


@pytest.mark.parametrize("has_dropout", [True, False])
def test_each_entry_at_every_corner(has_dropout):
    """Loss and slopes of single entries, so that no large entry hides a small one."""
    corners = torch.cartesian_prod(
        torch.tensor([0.0, 1.0, 7.0, 1e3, 1e6]),
        torch.tensor([1e-6, 1e-2, 1.3, 50.0, 2e5]).log(),  # none equal to a count: there the slope is zero
        torch.tensor([-30.0, -3.0, 0.0, 3.0, 30.0]),
    )
    log_theta = torch.tensor([1e-4, 0.9, 3.0, 1e3, 1e6]).log()
    x, rate, logit = (column[:, None].expand(-1, 5).contiguous() for column in corners.T)
    at = (x, rate, log_theta, None, logit if has_dropout else None)
    ours, exact = count_loss(*at), exact_count_loss(*at)
    for i in (1, 4) if has_dropout else (1,):
        np.testing.assert_allclose(ours[i], exact[i], rtol=2e-5, atol=1e-12)
    np.testing.assert_allclose(ours[2], exact[2], rtol=2e-5, atol=1e-7)  # a small sum of terms of the order of one
    np.testing.assert_allclose(ours[0], exact[0], rtol=2e-6, atol=1e-12)


def test_likelihood_with_a_library_size():
    generator = torch.Generator().manual_seed(0)
    x = ((10**6 + 1) ** torch.rand(20, 100, generator=generator)).floor() - 1
    x[:, ::3] = 0
    rate, logit = 2 * torch.randn(2, 20, 100, generator=generator)
    log_l = 12 + torch.randn(20, generator=generator)
    at = (x, rate, torch.linspace(np.log(1e-4), np.log(1e6), 100), log_l, logit)
    for ours, exact in zip(count_loss(*at), exact_count_loss(*at), strict=True):
        assert (ours - exact).abs().max() < 1e-5 * exact.abs().max()


def test_likelihood_equals_scipy():
    x, mu, theta, pi = np.arange(40.0), 5.5, 1.7, 0.3
    nb = stats.nbinom.logpmf(x, theta, theta / (theta + mu))
    zinb = np.log1p(-pi) + nb
    zinb[0] = np.log(pi + (1 - pi) * np.exp(nb[0]))
    column = torch.tensor(x, dtype=torch.float32)[:, None]
    rate, logit = torch.full_like(column, np.log(mu)), torch.full_like(column, np.log(pi / (1 - pi)))
    log_theta = torch.tensor([np.log(theta)], dtype=torch.float32)
    np.testing.assert_allclose(-count_loss(column, rate, log_theta, None, logit)[0], zinb, rtol=1e-6)
    np.testing.assert_allclose(-count_loss(column, rate, log_theta)[0], nb, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"n_batches": 2},
        {"n_batches": 3, "dispersion": "gene-batch", "n_layers": 2, "library": "observed"},
        {"n_batches": 1, "dispersion": "gene-cell", "library": "none", "likelihood": "nb"},
        {
            "n_batches": 2,
            "dropout_on": "input",
            "library_encoder": "offset",
            "log_input": False,
            "framework": "tensorflow",
        },
        {"n_batches": 2, "dropout": 0.0, "n_hidden": 30, "batch_norm_momentum": 0.3, "encode_batch": False},
    ],
    ids=str,
)
def test_steps_equal_double_precision(options):
    """Losses, gradients and statistics of two steps in the same buffers."""
    assert disagreement("cpu", Architecture(**{"n_genes": 70, "n_hidden": 20, **options}), n_steps=2) < 1e-5


def test_training_equals_plain_training_and_goes_on_where_it_stopped():
    cells, generator = some_cells(), torch.Generator().manual_seed(2)
    network = some_network()
    plain_network = copy.deepcopy(network)
    ours = CudaStep(network, cells, generator, StepOptions(lr=1e-3))
    plain = PlainStep(plain_network, cells, generator, StepOptions(lr=1e-3))
    for n, resumed in ((20, False), (13, False), (20, True), (11, False)):
        if resumed:
            state, ours = copy.deepcopy(ours.state()), CudaStep(network, cells, generator, StepOptions(lr=1e-3))
            ours.restore(state)
        rows = torch.randperm(40, generator=generator)[:n]
        noise = draw_noise(network.arch, n, generator)
        losses = ours.step(rows, 0.3, 1.0, noise), plain.step(rows, 0.3, 1.0, noise)
        assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
    for name, tensor in plain_network.state_dict().items():
        if not name.endswith("linear.bias"):  # no effect in front of batch normalisation: rounding alone moves it
            np.testing.assert_allclose(network.state_dict()[name], tensor, rtol=1e-4, atol=2e-5, err_msg=name)
    assert ours.state()["n_steps"] == plain.state()["n_steps"] == 4


def test_own_noise():
    """Masks keep 1 - dropout of the entries and their mean; equal seeds give equal bits."""
    results = []
    for _ in range(2):
        network = some_network()
        step = CudaStep(network, some_cells(), torch.Generator().manual_seed(2), StepOptions())
        results.append((step.step(torch.arange(40)), network.state_dict()))
    (loss, state), (same_loss, same_state) = results
    assert torch.equal(loss, same_loss)
    assert all(torch.equal(state[name], same_state[name]) for name in state)
    (mask,) = step._passes[40].noise.masks_z
    assert set(mask.unique().tolist()) == {0.0, torch.tensor(1 / 0.9).item()}
    assert mask.mean().item() == pytest.approx(1, abs=0.05)
    assert step._passes[40].noise.eps_z.std().item() == pytest.approx(1, abs=0.2)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_infinite_parameters_show():
    network = some_network(library="observed")
    step = CudaStep(network, some_cells(), torch.Generator().manual_seed(2), StepOptions())
    assert step.step(torch.arange(40)).isfinite()
    with torch.no_grad():
        network.decoder.rate.weight[0, 0] = torch.inf
    assert step.step(torch.arange(40)).isnan()
    with pytest.raises(ValueError, match="at least 2 cells"):
        step.step(torch.arange(1))
