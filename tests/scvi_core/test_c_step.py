"""The fused step against automatic differentiation in double precision, and its kernels against scipy."""

import copy
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy import stats

from scvi_core import SCVI
from scvi_core.data.minibatch import Cells
from scvi_core.elbo import bound
from scvi_core.engines.c import compile, kernels
from scvi_core.engines.c.kernels import Kernels
from scvi_core.engines.c.step import FusedStep
from scvi_core.engines.plain import PlainStep, StepOptions
from scvi_core.likelihood import nb_log_prob, zinb_log_prob
from scvi_core.mmd import mmd
from scvi_core.networks import Architecture, Network, Noise, draw_noise, initialise

try:
    compile.load("kernels.c")
except compile.NoCompiler as reason:
    pytest.skip(str(reason), allow_module_level=True)

TOLERANCE = 1e-5

# A float carries a relative error of 2^-24 = 6e-8. An entry of the likelihood or one of its slopes goes through about
# ten operations and two elementary functions (errors of 1e-7), the sum over the genes of a cell through some tens of
# additions to each lane: 2e-6 with room to spare, whatever the lanes of the processor and whether it fuses products
# and sums. By the rate behind a softmax the slope is a difference, d log mu - rho sum(d log mu): it has no more than
# this error of its terms, and where they all but cancel (every count zero, theta = 1e6: one part in a thousand
# remains) a larger share of itself.
OF_TERMS = 2e-6


def some_counts(n_cells=150, n_genes=70, n_batches=1, largest=1000):
    """Counts with a gene that has none and a gene that has many, and batch codes."""
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.5, 3, (n_cells, n_genes)))
    X[:, 3], X[:, 5] = 0, rng.integers(largest, size=n_cells)
    return sp.csr_matrix(X.astype(np.int32)), rng.integers(n_batches, size=n_cells)


def some_network(generator, **options):
    """A network with weights, normalisation and prior away from their starting points."""
    network = Network(Architecture(n_genes=70, **options))
    initialise(network, "torch", generator)
    with torch.no_grad():
        network.library_mean.normal_(7, 0.3, generator=generator)
        network.library_var.uniform_(0.1, 0.5, generator=generator)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
    return network


def in_double(noise):
    def convert(part):
        if part is None:
            return None
        return tuple(map(convert, part)) if isinstance(part, tuple) else part.double()

    return Noise(*map(convert, tuple(noise)))


def error(ours, exact):
    """Largest error in units of the largest entry."""
    return ((ours.double() - exact).abs().max() / exact.abs().max()).item()


def errors(gradient, exact):
    """The error of each layer, weight and bias together.

    A bias in front of batch normalisation has no effect, and the one of the mean of z next to none: their derivatives
    are what rounding leaves of those of the weights.
    """
    layers = {name.removesuffix(".weight").removesuffix(".bias"): [] for name in gradient}
    for name in gradient:
        layers[name.removesuffix(".weight").removesuffix(".bias")].append(
            (gradient[name].flatten(), exact[name].flatten())
        )
    return {layer: error(*map(torch.cat, zip(*parts, strict=True))) for layer, parts in layers.items()}


OPTIONS = [
    {},
    {"likelihood": "nb"},
    {"dispersion": "gene-batch"},
    {"dispersion": "gene-cell"},
    {"library": "observed"},
    {"library": "none"},
    {"library_encoder": "offset"},
    {"n_batches": 1},
    {"encode_batch": False},
    {"log_input": False},
    {"dropout": 0.0},
    {"dropout_on": "input", "framework": "tensorflow"},
    {"n_layers": 2},
    {"n_layers": 3, "dropout": 0.4},
    {"n_hidden": 30, "n_latent": 3},
    {"n_hidden": 64, "batch_norm_momentum": 0.3, "batch_norm_eps": 0.1},
    {"n_layers": 3, "dropout_on": "input", "likelihood": "nb", "dispersion": "gene-cell", "encode_batch": False},
    {"n_layers": 2, "dropout_on": "input", "dispersion": "gene-batch", "library": "none"},
    {"mmd_weight": 5.0},
    {"mmd_weight": 5.0, "mmd_kernel": "rbf"},
]


