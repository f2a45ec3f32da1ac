"""Which engine serves what: nothing that it does not know, in training and in every answer, and plain means plain."""

from dataclasses import make_dataclass

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scvi_core import SCVI
from scvi_core.data.minibatch import Cells
from scvi_core.engines.c import compile, kernels
from scvi_core.engines.cuda.step import CudaStep
from scvi_core.engines.plain import StepOptions
from scvi_core.engines.written_out import served
from scvi_core.likelihood import LIKELIHOODS, CountLikelihood, NegativeBinomial
from scvi_core.networks import Architecture, Network

SMALL = {"n_epochs": 2, "n_hidden": 8, "n_latent": 2, "batch_size": 32}


class Geometric(CountLikelihood):
    """A likelihood of somebody else: a waiting time with mean mu, the negative binomial with theta = 1."""

    def log_prob(self, x, decoded, log_scale, prepared=()):
        log_mu = decoded.log_rho + log_scale
        return x * log_mu - (x + 1) * torch.nn.functional.softplus(log_mu)

    def draw(self, decoded, scale, rng, dropout=True):
        mu = (scale.double() * decoded.log_rho.exp().double()).cpu().numpy()
        return rng.geometric(1 / (1 + mu)) - 1

    def zero_probability(self, decoded, log_scale):
        return torch.sigmoid(-(decoded.log_rho + log_scale))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.5, 3, (70, 9))).astype(np.int32)
    X[:, 0] += 1
    return sp.csr_matrix(X), rng.integers(2, size=70)


@pytest.fixture
def geometric(monkeypatch):
    monkeypatch.setitem(LIKELIHOODS, "geometric", Geometric())


def questions(model, X, batch):
    """Every answer of a fitted model, by name."""
    group = np.arange(X.shape[0]) < 20
    return {
        "latent": lambda: model.latent(X, batch),
        "impute": lambda: model.impute(X, batch, n_samples=2),
        "normalized": lambda: model.normalized(X, batch, decode_batch="all", n_samples=2),
        "nb_zero_probability": lambda: model.nb_zero_probability(X, batch, n_samples=2),
        "library_size": lambda: model.library_size(X, batch),
        "importance": lambda: model.loglik(X, batch, n_samples=2),
        "marginal": lambda: model.marginal_loglik(X[:2], batch[:2], n_samples=2)[0],
        "sample": lambda: model.sample(X, 2, batch),
        "compare": lambda: model.compare(X, group, ~group, batch, n_pairs=3, n_samples=3)["score"].to_numpy(),
        "compare by rate": lambda: model.compare(X, group, ~group, batch, n_pairs=3, n_samples=3, batch_average="rate")[
            "score"
        ].to_numpy(),
    }


def others(model, X, batch):
    """The answers that are the networks' own, on every engine the same code."""
    return {
        "loglik": lambda: model.loglik(X, batch),
        "sample_prior": lambda: model.sample_prior(30),
        "tune_encoder": lambda: model.tune_encoder(X, batch, n_epochs=1).network_.encoder_z.mean.bias.detach().numpy(),
    }


@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_a_likelihood_of_somebody_else_trains_and_answers_everything(geometric, data, engine):
    model = SCVI(likelihood="geometric", engine=engine, **SMALL | {"n_epochs": 9, "lr": 5e-3, "kl_warmup_epochs": 0})
    model.fit(*data)
    assert model.engine_ == "plain"
    assert model.history_["loss"].iloc[-1] < model.history_["loss"].iloc[0]
    for name, ask in (questions(model, *data) | others(model, *data)).items():
        assert np.isfinite(ask()).all(), name


@pytest.mark.parametrize("engine", ["fused", "cuda"])
def test_no_fast_engine_trains_a_likelihood_that_it_does_not_know(geometric, data, engine):
    with pytest.raises(ValueError, match=r"cannot be used: it (does not know likelihood='geometric'|is for single)"):
        SCVI(likelihood="geometric", engine=engine, device="cpu", **SMALL).fit(*data)


