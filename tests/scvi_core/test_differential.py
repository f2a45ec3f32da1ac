"""Bayes factors against Monte Carlo with the posterior's own parameters, and on pairs without a difference."""

import copy
import itertools

import numpy as np
import pytest
import torch

from scvi_core import SCVI, InvalidCounts
from scvi_core.differential import called_at

N = 400


@pytest.fixture(scope="module")
def two_types():
    """Two cell types of equal library size that differ in genes 0-9 (up in type 1), in two batches with a gene bias."""
    rng = np.random.default_rng(0)
    kind, batch = rng.integers(0, 2, N), rng.integers(0, 2, N)
    rate = np.tile(rng.lognormal(1, 0.5, 30), (N, 1))
    rate[:, :10] *= np.where(kind, 4.0, 1.0)[:, None]
    rate[:, 20:] *= np.where(batch, 2.0, 1.0)[:, None]
    X = rng.poisson(rng.gamma(8, rate / 8))
    X[:, 0] += 1
    model = SCVI(n_latent=3, n_hidden=32, n_epochs=100, lr=1e-2, batch_size=64, library_encoder="offset").fit(X, batch)
    return model, X, kind.astype(bool), batch


def pick(i):
    mask = np.zeros(N, dtype=bool)
    mask[i] = True
    return mask


@pytest.mark.parametrize("batch_average", ["probability", "rate"])
def test_two_cells_by_monte_carlo(two_types, batch_average):
    model, X, kind, batch = two_types
    a, b = int(np.flatnonzero(kind)[0]), int(np.flatnonzero(~kind)[0])
    n = 20000
    rng = np.random.default_rng(1)
    rho = []
    with torch.no_grad():
        for i in (a, b):
            q = model.network_.encode(torch.tensor(X[[i]], dtype=torch.float32), torch.tensor(batch[[i]]))
            z = q.z_mean.numpy() + np.exp(0.5 * q.z_logvar.numpy()) * rng.normal(size=(n, 3))
            z = torch.tensor(z, dtype=torch.float32)
            each = [model.network_.decode(z, torch.full((n,), s)).log_rho.exp().numpy() for s in (0, 1)]
            rho.append(np.stack(each))
    share = np.bincount(batch) / N
    if batch_average == "rate":
        expected = (np.tensordot(share, rho[0], 1) > np.tensordot(share, rho[1], 1)).mean(axis=0)
    else:
        expected = share @ (rho[0] > rho[1]).mean(axis=1)
    table = model.compare(X, pick(a), pick(b), batch, n_pairs=200, n_samples=100, batch_average=batch_average)
    np.testing.assert_allclose(table["probability"], expected, atol=4 * np.sqrt(0.25 / n * 2))
    odds = np.log((20000 * table["probability"] + 0.5) / (20000 * (1 - table["probability"]) + 0.5))
    np.testing.assert_allclose(table["bayes_factor"], odds, rtol=1e-6, atol=1e-9)
    fold = share @ (np.log2(rho[0]) - np.log2(rho[1])).mean(axis=1)
    if batch_average == "rate":
        fold = np.log2(np.tensordot(share, rho[0], 1) / np.tensordot(share, rho[1], 1)).mean(axis=0)
    np.testing.assert_allclose(table["log_fold_change"], fold, atol=0.03)


def test_per_pair_reading(two_types):
    """The average of the pairs' log-odds, computed here from one-pair comparisons of single cells."""
    model, X, kind, batch = two_types
    a, b = np.flatnonzero(kind)[:1], np.flatnonzero(~kind)[:2]
    group_b = np.zeros(N, dtype=bool)
    group_b[b] = True
    options = {"n_samples": 400, "batch_average": "rate"}
    together = model.compare(X, pick(a), group_b, batch, bayes_factor="per_pair", n_pairs=400, **options)
    alone = [
        model.compare(X, pick(a), pick(i), batch, bayes_factor="per_pair", n_pairs=100, **options)["bayes_factor"]
        for i in b
    ]
    np.testing.assert_allclose(together["bayes_factor"], np.mean(alone, axis=0), atol=0.45)
    assert together["score"].max() <= np.log(2 * 400 + 1) + 1e-6
    pooled = model.compare(X, pick(a), group_b, batch, n_pairs=400, **options)
    assert not np.allclose(pooled["bayes_factor"], together["bayes_factor"], atol=0.1)