def gradients(step_options, arch_options, largest=1000):
    """Loss, gradient and network after one step: fused, plain in single precision, plain in double precision."""
    generator = torch.Generator().manual_seed(1)
    network = some_network(generator, **{"n_batches": 3, **arch_options})
    X, batch = some_counts(n_batches=network.arch.n_batches, largest=largest)
    single, double = copy.deepcopy(network).train(), copy.deepcopy(network).double().train()
    rows = torch.randperm(len(batch), generator=generator)[:64]
    noise = draw_noise(network.arch, 64, generator, fourier=step_options.fourier)
    step = FusedStep(network, Cells(X, batch), generator, step_options)
    loss = step.step(rows, 0.7, 0.4, noise)
    gradient = {n: step.parameters.part(step.parameters.gradient, p) for n, p in network.named_parameters()}
    yield loss, gradient, network
    for plain, dtype, same_noise in ((single, torch.float32, noise), (double, torch.float64, in_double(noise))):
        x, codes = Cells(X, batch, dtype=dtype).take(rows)
        parts = bound(plain, x, codes, same_noise)
        loss = -parts.elbo(0.7, 0.4).mean()
        if step_options.mmd_weight:
            loss = loss + step_options.mmd_weight * mmd(parts.z, codes, network.arch.n_batches, same_noise.fourier)
        loss.backward()
        yield loss, {n: p.grad for n, p in plain.named_parameters()}, plain


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradient_equals_double_precision(options, n_threads, threads):
    threads(n_threads)
    of_step = {k: v for k, v in options.items() if k.startswith("mmd")}
    of_arch = {k: v for k, v in options.items() if k not in of_step}
    (loss, gradient, network), _, (exact_loss, exact, exact_network) = gradients(StepOptions(**of_step), of_arch)
    assert loss.item() == pytest.approx(exact_loss.item(), rel=TOLERANCE)
    for layer, worst in errors(gradient, exact).items():
        assert worst < TOLERANCE, layer
    for name, buffer in network.named_buffers():
        np.testing.assert_allclose(buffer, exact_network.get_buffer(name), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("library", ["latent", "observed"])
def test_counts_of_a_million_cost_no_more_precision_than_on_the_plain_path(library):
    """There the derivative of the softmax is a small difference of large numbers, in any order of operations."""
    (loss, fused, _), (_, plain, _), (exact_loss, exact, _) = gradients(StepOptions(), {"library": library}, 10**6)
    assert loss.item() == pytest.approx(exact_loss.item(), rel=TOLERANCE)
    ours, theirs = errors(fused, exact), errors(plain, exact)
    for layer in ours:
        assert ours[layer] < max(TOLERANCE, 5 * theirs[layer]), layer


LEVELS = {  # of x86-64: some of the flags that a processor of this level has
    "x86-64-v2": {"sse4_2", "ssse3", "popcnt"},
    "x86-64-v3": {"avx2", "fma", "bmi2", "movbe"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
}


def targets():
    """What the kernels are compiled for in these tests: every kind of processor that this one can stand for."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    levels = [level for level, needed in LEVELS.items() if needed <= flags]
    contracts = {"x86-64-v2": ("off",)}  # it has no fused multiplication and addition
    others = [(level, fused) for level in levels for fused in contracts.get(level, ("off", "fast"))]
    return [compile.HERE, *((f"-march={level}", f"-ffp-contract={fused}") for level, fused in others)]


def count_loss(x, rate, log_theta, log_l=None, logit=None, target=compile.HERE):
    """Minus the log-likelihood per cell and its derivatives, from the kernel."""
    functions, (n, n_genes) = Kernels(target), x.shape
    X = sp.csr_matrix(x.numpy().astype(np.int32))
    indptr, genes, counts = (torch.from_numpy(a) for a in (X.indptr.astype(np.int64), X.indices, X.data))
    loss, by_log_l, log_library, by_log_theta = torch.empty(n), torch.empty(n), torch.empty(n), torch.empty(n_genes)
    constants, tables, scratch = torch.empty(n, dtype=torch.float64), torch.empty(4, n_genes), torch.empty(2, n_genes)
    functions.bind("describe_cells", n, indptr, counts, log_library, constants)()
    functions.bind("dispersion_tables", n_genes, log_theta, tables)()
    values = torch.cat([rate] if logit is None else [rate, logit], dim=1)
    out = torch.full((n, values.shape[1] + 3), torch.nan)[:, : values.shape[1]]  # rows need not lie side by side
    out.copy_(values)
    data = (indptr, genes, counts.float(), constants, logit is not None, out, out.stride(0))
    results = (1.0, loss, by_log_l, by_log_theta, scratch)
    functions.bind("count_loss", 1, n, n_genes, *data, 1, None, tables, log_l, *results)()
    heads = out.split(n_genes, dim=1)
    return loss, by_log_theta, heads[0], None if log_l is None else by_log_l, heads[1] if logit is not None else None


def exact_count_loss(x, rate, log_theta, log_l=None, logit=None):
    """The same by automatic differentiation in double precision."""
    inputs = [None if a is None else a.double().requires_grad_() for a in (rate, log_theta, log_l, logit)]
    rate, log_theta, log_l, logit = inputs
    log_mu = rate if log_l is None else rate.log_softmax(dim=1) + log_l[:, None]
    if logit is None:
        loss = -nb_log_prob(x.double(), log_mu, log_theta).sum(dim=1)
    else:
        loss = -zinb_log_prob(x.double(), log_mu, log_theta, logit).sum(dim=1)
    loss.sum().backward()
    rate, log_theta, log_l, logit = (None if a is None else a.grad for a in inputs)
    return loss.detach(), log_theta, rate, log_l, logit


def check_counts(x, rate, log_theta, log_l=None, logit=None):
    exact = exact_count_loss(x, rate, log_theta, log_l, logit)
    sizes = [None if b is None else b.abs().max() for b in exact]
    if log_l is not None:  # the terms of the slope by the rate
        log_mu = rate.double().log_softmax(dim=1) + log_l[:, None]
        terms = exact_count_loss(x, log_mu, log_theta, None, logit)[2].abs()
        sizes[2] = (terms + rate.double().softmax(dim=1) * terms.sum(dim=1, keepdim=True)).max()
    for target in targets():
        ours = count_loss(x, rate, log_theta, log_l, logit, target)
        for a, b, size in zip(ours, exact, sizes, strict=True):
            assert (a is None) == (b is None)
            assert a is None or (a.double() - b).abs().max() < OF_TERMS * size, target


@pytest.mark.slow
@pytest.mark.parametrize("theta", [1e-4, 1e-2, 0.3, 1.0, 3.0, 100.0, 1e4, 1e6, None])
@pytest.mark.parametrize("largest", [0, 8, 10**6])
@pytest.mark.parametrize("n_cells", [1, 40])
def test_counts_at_extreme_values(n_cells, largest, theta):
    generator, n_genes = torch.Generator().manual_seed(0), 300  # more than one tile, and not a multiple of it
    x = ((largest + 1) ** torch.rand(n_cells, n_genes, generator=generator)).floor() - 1
    x[:, ::5] = 0
    rate, logit = 2 * torch.randn(2, n_cells, n_genes, generator=generator)
    log_l = 12 + torch.randn(n_cells, generator=generator)
    spread = torch.linspace(np.log(1e-4), np.log(1e6), n_genes)
    log_theta = spread if theta is None else torch.full((n_genes,), np.log(theta))
    check_counts(x, rate, log_theta, log_l, logit)
    check_counts(x, rate, log_theta, log_l)
    check_counts(x, rate, log_theta, None, logit)


def test_each_entry_at_every_corner():
    """Loss and slopes of single entries, so that no large entry hides a small one."""
    corners = torch.cartesian_prod(
        torch.tensor([0.0, 1.0, 7.0, 1e3, 1e6]),
        torch.tensor([1e-6, 1e-2, 1.3, 50.0, 2e5]).log(),  # none equal to a count: there the slope is zero
        torch.tensor([1e-4, 0.9, 3.0, 1e3, 1e6]).log(),
        torch.tensor([-30.0, -3.0, 0.0, 3.0, 30.0]),
    )
    x, log_mu, log_theta, logit = corners.T.contiguous()
    for part in log_theta.unique():
        own = log_theta == part
        at = (x[own, None], log_mu[own, None], part[None].contiguous(), None, logit[own, None].contiguous())
        exact = exact_count_loss(*at)
        for target in targets():
            ours = count_loss(*at, target)
            for i in (0, 2, 4):
                np.testing.assert_allclose(ours[i], exact[i], rtol=2e-5, atol=1e-12, err_msg=str(target))


def test_kernel_equals_scipy():
    x, mu, theta, pi = np.arange(40.0), 5.5, 1.7, 0.3
    negative_binomial = stats.nbinom.logpmf(x, theta, theta / (theta + mu))
    exact = np.log1p(-pi) + negative_binomial
    exact[0] = np.log(pi + (1 - pi) * np.exp(negative_binomial[0]))
    column = torch.tensor(x, dtype=torch.float32)[:, None]
    rate, logit = torch.full_like(column, np.log(mu)), torch.full_like(column, np.log(pi / (1 - pi)))
    log_theta = torch.tensor([np.log(theta)], dtype=torch.float32)
    np.testing.assert_allclose(-count_loss(column, rate, log_theta, None, logit)[0], exact, rtol=1e-6)
    np.testing.assert_allclose(-count_loss(column, rate, log_theta)[0], negative_binomial, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"n_layers": 2, "dropout_on": "input", "library": "observed"}], ids=str)
def test_training_equals_plain_training(options):
    X, batch = some_counts(n_batches=2)
    steps = []
    for kind in (PlainStep, FusedStep):
        network = some_network(torch.Generator().manual_seed(1), n_batches=2, **options)
        step = kind(network, Cells(X, batch), torch.Generator().manual_seed(2), StepOptions(lr=1e-3))
        order = torch.Generator().manual_seed(3)
        sizes = [64, 64, 65, 22] * 5  # the cells of a lone last minibatch have joined another
        losses = [step.step(torch.randperm(len(batch), generator=order)[:n], 0.5, 1.0).item() for n in sizes]
        steps.append((losses, network.state_dict(), step.state()))
    (losses, state, moments), (fused_losses, fused_state, fused_moments) = steps
    np.testing.assert_allclose(fused_losses, losses, rtol=1e-4)
    # Rounding, which depends on the order in which BLAS adds, puts an entry of a hidden unit near zero on one side of
    # the ReLU or on the other, and the weights of this unit take another way: by hundredths of the 2e-2 that all have
    # moved, and of the largest gradients.
    for name in state:
        np.testing.assert_allclose(fused_state[name], state[name], atol=5e-4, err_msg=name)
    assert fused_moments["n_steps"] == moments["n_steps"] == 20
    for ours, plain in zip(fused_moments["mean"], moments["mean"], strict=True):
        np.testing.assert_allclose(ours, plain, atol=5e-3 * max(1.0, plain.abs().max().item()))


def test_one_engine_goes_on_where_the_other_stopped():
    X, batch = some_counts()
    last = []
    for second in (PlainStep, FusedStep):
        network = some_network(torch.Generator().manual_seed(1))
        cells, generator = Cells(X, batch), torch.Generator().manual_seed(2)
        rows = torch.arange(100)
        first = FusedStep(network, cells, generator, StepOptions(lr=1e-3))
        for _ in range(5):
            first.step(rows)
        step = second(network, cells, generator, StepOptions(lr=1e-3))
        step.restore(copy.deepcopy(first.state()))
        for _ in range(5):
            step.step(rows)
        last.append(network.state_dict())
    for name in last[0]:
        np.testing.assert_allclose(last[1][name], last[0][name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_same_seed_same_bits(n_threads, threads):
    threads(n_threads)
    X, batch = some_counts(n_batches=2)
    before = X.copy()
    models = [SCVI(n_epochs=3, batch_size=64, engine="fused").fit(X, batch) for _ in range(2)]
    assert models[0].engine_ == "fused"
    states = [model.network_.state_dict() for model in models]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert (before != X).nnz == 0


def test_infinite_parameters_show():
    X, batch = some_counts()
    network = some_network(torch.Generator().manual_seed(1))
    step = FusedStep(network, Cells(X, batch), torch.Generator().manual_seed(2), StepOptions())
    assert step.step(torch.arange(64)).isfinite()
    with torch.no_grad():
        network.decoder.rate.weight[0, 0] = torch.inf
    assert step.step(torch.arange(64)).isnan()


def test_one_cell_is_refused():
    X, batch = some_counts()
    step = FusedStep(some_network(torch.Generator()), Cells(X, batch), torch.Generator(), StepOptions())
    with pytest.raises(ValueError, match="at least 2 cells"):
        step.step(torch.arange(1))


@pytest.mark.parametrize(
    "environment", [{"PATH": "", "CC": ""}, {"CC": "false"}], ids=["no compiler", "broken compiler"]
)
def test_without_a_compiler_training_is_plain(environment, monkeypatch, tmp_path, caplog):
    for name, value in {"XDG_CACHE_HOME": str(tmp_path), **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kernels, "load", compile.load.__wrapped__)
    monkeypatch.setattr(kernels, "missing", kernels.missing.__wrapped__)
    X, batch = some_counts()
    with caplog.at_level(logging.WARNING):
        model = SCVI(n_epochs=1).fit(X, batch)
    assert model.engine_ == "plain"
    assert "compile" in caplog.text
    assert np.isfinite(model.impute(X, batch)).all()
    with pytest.raises(ValueError, match="compile"):
        SCVI(n_epochs=1, engine="fused").fit(X, batch)


@pytest.mark.slow
def test_two_processes_compile_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = [sys.executable, "-c", "from scvi_core.engines.c.compile import load; load('kernels.c').adam"]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert [path.suffix for path in (tmp_path / "scvi_core").iterdir()] == [".so"]


@pytest.fixture
def threads():
    """Set the number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
