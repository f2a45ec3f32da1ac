"""Saving and loading."""

import json
import pickle

import numpy as np
import pytest
import torch

from scvi_core import SCVI

BATCH = np.array(["b", "a"])[np.arange(40) % 2]
GENES = [f"gene {i}" for i in range(6)]


def counts(seed=0):
    X = np.random.default_rng(seed).poisson(2.0, size=(40, 6))
    X[:, 0] += 1
    return X


def fit(**parameters):
    parameters = {"n_hidden": 8, "n_latent": 2, "n_epochs": 3, "batch_size": 16} | parameters
    return SCVI(**parameters).fit(counts(), BATCH, gene_names=GENES)


@pytest.mark.parametrize(
    "options", [{}, {"dispersion": "gene-batch", "n_layers": 2}, {"dispersion": "gene-cell", "library": "none"}]
)
def test_round_trip(tmp_path, options):
    model = fit(**options)
    model.save(tmp_path / "model")
    loaded = SCVI.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    assert loaded.gene_names_ == GENES
    assert loaded.batches_.tolist() == ["a", "b"]
    assert loaded.history_.equals(model.history_)
    assert loaded.versions_["torch"] == torch.__version__
    for method in ("latent", "impute", "loglik"):
        np.testing.assert_array_equal(
            getattr(loaded, method)(counts(1), BATCH), getattr(model, method)(counts(1), BATCH)
        )


def test_loaded_model_resumes_to_the_same_bits(tmp_path):
    straight = fit(n_epochs=6, kl_warmup_epochs=4)
    half = fit(n_epochs=3, kl_warmup_epochs=4)
    half.save(tmp_path / "model")
    loaded = SCVI.load(tmp_path / "model").set_params(n_epochs=6, warm_start=True).fit(counts(), BATCH)
    np.testing.assert_array_equal(loaded.latent(counts(), BATCH), straight.latent(counts(), BATCH))


@pytest.mark.parametrize("labels", [[3, 1], [True, False], [1.5, 0.5]])
def test_batch_labels_of_other_types(tmp_path, labels):
    batch = np.array(labels)[np.arange(40) % 2]
    model = SCVI(n_hidden=4, n_latent=2, n_epochs=1).fit(counts(), batch)
    model.save(tmp_path / "model")
    loaded = SCVI.load(tmp_path / "model")
    assert loaded.batches_.dtype == model.batches_.dtype
    np.testing.assert_array_equal(loaded.latent(counts(), batch), model.latent(counts(), batch))


class Planted:
    """Runs code when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: {"format": "scvi_core 1", "about": "{}", "network": p}])
@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_planted_code_is_refused(tmp_path, wrap, write):
    write(wrap(Planted(tmp_path / "ran")), tmp_path / "model")
    with pytest.raises(ValueError, match="not a model saved by SCVI"):
        SCVI.load(tmp_path / "model")
    assert not (tmp_path / "ran").exists()


def test_other_files_are_refused(tmp_path):
    torch.save({"weights": torch.ones(3)}, tmp_path / "tensors")
    (tmp_path / "text").write_text("hello")
    fit().save(tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    for name in ("tensors", "text", "cut"):
        with pytest.raises(ValueError, match="not a model saved by SCVI"):
            SCVI.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        SCVI.load(tmp_path / "nothing")


def test_schedule_is_left_out_and_odd_parameters_are_named(tmp_path):
    model = fit(kl_schedule=lambda epoch: 1.0)
    model.save(tmp_path / "model")
    assert SCVI.load(tmp_path / "model").kl_schedule is None
    assert json.loads(torch.load(tmp_path / "model", weights_only=True)["about"])["parameters"]["kl_schedule"] is None
    with pytest.raises(ValueError, match="RandomState"):
        fit(random_state=np.random.RandomState(0)).save(tmp_path / "model")
    with pytest.raises(ValueError, match="not fitted"):
        SCVI().save(tmp_path / "model")
