"""The benchmark measures what it says: simulated densities, counted products, a check that a wrong engine fails."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from scvi_core.bench import cpu as bench
from scvi_core.bench.__main__ import main
from scvi_core.engines.plain import PlainStep
from scvi_core.networks import Architecture


@pytest.mark.parametrize("density", [0.06, 0.28, 0.48])
def test_simulated_counts_have_the_density_asked_for(density):
    X, batch = bench.simulate(1500, 200, density)
    assert X.nnz / np.prod(X.shape) == pytest.approx(density, abs=0.02)
    assert X.shape == (1500, 200)
    assert (X.sum(axis=1) > 0).all()
    assert sorted(set(batch)) == [0, 1]


def test_products_are_counted_as_pytorch_counts_them():
    """Against PyTorch's own counter, at two numbers of genes so that the part without genes drops out."""
    from torch.utils.flop_counter import FlopCounterMode

    totals = []
    for n_genes in (300, 400):
        X, batch = bench.simulate(64, n_genes, 0.5, n_batches=1)
        epochs = bench.Epochs("plain", X, batch, "latent", 1)
        with FlopCounterMode(display=False) as counter:
            epochs.run()
        totals.append(counter.get_total_flops())
    counted = (totals[1] - totals[0]) / 64
    genes = [bench.flops_per_cell(Architecture(n, 1)) for n in (300, 400)]
    assert counted == genes[1] - genes[0]


def test_a_wrong_engine_is_found(monkeypatch):
    X, batch = bench.simulate(300, 100, 0.3)
    assert bench.check("plain", X, batch, "latent") < bench.TOLERANCE
    right = bench.make_step

    def wrong(*arguments):
        step = right(*arguments)
        step.network.encoder_z.mean.weight.register_hook(lambda gradient: 1.001 * gradient)
        return step

    monkeypatch.setattr(bench, "make_step", wrong)
    assert bench.check("plain", X, batch, "latent") > bench.TOLERANCE


@pytest.mark.slow
def test_command_line(tmp_path, capsys):
    threads = torch.get_num_threads()
    small = ["--shapes", "300x50:0.3", "--threads", "1", "--rounds", "1", "--steps", "2", "--library", "observed"]
    try:
        main([*small, "--engines", PlainStep.name, "--json", str(tmp_path / "rows.json")])
    finally:
        torch.set_num_threads(threads)
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["engine"] == "plain"
    assert row["ratio_to_plain"] == 1
    assert 0 < row["gemm_share"] < 1
    assert "cells/s" in capsys.readouterr().out


@pytest.mark.slow
def test_needs_no_scikit_learn():
    code = "import sys, scvi_core.bench.__main__; sys.exit(bool({'sklearn', 'pandas', 'anndata'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
