"""One suite over every method of conf/method/, as scikit-learn's check_estimator is one over every estimator."""

import functools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from experiments.loop import protocol  # noqa: F401  conf/ asks it for what the paper chose for a data set
from scvi_core.data.counts import InvalidCounts

ROOT = Path(__file__).parents[2]
METHODS = sorted(path.stem for path in (ROOT / "conf" / "method").glob("*.yaml"))
# For the methods that have such a parameter: it is the interface that is tested here.
CAPABILITIES = ("latent", "impute", "loglik", "correct")
SLOW = {"biscuit", "biscuit_mean", "dca", "dca_deseq2", *(name for name in METHODS if name.startswith("scvi_"))}
QUICK = {"n_epochs": 3, "n_iterations": 20, "max_iter": 3}


@pytest.fixture(scope="module")
def data():
    """200 cells × 50 genes of three kinds and two batches; gene 7 has no counts, every cell has some."""
    rng = np.random.default_rng(0)
    kind, batch = rng.integers(3, size=200), np.repeat(["a", "b"], 100)
    mean = (
        rng.gamma(1, 3, size=(3, 50))[kind] * rng.gamma(5, 0.2, size=(200, 1)) * np.where(batch == "a", 1, 1.5)[:, None]
    )
    X = rng.poisson(mean).astype(np.int32)
    X[rng.random(X.shape) < 0.2] = 0
    X[:, 7] = 0
    X[:, 0] += 1
    return sp.csr_matrix(X), batch


@functools.cache
def configurations():
    """The blocks of all methods, from one composition."""
    overrides = ["+exp=imputation", *(f"+method@methods.it_{name}={name}" for name in METHODS)]
    with initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
        return OmegaConf.to_container(compose("config", overrides=overrides).methods, resolve=True)


def row(name):
    """A parameter of the fixture, marked where the method goes through the bridge to R or takes seconds to fit."""
    in_r = hasattr(sys.modules[get_class(configurations()[f"it_{name}"]["_target_"]).__module__], "bridge")
    return pytest.param(name, marks=[pytest.mark.r()] * in_r + [pytest.mark.slow] * (name in SLOW))


@pytest.fixture(params=map(row, METHODS), scope="module")
def method(request):
    """An unfitted estimator with the parameters of its yaml."""
    config = configurations()[f"it_{request.param}"]
    cls = get_class(config["_target_"])
    parameters = {name: value for name, value in config.items() if not name.startswith("_")}
    parameters |= {name: value for name, value in QUICK.items() if name in cls(**parameters).get_params()}
    return cls(**parameters)


@pytest.fixture(scope="module")
def trained(method, data):
    """The method fitted to the data, and what it says about them: once for all tests that only look."""
    X, batch = data
    estimator = fitted(method, X, batch=batch)
    return estimator, outputs(estimator, X, batch) | marginal(estimator, X, batch)


def fitted(method, *arguments, **keywords):
    try:
        return clone(method).fit(*arguments, **keywords)
    except Exception as error:
        if getattr(error, "skip", False):
            pytest.skip(str(error))
        raise


def outputs(method, X, batch):
    """Everything that a fitted method can say about ``X`` without choices of the caller's."""
    found = {}
    for name in CAPABILITIES:
        if hasattr(method, name):
            found[name] = np.asarray(getattr(method, name)(X, batch=batch))
    if hasattr(method, "sample"):
        found["sample"] = method.sample(X, n_samples=2, batch=batch)
    return found


def marginal(method, X, batch):
    """The same of the marginal likelihood: seconds for scVI, however few the draws, for it adapts a proposal first."""
    if not hasattr(method, "marginal_loglik"):
        return {}
    return dict(
        zip(("marginal_loglik", "standard_error"), method.marginal_loglik(X, batch=batch, n_samples=3), strict=True)
    )


def test_it_can_do_something(method):
    assert any(hasattr(method, name) for name in ("latent", "impute", "loglik", "correct", "compare"))
    assert clone(method).get_params() == method.get_params()


def test_shapes_and_finite_values(trained, data):
    X, _ = data
    for name, value in trained[1].items():
        assert np.isfinite(value).all(), name
        assert value.shape[name == "sample"] == X.shape[0]
        if name in {"loglik", "marginal_loglik", "standard_error"}:
            assert value.shape == (X.shape[0],)
        if name in {"impute", "correct"}:
            assert value.shape == X.shape
        if name == "sample":
            assert value.shape == (2, *X.shape)
        if name in {"impute", "sample"}:
            assert (value >= 0).all()


def test_the_storage_of_the_counts_does_not_matter(method, trained, data):
    X, batch = data
    forms = {"int64": X.astype(np.int64), "csc": X.tocsc(), "dense float32": X.toarray().astype(np.float32)}
    for form, given in forms.items():
        before = given.copy()
        found = outputs(fitted(method, given, batch=batch), given, batch)
        for name, value in found.items():
            np.testing.assert_allclose(value, trained[1][name], rtol=1e-6, atol=1e-8, err_msg=f"{form}: {name}")
        assert np.abs(before - given).max() == 0  # what is the caller's stays as it was


def test_same_seed_same_answer_and_a_refit_forgets(method, trained, data):
    X, batch = data
    np.random.seed(99)  # noqa: NPY002 -- global state must not matter
    other = fitted(method, X[::-1][:150], batch=batch[::-1][:150])
    again = outputs(other.fit(X, batch=batch), X, batch) | marginal(other, X, batch)
    for name, value in trained[1].items():
        np.testing.assert_array_equal(value, again[name], err_msg=name)


def test_one_batch_will_do(method, data):
    X, _ = data
    if hasattr(method, "correct"):
        pytest.skip("a batch correction needs two batches")
    for given in (None, np.zeros(X.shape[0], dtype=int)):
        for name, value in outputs(fitted(method, X, batch=given), X, given).items():
            assert np.isfinite(value).all(), name


def test_compare_returns_one_row_per_gene(method, trained, data):
    X, batch = data
    if not hasattr(method, "compare"):
        pytest.skip("it does not compare groups")
    if type(method).__name__ == "DCADESeq2":
        pytest.skip("DESeq2 refuses what three epochs of DCA leave; test_dca_deseq2.py trains it whole")
    first, second = np.arange(X.shape[0]) % 3 == 0, np.arange(X.shape[0]) % 3 == 1  # both batches in both groups
    found = trained[0].compare(X, first, second, batch=batch)
    assert isinstance(found, pd.DataFrame)
    assert len(found) == X.shape[1]
    assert {"score", "log_fold_change"} <= set(found.columns)
    if "pvalue" in found:
        p = found["pvalue"].dropna()
        assert ((p >= 0) & (p <= 1)).all()


def test_what_was_not_fitted_is_said(method, trained, data):
    """No answer before `fit`, and none about a matrix with another number of genes."""
    X, batch = data
    answering, _ = trained
    if not set(vars(answering)) - set(vars(method)) - {"n_features_in_"}:
        pytest.skip("nothing is kept from the fit")
    for name in CAPABILITIES:
        if hasattr(method, name):
            with pytest.raises(NotFittedError):
                getattr(clone(method), name)(X, batch=batch)
            with pytest.raises(ValueError, match="49 genes"):
                getattr(answering, name)(X[:, 1:], batch=batch)


def test_what_is_not_a_count_is_refused(method, data):
    """One value of each method, for all go through one check; its own tests have the others."""
    X = data[0].toarray().astype(float)
    X[3, 4] = 0.5
    with pytest.raises(InvalidCounts, match=r"not an integer.* row 3.* column 4"):
        fitted(method, X, batch=data[1])
