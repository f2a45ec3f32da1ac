"""Whether a fit has settled: judged by the rates that the counts were drawn from, and by curves whose end is known."""

import math
import types
import warnings

import numpy as np
import pytest

import scvi_core.convergence
from scvi_core import SCVI
from scvi_core.convergence import Convergence, NotConverged, convergence


def test_a_short_fit_warns_and_the_epochs_that_it_names_would_do():
    """After 60 epochs of 5 steps imputation is behind the mean of the gene, after those it names well ahead of it."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(1.0, 2.0, size=(3, 40))[rng.integers(0, 3, 200)] * rng.lognormal(0, 0.3, size=(200, 1))
    X = rng.poisson(rates)
    X[:, 0] += X.sum(axis=1) == 0
    given = {"batch_size": 40, "n_latent": 4}

    def behind_the_mean(model):
        return np.abs(model.impute(X) - rates).mean() / np.abs(X.mean(axis=0) - rates).mean()

    with pytest.warns(NotConverged, match=r"has not converged in 60 epochs: .* about \d+ epochs would do") as caught:
        short = SCVI(n_epochs=60, **given).fit(X)
    assert str(caught[0].message) == str(short.convergence_)
    enough = short.convergence_.enough
    assert 120 < enough < 500
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotConverged)
        long = SCVI(n_epochs=enough, **given).fit(X)
    assert long.convergence_.converged is True
    assert behind_the_mean(short) > 1 > 0.7 > behind_the_mean(long)


def judged(monkeypatch, losses, evaluated, kl=0.0, weights=None):
    """`convergence` of a history of so many epochs of 5 steps with a given bound at its end."""
    weights = weights or [1.0] * len(losses)
    history = [{"loss": loss, "kl_weight": weight} for loss, weight in zip(losses, weights, strict=True)]
    model = types.SimpleNamespace(_history=history, batch_norm_momentum=0.01, batch_size=100)
    monkeypatch.setattr(scvi_core.convergence, "_evaluated", lambda model, cells: (evaluated, kl))
    return convergence(model, range(500))


@pytest.mark.parametrize("length", [30, 40, 60])
def test_what_an_exponential_still_has_to_fall(monkeypatch, length):
    losses = [100 + 500 * math.exp(-epoch / 20) for epoch in range(length)]
    found = judged(monkeypatch, losses, losses[-1])
    assert found.converged is False
    assert found.missing == pytest.approx(losses[-1] - 100, rel=0.35)
    assert 20 * math.log(500) < found.enough < 3 * 20 * math.log(500)  # to one nat per cell, at least
    assert judged(monkeypatch, [100 + 500 * math.exp(-epoch / 20) for epoch in range(120)], 100).converged


def test_running_statistics_that_lag_forget_at_their_momentum(monkeypatch):
    found = judged(monkeypatch, [100.0] * 60, 120.0)
    assert (found.converged, found.missing, found.share) == (False, 20.0, 0.2)
    epochs = math.log(100 * 0.01 / 20) / math.log(0.99) / 5  # until 20 nats have become 1
    assert found.enough == pytest.approx(2 * (60 + epochs), abs=10)
    assert judged(monkeypatch, [100.0] * 60, 104.0).converged
    few = judged(monkeypatch, [100.0] * 50, 100.0)  # 250 steps: 0.99 to that power is 0.08
    assert str(few).startswith("scVI has not converged in 50 epochs: they have too few steps for the running stat")
    assert 2 * 90 < few.enough < 2 * 110  # in 460 steps one hundredth is left
    assert judged(monkeypatch, [100.0] * 60, 90.0).converged


def test_a_rising_weight_of_the_kl_hides_nothing(monkeypatch):
    """The loss stands still because the weight of a KL of 50 nats rises as fast as the rest falls."""
    weights = [epoch / 20 for epoch in range(20)]
    found = judged(monkeypatch, [200.0] * 20, 202.5, kl=50.0, weights=weights)
    straight = judged(monkeypatch, [250 - 2.5 * epoch for epoch in range(20)], 202.5)
    assert found == straight
    assert found.converged is False


def test_what_cannot_be_told_and_what_is_kept(tmp_path):
    X = np.random.default_rng(0).poisson(2.0, size=(30, 5)) + (np.arange(5) == 0)
    model = SCVI(n_hidden=4, n_latent=2, n_epochs=1).fit(X)
    assert model.convergence_ == Convergence(None, 1)
    model.set_params(n_epochs=4).fit(X)
    model.save(tmp_path / "model")
    assert SCVI.load(tmp_path / "model").convergence_ == model.convergence_
    assert model.convergence_.n_epochs == 4
    with pytest.raises(KeyboardInterrupt):
        model.set_params(kl_schedule=lambda epoch: (_ for _ in ()).throw(KeyboardInterrupt)).fit(X)
    assert model.convergence_ is None
