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