@pytest.mark.parametrize("likelihood", ["geometric", "poisson"])
def test_no_fast_engine_answers_of_a_likelihood_that_it_does_not_know(geometric, data, likelihood):
    model = SCVI(likelihood=likelihood, **SMALL).fit(*data).set_params(engine="fused")
    for ask in questions(model, *data).values():
        with pytest.raises(ValueError, match=f"it does not know likelihood='{likelihood}'. Choose engine='auto'"):
            ask()


def test_a_likelihood_that_lacks_a_part_does_not_come_into_being():
    class Half(CountLikelihood):
        def log_prob(self, x, decoded, log_scale, prepared=()):
            return x

    with pytest.raises(TypeError, match="abstract"):
        Half()


@pytest.mark.parametrize("engine", ["auto", "plain", "fused", "cuda", "distributed"])
def test_a_likelihood_that_nobody_registered_is_refused(data, engine):
    with pytest.raises(ValueError, match="likelihood='unheard-of'"):
        SCVI(likelihood="unheard-of", engine=engine, **SMALL).fit(*data)


def test_a_likelihood_that_takes_a_known_name_is_not_trained_as_the_known_one(data, monkeypatch):
    class Mine(NegativeBinomial):
        pass

    monkeypatch.setitem(LIKELIHOODS, "nb", Mine())
    assert SCVI(likelihood="nb", **SMALL).fit(*data).engine_ == "plain"
    with pytest.raises(ValueError, match="no longer the one"):
        SCVI(likelihood="nb", engine="fused", device="cpu", **SMALL).fit(*data)


def test_a_head_does_not_take_the_place_of_a_layer(data, monkeypatch):
    class Mine(Geometric):
        heads = ("hidden",)

    monkeypatch.setitem(LIKELIHOODS, "mine", Mine())
    with pytest.raises(ValueError, match="has a head 'hidden'"):
        SCVI(likelihood="mine", **SMALL).fit(*data)


VALUES = {"dropout_on": "both", "dispersion": "cluster", "library": "sampled", "library_encoder": "deep"}


@pytest.mark.parametrize("option", VALUES)
def test_fast_engines_refuse_values_that_they_do_not_know(option):
    arch = Architecture(9, **{option: VALUES[option]})
    assert served.unknown(arch) == f"it does not know {option}={VALUES[option]!r}"


def test_fast_engines_refuse_an_option_that_is_new():
    fields = [(name, object, value) for name, value in vars(Architecture(9)).items()]
    new = make_dataclass("Architecture", [*fields, ("activation", str, "gelu")])
    assert served.unknown(new()) == "it does not know activation='gelu'"
    assert served.unknown(Architecture(9)) is None


def test_every_option_has_its_place_in_the_list_of_what_is_served():
    assert set(served.SERVED) == set(Architecture.__dataclass_fields__)


def test_the_step_on_a_gpu_looks_at_the_same_list(data, geometric, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    cells = Cells(*data)
    cells.device = "cuda"
    networks = [Network(Architecture(9, likelihood=name)) for name in ("nb", "poisson")]
    reasons = [CudaStep.refuses(network, cells, StepOptions()) for network in networks]
    assert reasons == [None, "it does not know likelihood='poisson'"]


@pytest.fixture
def no_kernels(monkeypatch):
    """Whoever asks for the C code fails."""

    def load(*arguments):
        raise AssertionError("the C code was asked for")

    for module in (compile, kernels):
        monkeypatch.setattr(module, "load", load)
    monkeypatch.setattr("scvi_core.engines.c.answers._kernels", load)
    kernels.missing.cache_clear()
    yield
    kernels.missing.cache_clear()


def test_plain_never_asks_for_the_c_code(data, no_kernels):
    model = SCVI(engine="plain", device="cpu", early_stopping="patience", **SMALL).fit(*data)
    assert model.engine_ == "plain"
    for name, ask in (questions(model, *data) | others(model, *data)).items():
        assert np.isfinite(ask()).all(), name
    assert model.inverse_dispersion().shape == (9,)
    assert model.dropout_probability(*data).shape == (70, 9)


def test_the_others_do(data, no_kernels):
    model = SCVI(engine="plain", device="cpu", **SMALL).fit(*data).set_params(engine="auto")
    for ask in questions(model, *data).values():
        with pytest.raises(AssertionError, match="the C code was asked for"):
            ask()