def test_finds_the_difference_and_its_sign(two_types):
    model, X, kind, batch = two_types
    table = model.compare(X, kind, ~kind, batch)
    assert (table["bayes_factor"][:10] > 3).mean() >= 0.9
    assert table["bayes_factor"][20:].max() < 1  # the batch's genes are not up
    np.testing.assert_allclose(table["log_fold_change"][1:10] - table["log_fold_change"][10:20].mean(), 2, atol=0.5)
    swapped = model.compare(X, ~kind, kind, batch)
    assert np.corrcoef(table["bayes_factor"], swapped["bayes_factor"])[0, 1] < -0.9
    assert (table["score"] == table["bayes_factor"].abs()).all()


def test_null_pairs_stay_below_three(two_types):
    """Halves of one cell type, over and over: no gene is called (paper, Supplementary Figure 12e)."""
    model, X, kind, batch = two_types
    rng = np.random.default_rng(2)
    values = []
    for _ in range(8):
        half = rng.random(N) < 0.5
        for reading in ("pooled", "per_pair"):
            table = model.compare(X, kind & half, kind & ~half, batch, bayes_factor=reading)
            values.append(table["bayes_factor"])
    values = np.concatenate(values)
    assert np.abs(values).max() < 3
    assert abs(values.mean()) < 0.1


