"""Saving and loading."""

import io
import json
import pickle

import numpy as np
import pytest
import torch

from scvi_core import SCVI
from scvi_core.files.storage import read, sealed

BATCH = np.array(["b", "a"])[np.arange(40) % 2]
GENES = [f"gene {i}" for i in range(6)]


def counts(seed=0):
    X = np.random.default_rng(seed).poisson(2.0, size=(40, 6))
    X[:, 0] += 1
    return X


def fit(**parameters):
    parameters = {"n_hidden": 8, "n_latent": 2, "n_epochs": 3, "batch_size": 16} | parameters
    return SCVI(**parameters).fit(counts(), BATCH, gene_names=GENES)


@pytest.fixture(scope="module")
def model():
    return fit()


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


def test_an_endless_warm_up_is_kept_and_gone_on_with(tmp_path):
    straight = fit(n_epochs=4, kl_warmup_epochs=np.inf)
    options = {"kl_warmup_epochs": np.inf, "n_hidden": 8, "n_latent": 2, "batch_size": 16}
    given = {"gene_names": GENES, "checkpoint": tmp_path / "model", "log": tmp_path / "log"}
    SCVI(**options, n_epochs=2).fit(counts(), BATCH, **given)
    assert SCVI.load(tmp_path / "model").kl_warmup_epochs == np.inf
    resumed = SCVI(**options, n_epochs=4).fit(counts(), BATCH, **given, resume=True)
    np.testing.assert_array_equal(resumed.latent(counts(), BATCH), straight.latent(counts(), BATCH))
    assert resumed.history_["kl_weight"].tolist() == [0] * 4


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


CONTENT = {"about": "{}", "network": {"weight": torch.ones(3)}}


def written(content):
    """What `torch.save` makes of it."""
    whole = io.BytesIO()
    torch.save(content, whole)
    return whole.getvalue()


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: CONTENT | {"network": p}])
@pytest.mark.parametrize("write", [written, pickle.dumps])
def test_planted_code_is_refused(tmp_path, wrap, write):
    (tmp_path / "model").write_bytes(sealed(write(wrap(Planted(tmp_path / "ran")))))
    with pytest.raises(ValueError, match="is not a model as SCVI"):
        SCVI.load(tmp_path / "model")
    assert not (tmp_path / "ran").exists()


def test_other_files_are_refused(tmp_path):
    torch.save({"weights": torch.ones(3)}, tmp_path / "tensors")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "nothing in it").write_bytes(b"")
    for name in ("tensors", "text", "nothing in it"):
        with pytest.raises(ValueError, match="is not a model saved by this version of SCVI"):
            SCVI.load(tmp_path / name)
    for name in ("nothing", "."):
        with pytest.raises(FileNotFoundError, match="There is no file"):
            SCVI.load(tmp_path / name)


