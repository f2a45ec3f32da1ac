"""The part of ``python -m scvi_core.bench --device cuda``: is the step on the GPU right, how fast is it, and why.

Two floors are measured in the same run: what a recorded kernel that does nothing costs, times the number of kernels of
a step, and what moving the bytes of a step costs at the speed of a large copy.
"""

import runpy
import statistics
import sys
import time

import numpy as np
import torch

from ..data.minibatch import Cells
from ..engines.choose import make_step
from ..engines.cuda.check import TOLERANCE, disagreement
from ..engines.plain import StepOptions
from ..networks import Architecture
from ..training import train
from .counts import simulate, start

BATCH_SIZE = 128
CHECKED = (  # options, each with a path of its own through the kernels
    {},
    {"library": "observed", "n_batches": 1},
    {"library": "none", "likelihood": "nb"},
    {"dispersion": "gene-batch", "n_layers": 2},
    {"dispersion": "gene-cell", "library_encoder": "offset"},
    {"dropout_on": "input", "encode_batch": False, "log_input": False},
    {"n_genes": 1500, "n_batches": 9},
)
PROJECTED = 1_000_000, 250  # cells and epochs of the paper's largest run


def report(options, device="cuda"):
    """Check, time and print; return one dict per shape, library size and engine."""
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no NVIDIA GPU: run without --device cuda, or install a CUDA build of PyTorch.")
    torch.cuda.set_device(device)
    print(f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}")
    for changed in CHECKED:
        error = disagreement(device, Architecture(**{"n_genes": 720, "n_batches": 2, **changed}))
        print(f"{changed or 'defaults'}: equal to double precision on the CPU up to {error:.1e}")
        if not error < TOLERANCE:
            sys.exit("The step on the GPU is wrong: its speed does not matter.")
    kernel, bandwidth = kernel_seconds(device), copy_bytes_per_second(device)
    print(f"An empty kernel in a recording takes {1e6 * kernel:.2f} µs; a copy moves {bandwidth / 1e9:,.0f} GB/s")
    rows = []
    for shape in options.shapes:
        size, density = shape.split(":")
        X, batch = simulate(*map(int, size.split("x")), float(density))
        for library in options.library:
            for engine in ("cuda", "plain"):
                row = {"shape": size, "density": X.nnz / np.prod(X.shape), "library": library, "engine": engine}
                row |= measure(engine, X, batch, library, device, options.rounds, kernel, bandwidth)
                rows.append(row)
                print(
                    "{shape:>11} {library:>8} {engine:>6}: {cells_per_s:11,.0f} cells/s, {steps_per_s:8,.0f} steps/s "
                    "({kernels} kernels a step), {launch_share:4.0%} of the launch and {bandwidth_share:4.0%} of the "
                    "bandwidth limit; a million cells, 250 epochs: {projected_minutes:.1f} min".format(**row),
                    flush=True,
                )
    return rows


def measure(engine, X, batch, library, device, rounds, kernel, bandwidth):
    """What training costs, whole epochs of `scvi_core.training.train`: the median over ``rounds`` after the first."""
    network = start(X, batch, library).to(device)
    step = make_step(engine, network, Cells(X, batch, device), torch.Generator(device).manual_seed(0), StepOptions())
    history, n_epochs = [], rounds + 2
    order = torch.Generator().manual_seed(0)
    how = {"sampling": "shuffle", "batch_size": BATCH_SIZE, "generator": order, "weights": lambda epoch: (1.0, 1.0)}
    train(step, range(n_epochs), history=history, **how)
    seconds = statistics.median(row["seconds"] for row in history[2:])
    n_steps = -(-X.shape[0] // BATCH_SIZE)
    n_kernels, moved = kernels_of(step, device), bytes_per_step(network)
    n_cells, epochs = PROJECTED
    return {
        "cells_per_s": X.shape[0] / seconds,
        "steps_per_s": n_steps / seconds,
        "kernels": n_kernels,
        "launch_share": n_kernels * kernel * n_steps / seconds,
        "bandwidth_share": moved / bandwidth * n_steps / seconds,
        "megabytes_per_step": moved / 1e6,
        "projected_minutes": epochs * -(-n_cells // BATCH_SIZE) * seconds / n_steps / 60,
    }


def kernels_of(step, device):
    """Number of kernels and copies of one step, by PyTorch's profiler."""
    rows = torch.arange(min(BATCH_SIZE, len(step.cells)), device=device)
    for _ in range(2):
        step.step(rows)
    torch.cuda.synchronize(device)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        step.step(rows)
        torch.cuda.synchronize(device)
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profile.events())


def bytes_per_step(network):
    """What a step reads and writes at the least, wherever it is cached, in the cuda engine's order of things.

    Of each parameter: Adam's four reads and three writes, the weight in both directions, the gradient once. Of each
    entry of the minibatch: counts (2), inputs (1, and 2 per encoder), each head (5), slopes (4).
    """
    arch = network.arch
    encoders = 1 + (network.encoder_l is not None)
    entries = BATCH_SIZE * arch.n_genes * (2 + 1 + 2 * encoders + 5 * len(arch.heads) + 4)
    return 4 * (10 * sum(p.numel() for p in network.parameters()) + entries)


def kernel_seconds(device, n=1000):
    """Seconds per kernel of a recording of ``n`` kernels that do next to nothing, each waiting for the last."""
    x, graph = torch.zeros(1, device=device), torch.cuda.CUDAGraph()
    x.add_(1)
    with torch.cuda.graph(graph):
        for _ in range(n):
            x.add_(1)
    return _seconds(graph.replay, device) / n


def copy_bytes_per_second(device, size=2**28):
    """Bytes read and written per second by a copy of ``size`` floats."""
    a, b = torch.zeros(2, size, device=device)
    return 8 * size / _seconds(lambda: b.copy_(a), device)


def _seconds(function, device, repeats=10):
    """The fastest of some runs."""
    best = np.inf
    for _ in range(repeats):
        torch.cuda.synchronize(device)
        begin = time.perf_counter()
        function()
        torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - begin)
    return best


if __name__ == "__main__":
    sys.argv += ["--device", "cuda"]
    runpy.run_module("scvi_core.bench", run_name="__main__")