def test_chunks_do_not_change_the_answer(two_types, monkeypatch):
    model, X, kind, batch = two_types
    cold = model.compare(X, kind, ~kind, batch, n_pairs=64, n_samples=100)
    monkeypatch.setattr("scvi_core.differential.ENTRIES", 64 * 30 * 100 // 9)
    chunked = model.compare(X, kind, ~kind, batch, n_pairs=64, n_samples=100)
    np.testing.assert_allclose(chunked["probability"], cold["probability"], atol=0.05)


def test_bad_groups_are_named(two_types):
    model, X, kind, batch = two_types
    with pytest.raises(InvalidCounts, match=r"group_b is int64 .* one True or False per cell \(400\)"):
        model.compare(X, kind, np.flatnonzero(~kind), batch)
    with pytest.raises(InvalidCounts, match="group_a selects no cell"):
        model.compare(X, np.zeros(N, dtype=bool), kind, batch)
    with pytest.raises(ValueError, match="bayes_factor='mean'"):
        model.compare(X, kind, ~kind, batch, bayes_factor="mean")


def test_change_of_two_cells_by_monte_carlo(two_types):
    model, X, kind, batch = two_types
    a, b = int(np.flatnonzero(kind)[0]), int(np.flatnonzero(~kind)[0])
    n, rng = 20000, np.random.default_rng(1)
    log_rho = []
    with torch.no_grad():
        for i in (a, b):
            q = model.network_.encode(torch.tensor(X[[i]], dtype=torch.float32), torch.tensor(batch[[i]]))
            z = q.z_mean.numpy() + np.exp(0.5 * q.z_logvar.numpy()) * rng.normal(size=(n, 3))
            z = torch.tensor(z, dtype=torch.float32)
            log_rho.append([model.network_.decode(z, torch.full((n,), s)).log_rho.numpy() for s in (0, 1)])
    fold = (np.array(log_rho[0]) - np.array(log_rho[1])) / np.log(2)
    expected = (np.bincount(batch) / N) @ (np.abs(fold) > 0.5).mean(axis=1)
    table = model.compare(X, pick(a), pick(b), batch, mode="change", delta=0.5, n_pairs=200, n_samples=100)
    np.testing.assert_allclose(table["probability"], expected, atol=4 * np.sqrt(0.25 / n * 2))
    assert (table["score"] == table["bayes_factor"]).all()
    far = model.compare(X, pick(a), pick(b), batch, mode="change", delta=20)
    assert (far["score"] < 0).all()  # evidence of no such change, and none is called
    assert not far["called"].any()
    without = model.compare(X, pick(a), pick(b), batch, mode="change", delta=0, n_pairs=200, n_samples=100)
    assert (without["probability"] == 1).all()  # any difference is one
    vanilla = model.compare(X, pick(a), pick(b), batch, n_pairs=200, n_samples=100)
    np.testing.assert_allclose(table["log_fold_change"], vanilla["log_fold_change"], rtol=1e-5, atol=1e-5)


def test_the_mode_of_the_model_is_taken_where_none_is_named(two_types):
    model, X, kind, batch = two_types
    changed = copy.copy(model).set_params(compare_mode="change").compare(X, kind, ~kind, batch)
    assert changed.equals(model.compare(X, kind, ~kind, batch, mode="change"))
    assert "called" not in model.compare(X, kind, ~kind, batch)
    for wrong in ({"mode": "vanila"}, {"delta": 0.5}, {"fdr": 0.1}):
        with pytest.raises(ValueError, match=rf"compare\({next(iter(wrong))}="):
            model.compare(X, kind, ~kind, batch, **wrong)
    for wrong in ({"delta": -1}, {"fdr": 0}, {"fdr": 1.0}):
        with pytest.raises(ValueError, match=rf"compare\({next(iter(wrong))}=.* will not do"):
            model.compare(X, kind, ~kind, batch, mode="change", **wrong)


@pytest.mark.parametrize("fdr", [0.01, 0.1, 0.5])
def test_called_are_the_most_genes_that_keep_the_expected_rate(fdr):
    """Against every subset of genes: none that keeps it is larger."""
    probability = np.random.default_rng(0).beta(1, 0.5, 10)
    called = called_at(probability, fdr)
    subsets = np.array(list(itertools.product([False, True], repeat=10))[1:])
    kept = [own.sum() for own in subsets if (1 - probability[own]).mean() <= fdr]
    assert called.sum() == max(kept, default=0)
    assert not called.any() or probability[called].min() >= probability[~called].max(initial=0)
    assert not called_at(np.array([0.2, 0.3]), fdr=0.05).any()


@pytest.mark.slow
def test_false_discoveries_stay_near_the_nominal_rate():
    """Counts of two types whose true frequencies are known; a true gene is one that changes by more than delta."""
    falsely, called_true, n_true, n_called = 0, 0, 0, 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        kind, n_genes = rng.integers(0, 2, 600).astype(bool), 100
        fold = np.where(rng.random(n_genes) < 0.3, rng.choice([-1, 1], n_genes) * rng.uniform(0.5, 2, n_genes), 0.0)
        base = rng.lognormal(1, 0.8, n_genes)
        other = base * 2**fold
        other[fold != 0] *= base[fold != 0].sum() / other[fold != 0].sum()  # the frequencies of the others stay
        rate = np.where(kind[:, None], other, base)
        activity = rng.normal(size=(600, 1)) * rng.normal(0, 0.1, n_genes)  # what differs within a type
        X = rng.poisson(rng.gamma(5, rate * np.exp(activity) * rng.lognormal(0, 0.3, (600, 1)) / 5))
        X[:, 0] += X.sum(axis=1) == 0
        options = {"n_latent": 4, "n_hidden": 32, "n_epochs": 100, "lr": 1e-2, "library_encoder": "offset"}
        model = SCVI(**options).fit(X)
        truth = np.abs(np.log2(other / base)) > 0.25
        called = model.compare(X, kind, ~kind, mode="change", fdr=0.05)["called"].to_numpy()
        falsely += (called & ~truth).sum()
        called_true += (called & truth).sum()
        n_true, n_called = n_true + truth.sum(), n_called + called.sum()
    assert falsely <= 0.1 * n_called
    assert called_true >= 0.5 * n_true