def test_every_bit_counts(tmp_path, model):
    """One bit flipped anywhere, the end cut off, something behind it."""
    model.save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    flipped = np.frombuffer(whole, np.uint8).copy()
    for place in [*range(90), *range(90, len(whole), len(whole) // 40), len(whole) - 1]:
        bit = np.uint8(1 << place % 8)
        flipped[place] ^= bit
        with pytest.raises(ValueError, match=r"is damaged|saved by this version"):
            read(flipped.tobytes(), "model")
        flipped[place] ^= bit
    for content in (whole[:-1], whole[: len(whole) // 2], whole + b"x"):
        with pytest.raises(ValueError, match="is damaged"):
            read(content, "model")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content, about: content.pop("network"), "it lacks 'network'"),
        (lambda content, about: content.pop("order"), "it lacks 'order'"),
        (lambda content, about: content["network"].pop("log_theta"), "state_dict"),
        (lambda content, about: content["network"]["log_theta"].fill_(np.nan), "log_theta is not finite"),
        (lambda content, about: content["network"].update(log_theta=torch.ones(3)), "state_dict"),
        (lambda content, about: content.update(network=3), "items"),
        (lambda content, about: about.pop("history"), "it lacks 'history'"),
        (lambda content, about: about["parameters"].update(n_latent="many"), "n_latent='many'"),
        (lambda content, about: about["parameters"].update(fashion=1), "fashion"),
        (lambda content, about: about["architecture"].pop("n_genes"), "n_genes"),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence(tmp_path, model, change, said):
    """In a file of another program that writes the format and the checksum right."""
    model.save(tmp_path / "model")
    content = torch.load(io.BytesIO((tmp_path / "model").read_bytes().partition(b"\n")[2]), weights_only=True)
    about = json.loads(content["about"])
    change(content, about)
    (tmp_path / "model").write_bytes(sealed(written(content | {"about": json.dumps(about)})))
    with pytest.raises(ValueError, match=f"is not a model as SCVI.save writes it .*{said}") as raised:
        SCVI.load(tmp_path / "model")
    assert "\n" not in str(raised.value)


PARAMETERS = {
    "n_latent": np.int64(2),
    "n_hidden": np.uint8(8),
    "n_layers": np.int8(1),
    "n_epochs": np.int32(2),
    "batch_size": np.int16(16),
    "patience": np.int64(3),
    "dropout": np.float32(0.1),
    "lr": np.float16(1e-3),
    "adam_eps": np.longdouble(0.01),
    "batch_norm_momentum": np.float64(0.01),
    "batch_norm_eps": np.float32(1e-3),
    "kl_warmup_epochs": np.int64(1),
    "mmd_weight": np.int64(0),
    "validation_size": np.float32(0.2),
    "early_stopping": np.str_("patience"),
    "likelihood": np.str_("nb"),
    "use_batch": np.bool_(True),
    "encode_batch": np.True_,
    "log_input": 1,
    "verbose": np.False_,
    "random_state": np.uint32(3),
    "device": torch.device("cpu"),
    "kl_schedule": lambda epoch: np.float32(1.0),
}


@pytest.mark.parametrize("engine", ["plain", "auto"])
def test_what_is_accepted_can_be_saved(tmp_path, engine):
    """Parameters of numpy and PyTorch: the loaded model says what the model says, and a fit goes on from it."""
    path = tmp_path / "model"
    model = SCVI(**PARAMETERS, engine=engine).fit(counts(), BATCH, checkpoint=path)
    loaded = SCVI.load(path)
    np.testing.assert_array_equal(loaded.latent(counts(), BATCH), model.latent(counts(), BATCH))
    for name, value in PARAMETERS.items():
        assert loaded.get_params()[name] == {"device": "cpu", "kl_schedule": None}.get(name, value), name
    SCVI(**PARAMETERS | {"n_epochs": 3}, engine=engine).fit(counts(), BATCH, checkpoint=path, resume=True)
    assert len(SCVI.load(path).history_) == 3


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("random_state", [np.random.RandomState(0), np.random.default_rng(0), -1, True, [1, 2], 0.5]),
        ("n_latent", ["5", 5.0, True, np.True_, None, 0, np.array([5]), torch.tensor(5)]),
        ("lr", ["1e-3", np.nan, -1, np.inf, None, torch.tensor(1.0), 1j]),
        ("batch_norm_momentum", [None, 1.5, "0.01"]),
        ("use_batch", ["False", None, np.array([True, False]), 2]),
        ("likelihood", ["gauss", ["nb"], np.array(["nb", "zinb"]), None]),
        ("kl_warmup_epochs", ["10", -1, np.nan, True]),
        ("kl_schedule", [0.5, "linear"]),
        ("engine", [None, ["plain"], "fortran"]),
        ("device", ["gpu", "cuda:99", "meta", None, 0, torch.device("meta")]),
    ],
)
def test_what_could_not_be_saved_is_not_accepted(name, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"^SCVI\({name}=") as raised:
            SCVI(**{name: value}).fit(counts())
        assert "\n" not in str(raised.value)


def test_a_schedule_is_left_out_and_a_parameter_set_later_is_named(tmp_path):
    model = fit(kl_schedule=lambda epoch: 1.0)
    model.save(tmp_path / "model")
    assert SCVI.load(tmp_path / "model").kl_schedule is None
    with pytest.raises(ValueError, match="point="):
        model.set_params(point={"mean"}).save(tmp_path / "model")
    with pytest.raises(ValueError, match="not fitted"):
        SCVI().save(tmp_path / "model")
