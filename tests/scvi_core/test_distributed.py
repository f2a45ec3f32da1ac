"""Two processes against one: the same steps, the same fits, and a process that is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import scipy.sparse as sp
import torch
import torch.distributed as dist

from scvi_core import SCVI
from scvi_core.data.minibatch import Cells
from scvi_core.engines.plain import PlainStep, StepOptions
from scvi_core.networks import Architecture, Network, initialise

CODES = np.arange(37) % 2
X = np.random.default_rng(0).poisson(2.0, size=(37, 8)) + (np.arange(8) == 0)
PARAMETERS = {"n_hidden": 8, "n_latent": 2, "batch_size": 12, "kl_warmup_epochs": 20}  # 12 + 12 + 13 cells
STEPS = [
    ({}, {}),
    ({}, {"mmd_weight": 1.0}),
    (
        {"n_layers": 2, "dispersion": "gene-cell", "dropout_on": "input", "framework": "tensorflow"},
        {"mmd_weight": 1.0, "mmd_kernel": "rbf"},
    ),
    ({"likelihood": "nb", "library": "none", "dispersion": "gene-batch"}, {}),
]
FITS = [
    {"n_epochs": 6},
    {"n_epochs": 60, "early_stopping": "patience", "patience": 2, "lr": 0.01, "batch_norm_momentum": 0.5},
]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ENVIRONMENT = os.environ | ONE_THREAD | {"PYTHONPATH": str(Path(__file__).parents[2])}


def steps(kind, architecture, options):
    """Losses and parameters of some steps in double precision; the minibatches have 11, 26, 2 and 3 cells."""
    generator = torch.Generator().manual_seed(1)
    network = Network(Architecture(n_genes=8, n_batches=2, n_latent=2, n_hidden=5, **architecture)).double()
    initialise(network, "torch", generator)
    step = kind(
        network, Cells(sp.csr_matrix(X), CODES, dtype=torch.float64), generator, StepOptions(lr=1e-2, **options)
    )
    rows = [torch.arange(*bounds) for bounds in [(0, 11), (11, 37), (2,), (30, 33)]]
    losses = torch.stack([step.step(r, 0.5, 0.7) for r in rows * 3])
    return {"loss": losses} | network.state_dict()


def fits(folder, engine):
    for parameters in FITS:
        model = SCVI(engine=engine, **PARAMETERS | parameters).fit(X, CODES)
        yield {"latent": model.latent(X, CODES), **model.history_.drop(columns="seconds")}


def one_of_two(folder, rank):
    """What each process does; the group is there before anything of ours is called, as in Ray Train."""
    from scvi_core.engines.distributed import DistributedStep

    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    found = {"steps": [steps(DistributedStep, *options) for options in STEPS]}
    found["fits"] = [{k: torch.tensor(np.array(v)) for k, v in fit.items()} for fit in fits(folder, "distributed")]
    for n_epochs in (3, 6):  # cut off after three, and gone on with
        model = SCVI(engine="distributed", **PARAMETERS, n_epochs=n_epochs)
        model.fit(X, CODES, checkpoint=f"{folder}/model", resume=True, log=f"{folder}/log")
    found["resumed"] = torch.tensor(model.latent(X, CODES))
    found["refused"] = []
    for data, random_state in [(X, None), (X + rank, 0)]:
        try:
            SCVI(engine="distributed", random_state=random_state, n_epochs=1).fit(data)
        except ValueError as error:
            found["refused"].append(str(error))
    torch.save(found, f"{folder}/{rank}")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes found, each its own, and the folder they wrote to."""
    folder = tmp_path_factory.mktemp("two")
    quiet = ["-W", "error", "-W", "ignore:scVI has not converged"]
    command = [sys.executable, *quiet, __file__, folder]
    processes = [subprocess.Popen([*command, str(rank)], env=ENVIRONMENT) for rank in range(2)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    return [torch.load(folder / str(rank)) for rank in range(2)], folder


@pytest.mark.slow
@pytest.mark.parametrize("i", range(len(STEPS)))
def test_steps_are_those_of_one_process(two, i):
    expected = steps(PlainStep, *STEPS[i])
    for found in two[0]:
        assert found["steps"][i].keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found["steps"][i][name], value, rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("i", range(len(FITS)))
def test_fits_are_those_of_one_process(two, i):
    expected = list(fits(None, "plain"))[i]
    assert len(expected["loss"]) < 60  # early stopping came first
    for found in two[0]:
        for name, value in expected.items():
            np.testing.assert_allclose(found["fits"][i][name], value, rtol=1e-4, atol=1e-3, err_msg=name)
    for name in expected:
        assert torch.equal(two[0][0]["fits"][i][name].nan_to_num(), two[0][1]["fits"][i][name].nan_to_num())


@pytest.mark.slow
def test_resuming_is_as_if_nothing_had_been(two):
    (first, second), folder = two
    assert torch.equal(first["resumed"], first["fits"][0]["latent"])
    assert torch.equal(second["resumed"], first["resumed"])
    assert [json.loads(line)["epoch"] for line in (folder / "log").read_text().splitlines()] == list(range(6))


@pytest.mark.slow
def test_processes_that_were_given_different_things(two):
    for found in two[0]:
        assert len(found["refused"]) == 2
        assert all("different cells, parameters or random states" in said for said in found["refused"])


def test_one_process_alone_is_told():
    with pytest.raises(ValueError, match="start the script with torchrun"):
        SCVI(engine="distributed").fit(X)


@pytest.mark.slow
def test_a_killed_process_ends_the_job_and_training_goes_on(tmp_path):
    sp.save_npz(tmp_path / "counts.npz", sp.csr_matrix(X))
    log, path = tmp_path / "log", tmp_path / "model"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command += ["-m", "scvi_core.train", tmp_path / "counts.npz", "--out", path, "--log-file", log, "--resume"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in PARAMETERS.items()]
    command += ["--n-epochs=1000000", "--checkpoint-every=0.01"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as job:
        while job.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < 5):
            time.sleep(0.02)
        ranks = {child.environ()["RANK"]: child for child in psutil.Process(job.pid).children()}
        ranks["1"].send_signal(signal.SIGKILL)
        _, said = job.communicate(timeout=180)
    assert job.returncode != 0
    assert re.search(r"scvi_core\.train, process 0: .* The same command with --resume goes on from .*/model", said)
    n_epochs = len(SCVI.load(path).history_) + 4
    found = SCVI(engine="plain", n_epochs=n_epochs, **PARAMETERS).fit(X, checkpoint=path, resume=True)
    expected = SCVI(engine="plain", n_epochs=n_epochs, **PARAMETERS).fit(X)
    np.testing.assert_allclose(found.history_["loss"], expected.history_["loss"], rtol=1e-4)
    np.testing.assert_allclose(found.latent(X), expected.latent(X), atol=1e-3)


if __name__ == "__main__":
    torch.set_num_threads(1)
    one_of_two(sys.argv[1], int(sys.argv[2]))
