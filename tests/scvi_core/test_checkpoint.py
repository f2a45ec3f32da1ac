"""Fits that are cut off and go on, the log, and files that are whole or not there."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scvi_core import SCVI, InvalidCounts
from scvi_core.engines.c.compile import NoCompiler, load

BATCH = np.array(["b", "a"])[np.arange(60) % 2]
GENES = [f"gene {i}" for i in range(8)]
X = np.random.default_rng(0).poisson(2.0, size=(60, 8)) + (np.arange(8) == 0)


def small(**parameters):
    given = {"n_hidden": 8, "n_latent": 2, "batch_size": 16, "engine": "plain", "kl_warmup_epochs": 20, "n_epochs": 4}
    return SCVI(**given | parameters)


def cut_off(epoch):
    """A constant KL weight, and Ctrl-C when the epoch begins."""

    def weight(now):
        if now == epoch:
            raise KeyboardInterrupt
        return 0.5

    return weight


def assert_same(a, b):
    for name, value in a.network_.state_dict().items():
        np.testing.assert_array_equal(value, b.network_.state_dict()[name], err_msg=name)
    pd.testing.assert_frame_equal(a.history_.drop(columns="seconds"), b.history_.drop(columns="seconds"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["plain", "fused"])
def test_killed_and_resumed_to_the_same_bits(tmp_path, engine):
    if engine == "fused":
        try:
            load("kernels.c")
        except NoCompiler as reason:
            pytest.skip(str(reason))
    sp.save_npz(tmp_path / "counts.npz", sp.csr_matrix(X))
    path, log = tmp_path / "model", tmp_path / "log"
    command = [sys.executable, "-m", "scvi_core.train", tmp_path / "counts.npz", "--out", path, "--log-file", log]
    command += f"--n-hidden 8 --n-latent 2 --batch-size 16 --engine {engine} --kl-warmup-epochs 20".split()
    command += ["--n-epochs=1000000", "--checkpoint-every=0.01"]
    environment = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=os.environ | environment) as process:
        while process.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < 5):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    reached = len(SCVI.load(path).history_)
    assert process.returncode == -signal.SIGKILL
    assert 0 < reached <= len(log.read_text().splitlines())
    model = small(engine=engine, n_epochs=reached + 4).fit(X, checkpoint=path, resume=True)
    assert_same(model, small(engine=engine, n_epochs=reached + 4).fit(X))
    assert_same(model, SCVI.load(path))


@pytest.mark.parametrize("rule", ["authors", "patience"])
def test_early_stopping_goes_on_as_well(tmp_path, rule):
    parameters = {"early_stopping": rule, "patience": 3, "lr": 0.1, "n_epochs": 200}
    straight = small(**parameters, kl_schedule=lambda epoch: 0.5).fit(X)
    stop = len(straight.history_)
    assert 5 < stop < 200
    for epoch in (1, stop - 2):  # before the best epoch, and while the counter runs
        path = tmp_path / f"model {epoch}"
        with pytest.raises(KeyboardInterrupt):
            small(**parameters, kl_schedule=cut_off(epoch)).fit(X, checkpoint=path, checkpoint_every=0)
        again = small(**parameters, kl_schedule=lambda epoch: 0.5)
        assert_same(again.fit(X, checkpoint=path, resume=True), straight)
    assert_same(again.fit(X, checkpoint=path, resume=True), straight)  # of what was done, nothing


@pytest.mark.parametrize(
    ("parameters", "data", "genes", "said"),
    [
        ({"n_hidden": 9}, X, GENES, "it was trained with n_hidden=8 and this model has n_hidden=9"),
        ({"lr": 0.1}, X, GENES, "it was trained with lr=0.0004 and this model has lr=0.1"),
        ({}, X[:, :7], GENES[:7], "it has 8 genes and the data have 7"),
        ({}, X, [*GENES[:6], "gene 7", "gene 6"], "its gene in column 6 is 'gene 6' and that of the data 'gene 7'"),
        ({}, X, None, "its gene in column 0 is 'gene 0' and that of the data None"),
        ({}, X + (np.arange(8) == 1), GENES, "it was trained on other cells"),
    ],
)
def test_a_checkpoint_of_something_else(tmp_path, parameters, data, genes, said):
    small(n_epochs=1).fit(X, gene_names=GENES, checkpoint=tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    with pytest.raises(ValueError, match=f"model cannot be resumed: {said}"):
        small(**parameters).fit(data, gene_names=genes, checkpoint=tmp_path / "model", resume=True)
    assert (tmp_path / "model").read_bytes() == before


def test_other_batches(tmp_path):
    small(n_epochs=1).fit(X, BATCH, checkpoint=tmp_path / "model")
    for batch, said in [(np.char.upper(BATCH), "its batches are"), (np.roll(BATCH, 1), "on other cells")]:
        with pytest.raises(ValueError, match=said):
            small().fit(X, batch, checkpoint=tmp_path / "model", resume=True)


def test_a_truncated_checkpoint_and_none(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(ValueError, match="checkpoint="):
        small().fit(X, resume=True)
    small().fit(X, checkpoint=path, resume=True)  # there is none yet
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is damaged"):
        small().fit(X, checkpoint=path, resume=True)


def test_a_trained_model_is_not_replaced_by_one_that_is_not_trained_yet(tmp_path):
    path = tmp_path / "model"
    small().fit(X, checkpoint=path)
    before = path.read_bytes()
    for parameters in ({}, {"lr": 1e6}):  # the second would diverge
        with pytest.raises(FileExistsError, match="model is there already and is not replaced: pass resume=True"):
            small(**parameters).fit(X, checkpoint=path)
    assert path.read_bytes() == before


def test_what_a_killed_writer_left_is_swept(tmp_path):
    (tmp_path / ".model.0a1b.tmp").write_bytes(b"half")
    os.utime(tmp_path / ".model.0a1b.tmp", (0, 0))
    (tmp_path / ".other.0a1b.tmp").write_bytes(b"half")
    small(n_epochs=0).fit(X, checkpoint=tmp_path / "model")
    assert sorted(os.listdir(tmp_path)) == [".other.0a1b.tmp", "model"]


@contextlib.contextmanager
def full_disk():
    """Within, after the call of what this gives, no file can grow beyond 4 kB; pytest's own output, too, is a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fills_up_keeps_the_last_checkpoint(tmp_path):
    with full_disk() as fill:
        model = small(kl_schedule=lambda epoch: fill() or 0.5 if epoch == 2 else 0.5)
        with pytest.raises(OSError, match=r"could not be written .*: what was there before is whole"):
            model.fit(X, checkpoint=tmp_path / "model", checkpoint_every=0)
    assert len(SCVI.load(tmp_path / "model").history_) == 2
    assert os.listdir(tmp_path) == ["model"]


