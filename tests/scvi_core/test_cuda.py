"""The step on the GPU: what can be looked at without one, and, where there is one, the step itself."""

import copy
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scvi_core import SCVI, engines
from scvi_core.bench.__main__ import main
from scvi_core.data.minibatch import Cells
from scvi_core.engines.choose import make_step
from scvi_core.engines.cuda import check as cuda_check
from scvi_core.engines.cuda.step import CudaStep
from scvi_core.engines.plain import PlainStep, StepOptions
from scvi_core.networks import Architecture, Network, initialise

needs_gpu = pytest.mark.skipif(torch.version.cuda is None or not torch.cuda.is_available(), reason="there is no GPU")


def some_cells(device="cpu"):
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.5, 3, (300, 70))).astype(np.int32)
    X[:, 0] += 1
    return Cells(sp.csr_matrix(X), rng.integers(2, size=300), device)


def some_network(**options):
    network = Network(Architecture(70, 2, **options))
    initialise(network, "torch", torch.Generator().manual_seed(1))
    network.library_mean.fill_(5.0)
    return network


@pytest.mark.slow
def test_kernels_and_step_in_the_interpreter():
    """Triton reads its switch when it is loaded: in a process of its own."""
    pytest.importorskip("triton", reason="Triton is not installed: the kernels cannot be interpreted")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    files = [str(Path(__file__).with_name(name)) for name in ("test_triton.py", "test_original.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def test_both_fast_engines_have_the_same_polynomials():
    """Written twice, in C and for Triton, with the powers in the same order."""
    folder = Path(engines.__file__).parent
    number, function = r"p = (?:p \* \w+ )?([+-]? ?[\d.e-]+\d)f?\b", r"(?:static inline \w+|def) (\w+?)_?\("
    found = []
    for name in ("c/kernels.c", "cuda/zinb.py"):
        parts = re.split(function, (folder / name).read_text())
        each = zip(parts[1::2], parts[2::2], strict=True)
        found.append({k: [float(x.replace(" ", "")) for x in re.findall(number, text)] for k, text in each})
    in_c, in_triton = found
    for name, terms in {"log1p": 8, "expm1_ratio": 5, "stirling": 7, "stirling_slope": 9}.items():
        assert in_c[name] == in_triton[name]
        assert len(in_c[name]) == terms


P, L, W = "*fp32", "*i64", "*i32"  # pointers to floats, int64, int32
COUNTS = [P, P, P, L, P, P, P, P, P, "fp32", "i32"]
KERNELS = {  # name: types of the arguments, values of the constants
    "zinb": ("_count_loss", COUNTS, (720, 2, True, True, False, False, 1, 1024)),
    "gene-batch": ("_count_loss", COUNTS, (720, 2, True, True, True, False, 1, 1024)),
    "gene-cell": ("_count_loss", COUNTS, (10_000, 2, False, False, False, True, 1, 1024)),
    "take": ("_take", [L, L, W, W, L, P, P, L, P, L, "i32", "i32"], (720, 500, True, 3, 2, 2, 1, 1024)),
    "norm": ("_norm_forward", [P] * 5 + [L] + [P] * 3 + ["i32"] * 4 + ["fp32"] * 2, (128, True, 128, 4)),
    "norm_backward": ("_norm_backward", [P] * 8 + ["i32"] * 3, (256, False, 128, 4)),
    "gaussian": ("_gaussian", [P] * 3 + [L] + [P] * 5 + ["i32"] * 3, (True, False, False, 16, 16)),
    "gaussian_backward": ("_gaussian", [P] * 3 + [L] + [P] * 5 + ["i32"] * 3, (False, True, True, 16, 1)),
    "adam": ("_adam", [P] * 4 + ["*fp64", P, "i32", "fp32", "fp32"], (False, 1024)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_compile_for_an_h100(kernel, monkeypatch, tmp_path):
    """Down to machine code, without a GPU, and with registers enough."""
    triton = pytest.importorskip("triton", reason="Triton is not installed: the kernels cannot be compiled")
    from triton.backends.compiler import GPUTarget

    from scvi_core.engines.cuda import layers as triton_layers
    from scvi_core.engines.cuda import zinb as triton_zinb

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    name, types, values = KERNELS[kernel]
    function = getattr(triton_layers, name, None) or getattr(triton_zinb, name)
    names = function.arg_names
    signature = dict(zip(names, types + ["constexpr"] * len(values), strict=True))
    constants = {(i + len(types),): value for i, value in enumerate(values)}
    source = triton.compiler.ASTSource(function, signature=signature, constexprs=constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert len(compiled.asm["cubin"]) > 1000
    assert ".local" not in compiled.asm["ptx"]


def test_cpu_is_not_its_place():
    step = make_step("auto", some_network(), some_cells(), torch.Generator(), StepOptions())
    assert step.name != "cuda"
    with pytest.raises(ValueError, match="single precision on an NVIDIA GPU"):
        SCVI(n_epochs=1, engine="cuda", device="cpu").fit(some_cells().X)


def wrong(device, arch):
    return float("nan")


def broken(device, arch):
    raise RuntimeError("no kernel image\nis available")


@pytest.mark.parametrize(
    ("check", "words"), [(wrong, "differ by nan"), (lambda *_: 0.01, "differ by 1e-02"), (broken, "no kernel image).")]
)
def test_a_step_that_fails_its_check_is_not_used(check, words, monkeypatch, caplog):
    monkeypatch.setattr(cuda_check.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(cuda_check, "disagreement", check)
    cuda_check.refusal.cache_clear()
    with caplog.at_level(logging.WARNING):
        reasons = [cuda_check.refusal("cuda:7", some_network().arch) for _ in range(2)]
    cuda_check.refusal.cache_clear()
    assert reasons[0] == reasons[1]
    (message,) = [record.getMessage() for record in caplog.records]  # once
    assert words in message
    assert "plain path" in message


def test_without_triton_there_is_the_plain_step(monkeypatch):
    monkeypatch.setattr(cuda_check.importlib.util, "find_spec", lambda name: None)
    cuda_check.refusal.cache_clear()
    assert "Triton is not installed" in cuda_check.refusal("cuda:7", some_network().arch)
    cuda_check.refusal.cache_clear()


@pytest.mark.slow
def test_nothing_of_it_is_loaded_on_a_cpu():
    code = "import sys, scvi_core.bench.__main__; sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    code = "import sys, scvi_core.bench.cuda; sys.exit('sklearn' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_benchmark_says_that_there_is_no_gpu():
    with pytest.raises(SystemExit, match="no NVIDIA GPU"):
        main(["--device", "cuda"])


@needs_gpu
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_batches": 3, "dispersion": "gene-batch", "n_layers": 2, "library": "observed"},
        {"dispersion": "gene-cell", "library": "none", "likelihood": "nb"},
        {"n_batches": 2, "dropout_on": "input", "library_encoder": "offset", "encode_batch": False, "log_input": False},
        {"n_genes": 2500, "n_batches": 9, "dropout": 0.0},
    ],
    ids=str,
)
def test_gpu_equals_cpu(options):
    assert cuda_check.disagreement("cuda", Architecture(**{"n_genes": 70, **options})) < 2e-5


@needs_gpu
def test_recording_equals_running_kernel_by_kernel():
    cells, states = some_cells("cuda"), []
    for records in (True, False):
        network = some_network().to("cuda")
        step = CudaStep(network, cells, torch.Generator("cuda").manual_seed(0), StepOptions())
        step.records = records
        order = torch.Generator().manual_seed(3)
        losses = [step.step(torch.randperm(300, generator=order)[:n], 0.5).item() for n in (128, 128, 44) * 4]
        states.append((losses, network.state_dict()))
    (losses, state), (other_losses, other_state) = states
    np.testing.assert_allclose(losses, other_losses, rtol=1e-5)
    for name in state:
        torch.testing.assert_close(state[name], other_state[name], rtol=1e-4, atol=2e-5)


@needs_gpu
def test_a_step_does_not_wait_for_the_gpu():
    cells, generator = some_cells("cuda"), torch.Generator("cuda").manual_seed(0)
    step = CudaStep(some_network().to("cuda"), cells, generator, StepOptions())
    rows = torch.arange(300, device="cuda").split(100)
    for each in rows:
        step.step(each)
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = [step.step(each, 0.1 * i, 1.0) for i, each in enumerate(rows * 3)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.stack(losses).isfinite().all()


@needs_gpu
def test_training_on_the_gpu():
    cells = some_cells()
    ends = []
    for engine in ("cuda", "plain"):
        model = SCVI(n_epochs=30, engine=engine, device="cuda", lr=2e-3).fit(cells.X, cells.batch.numpy())
        assert model.engine_ == engine
        assert model.latent(cells.X, cells.batch.numpy()).shape == (300, 10)
        ends.append(model.loglik(cells.X, cells.batch.numpy(), n_samples=50).mean())
    assert ends[0] == pytest.approx(ends[1], rel=0.02)  # other draws of the noise


@needs_gpu
def test_one_engine_goes_on_where_the_other_stopped():
    cells, ends = some_cells("cuda"), []
    for second in (PlainStep, CudaStep):
        network = some_network(dropout=0.0).to("cuda")
        step = CudaStep(network, cells, torch.Generator("cuda").manual_seed(0), StepOptions())
        for _ in range(5):
            step.step(torch.arange(128))
        state = copy.deepcopy(step.state())
        step = second(network, cells, torch.Generator("cuda").manual_seed(0), StepOptions())
        step.restore(state)
        ends.append(step.step(torch.arange(128)).item())
    assert ends[0] == pytest.approx(ends[1], rel=0.01)  # other draws of z
