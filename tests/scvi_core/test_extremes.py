"""Counts at the edge of what counts can be: scVI trains on them to finite numbers, the same at every run."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scvi_core import SCVI


def ordinary(n_cells=80, n_genes=12, seed=0):
    X = np.random.default_rng(seed).negative_binomial(2, 0.4, size=(n_cells, n_genes)).astype(np.int64)
    X[:, 0] += 1
    return X


def huge():
    X = ordinary()
    X[3, 4] = X[70, 2] = 2**31 - 1
    return X


def beyond_int32():
    X = ordinary()
    X[5, 5] = 2**31
    return X


def beyond_float32():
    """Above 2^24 a count is not exact in single precision."""
    X = ordinary()
    X[:, 1] = 2**24 + 1 + np.arange(80)
    return X


def absent_genes():
    X = ordinary()
    X[:, 3:9] = 0
    return X


def one_count():
    X = ordinary()
    X[[7, 40]] = 0
    X[7, 2] = X[40, 11] = 1
    return X


def far_apart():
    """One cell with a single count beside one with ten billion."""
    X = one_count()
    X[9] = 2**30
    return X


EXTREMES = {
    "2^31 - 1": huge,
    "2^31": beyond_int32,
    "above 2^24": beyond_float32,
    "genes without counts": absent_genes,
    "one count in a cell": one_count,
    "far apart": far_apart,
    "constant": lambda: np.full((40, 5), 7),
    "one gene": lambda: ordinary(60, 1),
    "two cells": lambda: ordinary(2),
    "n = 128 + 1": lambda: ordinary(129),
    "n = 2 * 128 + 1": lambda: ordinary(257),
}


@pytest.mark.parametrize("engine", ["plain", "fused"])
@pytest.mark.parametrize("library", ["latent", "observed"])
@pytest.mark.parametrize("case", EXTREMES)
def test_training_does_not_diverge(case, library, engine):
    X = EXTREMES[case]()
    options = {"n_epochs": 15, "n_hidden": 16, "n_latent": 3, "library": library, "device": "cpu"}
    if case == "2^31" and engine == "fused":
        with pytest.raises(ValueError, match=r"for counts below 2\^31. Choose engine='auto'"):
            SCVI(engine=engine, **options).fit(X)
        assert SCVI(**options).fit(X).engine_ == "plain"
        return
    model = SCVI(engine=engine, **options).fit(X)
    assert np.isfinite(model.history_["loss"]).all()
    assert model.engine_ == engine
    for answer in (model.latent(X), model.impute(X), model.loglik(X)):
        assert np.isfinite(answer).all()
    assert (model.impute(X) >= 0).all()
    assert all(p.isfinite().all() for p in model.network_.state_dict().values())


@pytest.mark.parametrize("engine", ["plain", "fused"])
def test_same_seed_same_bits_whatever_ran_before(engine):
    """Nothing of another fit, of its order or of the global generators leaks into this one."""
    X = sp.csr_matrix(ordinary(150))
    batch = np.arange(150) % 2
    options = {"n_epochs": 3, "n_hidden": 16, "n_latent": 3, "engine": engine, "random_state": 7}
    alone = SCVI(**options).fit(X, batch)
    expected = alone.network_.state_dict(), alone.latent(X, batch), alone.impute(X, batch), alone.loglik(X, batch)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 -- global state must not matter
    SCVI(**options | {"random_state": 8, "n_latent": 5}).fit(X)
    after = SCVI(**options).fit(X, batch)
    loglik, impute, latent = after.loglik(X, batch), after.impute(X, batch), after.latent(X, batch)
    for name, value in after.network_.state_dict().items():
        assert torch.equal(value, expected[0][name]), name
    for found, before in zip((latent, impute, loglik), expected[1:], strict=True):
        np.testing.assert_array_equal(found, before)
