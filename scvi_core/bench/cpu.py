"""How fast a training step is: ``python -m scvi_core.bench --help``. Needs PyTorch, NumPy and SciPy only.

Every engine is first checked against the plain step in double precision; then the engines take turns, and the medians
over the rounds are printed with the arithmetic of the large products as a share of what the machine reaches on a square
product in the same run.
"""

import copy
import statistics
import sys
import time

import numpy as np
import torch

from ..data.minibatch import Cells, shuffled
from ..engines.choose import make_step
from ..engines.plain import PlainStep, StepOptions
from ..networks import Noise, draw_noise
from .counts import simulate, start

SHAPES = ("3000x558:0.48", "20000x720:0.28", "5000x10000:0.06")
TOLERANCE = 1e-4  # of loss and gradient; rounding is below 1e-5


def flops_per_cell(arch):
    """Floating point operations of the products that grow with the genes, forth and back.

    The first layer of an encoder costs two products (no derivative with respect to the counts), a head of the decoder
    three; 2048 times the genes with the paper's settings and the observed library size, 2560 with the latent one.
    """
    encoders = 1 + (arch.library == "latent")
    return 2 * arch.n_genes * arch.n_hidden * (2 * encoders + 3 * len(arch.heads))


def gemm_peak(size=1024, repeats=10):
    """Operations per second of the fastest of a few square products on the present number of threads."""
    a, b = torch.randn(2, size, size)
    best = np.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best


def check(engine, X, batch, library):
    """Relative error of the loss and of the gradient of a step against the plain one in double precision, equal noise.

    Of each parameter in units of its largest entry, but for biases that batch normalisation takes the effect from.
    """
    network = start(X, batch, library)
    exact, generator = copy.deepcopy(network).double(), torch.Generator().manual_seed(0)
    step = make_step(engine, network, Cells(X, batch), generator, StepOptions())
    exact_step = PlainStep(exact, Cells(X, batch, dtype=torch.float64), generator, StepOptions())
    rows = torch.randperm(X.shape[0], generator=generator)[:128]
    noise = draw_noise(network.arch, len(rows), generator)
    loss, exact_loss = step.step(rows, noise=noise), exact_step.step(rows, noise=_double(noise))
    worst = abs(loss.item() / exact_loss.item() - 1)
    names = [name for name, _ in network.named_parameters()]
    for name, ours, theirs in zip(names, step.state()["mean"], exact_step.state()["mean"], strict=True):
        if not name.endswith(("linear.bias", "mean.bias")):
            worst = max(worst, ((ours.cpu() - theirs).abs().max() / theirs.abs().max()).item())
    return worst


def _double(noise):
    if noise is None:
        return None
    if isinstance(noise, torch.Tensor):
        return noise.double()
    parts = map(_double, noise)
    return Noise(*parts) if isinstance(noise, Noise) else tuple(parts)


class Epochs:
    """Training of one engine, an epoch of at most ``n_steps`` minibatches of 128 cells at a time."""

    def __init__(self, engine, X, batch, library, n_steps=None):
        self.n_steps, self.generator = n_steps, torch.Generator().manual_seed(0)
        self.step = make_step(engine, start(X, batch, library), Cells(X, batch), self.generator, StepOptions())
        self.name = self.step.name

    def run(self):
        """Return the cells per second of one more epoch."""
        minibatches = shuffled(len(self.step.cells), 128, self.generator)[: self.n_steps]
        begin = time.perf_counter()
        for rows in minibatches:
            self.step.step(rows)
        return sum(map(len, minibatches)) / (time.perf_counter() - begin)


def compare(shape, library, n_threads, engines, rounds, n_steps):
    """Yield one dict per engine: what was measured of it at one shape."""
    size, density = shape.split(":")
    X, batch = simulate(*map(int, size.split("x")), float(density))
    torch.set_num_threads(n_threads)
    runs = [Epochs(engine, X, batch, library, n_steps) for engine in engines]
    peaks, speeds = [], {run.name: [] for run in runs}
    for i in range(rounds + 1):  # the first round warms up
        for run in runs:
            speed = run.run()
            if i > 0:
                speeds[run.name].append(speed)
        peaks.append(gemm_peak())
    for run in runs:
        speed, peak = statistics.median(speeds[run.name]), statistics.median(peaks)
        yield {
            "shape": size,
            "density": X.nnz / np.prod(X.shape),
            "library": library,
            "threads": n_threads,
            "engine": run.name,
            "cells_per_s": speed,
            "slowest_round": min(speeds[run.name]),
            "fastest_round": max(speeds[run.name]),
            "gemm_share": flops_per_cell(run.step.network.arch) * speed / peak,
            "gemm_peak_gflops": peak / 1e9,
            "ratio_to_plain": speed / statistics.median(speeds["plain"]) if "plain" in speeds else None,
        }


def report(options):
    """Check and time the engines on the CPU and print; return the rows of `compare`."""
    X, batch = simulate(600, 300, 0.3, seed=1)
    for engine in options.engines:
        for library in options.library:
            worst = check(engine, X, batch, library)
            print(f"{engine}, {library} library size: loss and gradient equal double precision to {worst:.1e}")
            if not worst < TOLERANCE:
                sys.exit(f"The engine {engine!r} is wrong: its speed does not matter.")
    rows = []
    for shape in options.shapes:
        for library in options.library:
            for n_threads in options.threads:
                for row in compare(shape, library, n_threads, options.engines, options.rounds, options.steps):
                    rows.append(row)
                    print(
                        "{shape:>11} {library:>8} {threads} threads {engine:>6}: {cells_per_s:8,.0f} cells/s "
                        "({slowest_round:,.0f} to {fastest_round:,.0f}), {gemm_share:4.0%} of the GEMM peak of "
                        "{gemm_peak_gflops:.0f} GFLOP/s".format(**row),
                        flush=True,
                    )
    return rows
