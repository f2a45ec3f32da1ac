"""The command line: what it reads, what it passes on, what it says."""

import signal

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scvi_core import SCVI
from scvi_core.train import main, parser

BATCH = np.array(["b", "a"])[np.arange(40) % 2]
GENES = [f"gene {i}" for i in range(6)]
X = np.random.default_rng(0).poisson(2.0, size=(40, 6)) + (np.arange(6) == 0)
SMALL = {"n_hidden": 8, "n_latent": 2, "n_epochs": 3, "early_stopping": "patience", "use_batch": True, "dropout": 0.0}
OPTIONS = ["--n-hidden=8", "--n-latent=2", "--n-epochs=3", "--early-stopping=patience", "--use-batch", "--dropout=0"]


@pytest.fixture(autouse=True)
def keep_signals(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)


@pytest.fixture
def files(tmp_path):
    """The same counts as .h5ad (in a layer), folder and .npz, with what else is to be given for each."""
    obs = pd.DataFrame({"donor": BATCH}, index=[f"cell {i}" for i in range(40)])
    adata = anndata.AnnData(np.zeros((40, 6)), obs=obs, var=pd.DataFrame(index=GENES), layers={"raw": sp.csr_matrix(X)})
    adata.write_h5ad(tmp_path / "counts.h5ad")
    sp.save_npz(tmp_path / "counts.npz", sp.csr_matrix(X))
    (tmp_path / "folder").mkdir()
    csr = sp.csr_matrix(X.astype(np.int32))
    parts = {"data": csr.data, "indices": csr.indices, "indptr": csr.indptr, "obs.donor": (BATCH == "b").astype(int)}
    for name, values in parts.items():
        np.save(tmp_path / "folder" / f"{name}.npy", values)
    (tmp_path / "folder" / "about.json").write_text('{"shape": [40, 6]}')
    (tmp_path / "folder" / "genes.txt").write_text("".join(f"{gene}\n" for gene in GENES))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "more", "labels", "genes"),
    [
        ("counts.h5ad", ["--layer=raw", "--batch-key=donor"], BATCH, GENES),
        ("folder", ["--batch-key=donor"], (BATCH == "b").astype(int), GENES),
        ("counts.npz", [], None, None),
    ],
)
def test_files(files, file, more, labels, genes):
    main([str(files / file), f"--out={files / 'model'}", *more, *OPTIONS])
    found, expected = SCVI.load(files / "model"), SCVI(**SMALL).fit(X, labels, gene_names=genes)
    assert found.gene_names_ == genes
    np.testing.assert_array_equal(found.latent(X, labels), expected.latent(X, labels))


def test_every_parameter_has_its_option():
    found = vars(parser().parse_args(["counts", "--out", "model"]))
    for name, default in SCVI().get_params().items():
        assert name in ("kl_schedule", "warm_start") or found[name] == default
    assert vars(parser().parse_args(["counts", "--out=model", "--no-use-batch", "--lr=1"]))["use_batch"] is False


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--layer=counts"], "There is no layer 'counts': the AnnData has raw"),
        (["--layer=raw", "--batch-key=plate"], "There is no column 'plate' in obs: it has donor"),
        ([], "No gene is counted in"),
    ],
)
def test_errors_are_one_sentence(files, more, said):
    with pytest.raises(SystemExit, match=f"^scvi_core.train, process 0: {said}"):
        main([str(files / "counts.h5ad"), f"--out={files / 'model'}", *more])
    assert not (files / "model").exists()


def test_it_says_what_it_did(files, capsys, monkeypatch):
    command = [str(files / "counts.h5ad"), "--layer=raw", "--batch-key=donor", f"--out={files / 'model'}", *OPTIONS[:2]]
    main([*command, "--n-epochs=3", "--kl-warmup-epochs=4"])
    loss = SCVI.load(files / "model").history_["loss"].iloc[-1]
    said = capsys.readouterr().out
    assert said.startswith("Trained on 40 cells × 6 genes in 2 batches: 3 epochs, in ")
    assert f"is {-loss:,.2f} nats per cell with a KL weight of 0.50; the model is in {files / 'model'}.\n" in said
    assert "\nWarning: scVI has not converged in 3 epochs: " in said
    main([*command, "--n-epochs=3", "--kl-warmup-epochs=4", "--resume"])
    assert capsys.readouterr().out.startswith(
        f"Nothing was trained: {files / 'model'} has 3 epochs already, as many as asked for."
    )
    main([*command, "--n-epochs=4", "--kl-warmup-epochs=4", "--resume"])
    assert ": 1 epoch after the 3 it had, in " in capsys.readouterr().out
    before = (files / "model").read_bytes()
    with pytest.raises(SystemExit, match="is there already and is not replaced: add --resume"):
        main([*command, "--n-epochs=4"])
    assert (files / "model").read_bytes() == before
    monkeypatch.setenv("RANK", "1")
    main([*command, "--n-epochs=5", "--kl-warmup-epochs=4", "--resume"])
    assert capsys.readouterr().out == ""


def test_early_stopping_is_said(files, capsys):
    early = ["--early-stopping=patience", "--patience=1", "--lr=0.3", "--n-epochs=500"]
    command = [str(files / "counts.npz"), f"--out={files / 'model'}", *OPTIONS[:2], *early]
    main(command)
    n = len(SCVI.load(files / "model").history_)
    assert f"Trained on 40 cells × 6 genes: {n} epochs, where early stopping ended it, in " in capsys.readouterr().out
    main([*command, "--resume"])
    said = f"Nothing was trained: {files / 'model'} has {n} epochs already, where early stopping ended it."
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("file", "more", "said"),
    [
        ("nowhere.h5ad", [], "There is no file or folder"),
        ("counts.txt", [], "is not of a kind that is read here: pass an .h5ad"),
        ("text.h5ad", [], "could not be read as counts"),
        ("text.npz", [], "could not be read as counts"),
        ("empty", [], "could not be read as counts"),
        ("counts.npz", ["--batch-key=donor"], "has counts alone and no batches: leave --batch-key out"),
        ("counts.npz", ["--layer=raw"], "has no layers"),
        ("folder", ["--layer=raw"], "has no layers"),
        ("folder", ["--batch-key=plate"], "There are no batches 'plate' in .*: it has donor"),
        ("counts.npz", ["--n-latent=0"], r"SCVI\(n_latent=0\) will not do"),
        ("counts.npz", ["--device=gpu"], r"SCVI\(device='gpu'\) will not do"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(files, file, more, said):
    for name in ("counts.txt", "text.h5ad", "text.npz"):
        (files / name).write_text("hello")
    (files / "empty").mkdir()
    with pytest.raises(SystemExit, match=f"^scvi_core.train, process 0: .*{said}") as raised:
        main([str(files / file), f"--out={files / 'model'}", *more])
    assert "\n" not in str(raised.value)
    assert not (files / "model").exists()
