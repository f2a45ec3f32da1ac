"""The authors' TensorFlow program, at equal weights and along its training (tests/golden/scvi_tf_*.npz).

Here on the engines of the CPU; under Triton's interpreter, where test_cuda.py runs this file once more, on that of the
GPU.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.distributed as dist

from scvi_core.data.minibatch import Cells
from scvi_core.elbo import kl_normal
from scvi_core.engines.c import compile
from scvi_core.engines.choose import make_answers
from scvi_core.engines.plain import PlainStep, StepOptions
from scvi_core.networks import Architecture, Network, Noise

GOLDEN = Path(__file__).parents[1] / "golden"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
ENGINES = ["cuda"] if INTERPRETED else ["plain", "distributed", "fused", "fused x86-64-v2", "fused x86-64-v3"]
N_STEPS = 10 if INTERPRETED else 20


def network_of(given, prefix, framework="tensorflow"):
    """A network with weights of the original program."""
    network = Network(Architecture(given["counts"].shape[1], dropout_on="input", framework=framework))
    weights = {name: torch.from_numpy(given[f"{prefix}/{name}"]) for name, _ in network.named_parameters()}
    weights |= {n: torch.from_numpy(given[f"{prefix}/{n}"]) for n, _ in network.named_buffers() if "running" in n}
    network.load_state_dict(weights, strict=False)
    network.library_mean.fill_(given["library_mean"].item())
    network.library_var.fill_(given["library_var"].item())
    return network


def cells_of(given):
    counts = sp.csr_matrix(given["counts"].astype(np.int32))
    return Cells(counts, np.zeros(counts.shape[0], dtype=int))


@pytest.fixture
def kind(request, monkeypatch):
    """The step of an engine; those of C with and without fused products and sums, "distributed" as one process."""
    name, _, level = request.param.partition(" ")
    if name == "plain":
        yield PlainStep
    elif name == "fused":
        from scvi_core.engines.c import step
        from scvi_core.engines.c.kernels import Kernels

        target = (f"-march={level}", "-ffp-contract=off") if level else compile.HERE
        if level == "x86-64-v3" and "avx2" not in Path("/proc/cpuinfo").read_text().split():
            pytest.skip("this processor has no AVX2")
        try:
            compile.load("kernels.c", target)
        except compile.NoCompiler as reason:
            pytest.skip(str(reason))
        monkeypatch.setattr(step, "Kernels", lambda: Kernels(target))
        yield step.FusedStep
    elif name == "cuda":
        from scvi_core.engines.cuda import layers, zinb
        from scvi_core.engines.cuda.step import CudaStep

        for module in (zinb, layers):
            monkeypatch.setattr(module, "CELLS", 128)  # a program costs the interpreter the same whatever it takes on
        for constant, size in {"COLUMNS": 128, "DRAWS": 128, "PARAMETERS": 65536}.items():
            monkeypatch.setattr(layers, constant, size)
        yield CudaStep
    else:
        from scvi_core.engines.distributed import DistributedStep

        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        yield DistributedStep
        dist.destroy_process_group()


def steps_of(kind, given, framework="tensorflow", n_steps=N_STEPS):
    """Losses of the steps of the recipe, and the state after each."""
    network = network_of(given, "init", framework)
    step = kind(network, cells_of(given), torch.Generator(), StepOptions(lr=4e-4, adam_eps=0.01))
    rng = np.random.RandomState(99)  # the recipe in the file
    place = np.zeros(2253, dtype=int)
    place[given["row"]] = np.arange(len(given["row"]))
    losses, states = [], []
    for _ in range(n_steps):
        rows = place[rng.randint(0, 2253, 128)]
        drawn = [rng.randn(128, 10), rng.randn(128, 1)]
        drawn += [(rng.rand(128, network.arch.n_genes) < 0.9) / 0.9 for _ in range(2)]
        eps_z, eps_l, mask_z, mask_l = (torch.from_numpy(part.astype(np.float32)) for part in drawn)
        noise = Noise(eps_z, eps_l, (mask_z,), (mask_l,), ())
        losses.append(step.step(torch.from_numpy(rows), 0.3, 1.0, noise).item())
        states.append({name: value.clone().numpy() for name, value in network.state_dict().items()})
    return np.array(losses), states


@pytest.mark.parametrize("kind", ENGINES, indirect=True)
def test_training_follows_the_original_program(kind):
    """Its losses to single precision, and after one and ten steps its movement in every tensor.

    A loss is a sum over 558 genes in single precision in either program: some 1e-6. Of a movement as much is rounding
    as the smallest gradients have: Adam divides by them.
    """
    given = np.load(GOLDEN / "scvi_tf_trajectory.npz")
    losses, states = steps_of(kind, given)
    np.testing.assert_allclose(losses, given["losses"][: len(losses)], rtol=5e-6)
    for n_steps, state in ((1, states[0]), (10, states[9])):
        for name in (key.partition("/")[2] for key in given if key.startswith(f"step{n_steps}/")):
            if name.endswith("linear.bias"):
                continue  # no effect in front of batch normalisation: rounding alone moves it
            theirs, start = given[f"step{n_steps}/{name}"], given[f"init/{name}"]
            few = slice(None, None, 16) if len(theirs) < len(start) else slice(None)
            moved = theirs - start[few]
            ours = state[name][few] - start[few]
            np.testing.assert_allclose(ours, moved, rtol=0, atol=5e-3 * np.abs(moved).max(), err_msg=name)


def test_the_running_variance_is_over_n():
    """128 cells: with n - 1 it moves by 0.8% more."""
    given = np.load(GOLDEN / "scvi_tf_trajectory.npz")
    ratios = {}
    for framework in ("tensorflow", "torch"):
        (state,) = steps_of(PlainStep, given, framework, n_steps=1)[1]
        name = "encoder_z.hidden.0.norm.running_var"
        ratios[framework] = np.median((state[name] - 0.99) / (given[f"step1/{name}"] - 0.99))
    assert ratios["tensorflow"] == pytest.approx(1, abs=1e-3)
    assert ratios["torch"] == pytest.approx(128 / 127, abs=1e-3)


def test_the_form_of_kingma_and_ba_takes_another_path():
    """An epsilon of 0.01 beside the corrected root is a thirtieth of theirs at the first step."""
    given = np.load(GOLDEN / "scvi_tf_trajectory.npz")
    losses, _ = steps_of(PlainStep, given, "torch", n_steps=10)
    assert 1e-3 < np.abs(losses / given["losses"][:10] - 1).max() < 3e-3


@pytest.mark.parametrize("engine", ["plain", "fused"])
def test_at_equal_weights_everything_is_that_of_the_original_program(engine):
    given = np.load(GOLDEN / "scvi_tf_weights.npz")
    expected = {key.removeprefix("out/"): given[key] for key in given if key.startswith("out/")}
    network, cells = network_of(given, "weights").eval(), cells_of(given)
    if engine == "fused" and make_answers("auto", network, cells).name != "fused":
        pytest.skip("there is no C compiler")
    answers = make_answers(engine, network, cells)
    x, codes = cells.take(torch.arange(len(cells)))
    with torch.no_grad():
        ((_, q, _, _),) = answers.encoded()
        decoded = network.decode(q.z_mean, codes)
        found = {
            "qz_mean": q.z_mean, "qz_var": q.z_logvar.exp(), "ql_mean": q.l_mean, "ql_var": q.l_logvar.exp(),
            "px_rate": (decoded.log_rho + q.l_mean).exp(), "px_dropout": decoded.heads["dropout"],
            "theta": network.log_theta.exp(), "reconst": answers.likelihood(x, codes)(q.z_mean, q.l_mean),
            "kl_z": kl_normal(q.z_mean, q.z_logvar),
            "kl_l": kl_normal(q.l_mean, q.l_logvar, network.library_mean, network.library_var),
        }  # fmt: skip
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # of what passes through zero, in units of its largest
        absolute = 1e-5 if name in ("qz_mean", "px_dropout") else 0
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=absolute, err_msg=name)