def test_an_unwritable_place_is_found_before_training(tmp_path):
    model = small()
    for place in ("checkpoint", "log"):
        with pytest.raises(OSError, match="could not be written"):
            model.fit(X, **{place: tmp_path / "nowhere" / "file"})
        assert len(model.history_) == 0


def test_checkpoints_are_as_far_apart_as_asked(tmp_path):
    written = []

    def weight(epoch):
        written.append(len(SCVI.load(tmp_path / "model").history_))
        return 0.5

    for every, expected in [(0, [0, 1, 2, 3]), (3600, [0, 0, 0, 0])]:
        written.clear()
        (tmp_path / "model").unlink(missing_ok=True)
        small(kl_schedule=weight).fit(X, checkpoint=tmp_path / "model", checkpoint_every=every)
        assert list(dict.fromkeys(written)) == list(dict.fromkeys(expected))
        assert len(SCVI.load(tmp_path / "model").history_) == 4


def test_log_is_the_history(tmp_path):
    model = small().fit(X, log=tmp_path / "log")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert "NaN" not in (tmp_path / "log").read_text()
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    assert [line["elbo"] for line in lines] == (-model.history_["loss"]).tolist()
    assert lines[0]["validation_loss"] is None
    assert lines[0]["time"].endswith("+00:00")


def test_bar_shows_the_elbo(capfd):
    model = small(verbose=True).fit(X)
    assert f"elbo={-model.history_['loss'].iloc[-1]:.1f}" in capfd.readouterr().err


def test_a_loaded_model_on_an_anndata(tmp_path):
    small().fit(X, BATCH, gene_names=GENES).save(tmp_path / "model")
    model = SCVI.load(tmp_path / "model")
    obs = pd.DataFrame({"donor": BATCH}, index=[f"cell {i}" for i in range(60)])
    adata = anndata.AnnData(sp.csr_matrix(X), obs=obs, var=pd.DataFrame(index=GENES))
    expected = model.latent(X, BATCH)
    np.testing.assert_array_equal(model.latent(*model.read_anndata(adata, batch_key="donor")), expected)
    turned = adata[:, ::-1].copy()
    with pytest.raises(InvalidCounts, match="Column 0 is the gene 'gene 7' where the model has 'gene 0'"):
        model.read_anndata(turned, batch_key="donor")
    found = model.latent(*model.read_anndata(turned, batch_key="donor", reorder=True))
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(InvalidCounts, match="lack 1 genes of the model, first 'gene 7'"):
        model.read_anndata(adata[:, :7], batch_key="donor", reorder=True)
