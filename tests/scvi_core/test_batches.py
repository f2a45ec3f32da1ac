"""Batch labels: of every kind that there is, left out where there are some, given where there are none."""

import datetime
import functools

import numpy as np
import pandas as pd
import pytest

from scvi_core import SCVI, InvalidCounts
from scvi_core.data.counts import check_batch

X = np.random.default_rng(0).poisson(2.0, size=(40, 6)) + (np.arange(6) == 0)
FIRST = np.arange(40) % 2 == 0


def small(**parameters):
    return SCVI(**{"n_hidden": 4, "n_latent": 2, "n_epochs": 1, "engine": "plain"} | parameters)


def questions(model, batch):
    """Every question about cells, as functions without arguments."""
    plain = ["latent", "impute", "normalized", "dropout_probability", "nb_zero_probability", "loglik", "sample"]
    return [
        *(functools.partial(getattr(model, name), X, batch=batch) for name in [*plain, "library_size"]),
        lambda: model.marginal_loglik(X, batch, n_samples=2),
        lambda: model.compare(X, FIRST, ~FIRST, batch, n_pairs=2, n_samples=2),
        lambda: model.tune_encoder(X, batch, n_epochs=0),
    ]


@pytest.mark.parametrize("labels", [[0, 1], [False, True], [0.0, 1.0], ["0", "1"], [0, 0]])
def test_labels_left_out_are_never_taken_for_one_of_them(labels):
    batch = np.array(labels)[FIRST.astype(int)]
    model = small().fit(X, batch)
    for ask in questions(model, None):
        with pytest.raises(InvalidCounts, match=r"fitted with batches: pass batch="):
            ask()
    for model_of in ({"early_stopping": "patience"}, {"warm_start": True, "n_epochs": 2}):
        with pytest.raises(InvalidCounts, match=r"fitted with batches: pass batch="):
            model.set_params(**model_of).fit(
                X, *([batch] if "early_stopping" in model_of else []), validation=(X, None)
            )


def test_labels_given_to_a_model_without_any():
    model = small().fit(X)
    assert model.batches_ is None
    for batch in (np.zeros(40, dtype=int), np.zeros(40, dtype=bool), ["a"] * 40):
        for ask in questions(model, batch):
            with pytest.raises(InvalidCounts, match="fitted without batches: leave batch= out"):
                ask()
    with pytest.raises(InvalidCounts, match="fitted without batches"):
        model.sample_prior(3, batch=[0, 0, 0])


def test_all_is_no_batch_of_that_name():
    batch = np.where(FIRST, "all", "other")
    model = small().fit(X, batch)
    with pytest.raises(ValueError, match=r"pass \['all'\] for that one"):
        model.normalized(X, batch, decode_batch="all")
    one, both = (model.normalized(X, batch, decode_batch=which) for which in (["all"], ["all", "other"]))
    np.testing.assert_allclose(both, (one + model.normalized(X, batch, decode_batch="other")) / 2, atol=1e-6)
    with pytest.raises(ValueError, match="decode_batch is empty"):
        model.normalized(X, batch, decode_batch=[])


MISSING = "at row 1 is missing: label or remove"
MIXED = "1 at row 0 is a number and 'a' at row 1 is text: make all of them text"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a", None], MISSING),
        (["a", np.nan], MISSING),
        ([1.0, np.nan], MISSING),
        ([1, pd.NA], MISSING),
        (pd.Series(["a", pd.NA], dtype="string"), MISSING),
        (pd.Series([1, None], dtype="Int64"), MISSING),
        (pd.Series([True, None], dtype="boolean"), MISSING),
        (pd.Categorical(["a", None]), MISSING),
        (pd.to_datetime(["2020-01-01", None]), MISSING),
        (np.ma.array([1, 2], mask=[False, True]), MISSING),
        ([1, "a"], MIXED),
        (np.array([1, "a"], dtype=object), MIXED),
        ([True, 1], "True at row 0 is True or False and 1 at row 1 is a number"),
        (np.array([b"a", b"b"]), "b'a' at row 0 is of type bytes: pass text, numbers, or True and False"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "of type datetime64"),
        ([datetime.date(2020, 1, 1)] * 2, "of type date"),
        ([1j, 2j], "of type complex"),
        ([[1], [1, 2]], "of type list"),
    ],
)
def test_what_is_no_label(labels, said):
    with pytest.raises(InvalidCounts, match=said):
        check_batch(labels, 2)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pd.Series(["b", "a"], dtype="string"), ["b", "a"]),
        (pd.Series(["b", "a"], dtype="category"), ["b", "a"]),
        (pd.Series([3, 1], dtype="Int64"), [3, 1]),
        (pd.Series([True, False], dtype="boolean"), [True, False]),
        ([0.5, 1], [0.5, 1.0]),
        (np.array(["b", "a"], dtype=np.dtypes.StringDType()), ["b", "a"]),
        (np.ma.array([3, 1]), [3, 1]),
    ],
)
def test_labels_of_other_libraries(tmp_path, labels, expected):
    """A model knows them again, also when it comes from a file."""
    labels = np.asanyarray(labels).repeat(20) if isinstance(labels, np.ndarray) else pd.Series(labels).repeat(20)
    model = small().fit(X, labels)
    assert model.batches_.tolist() == sorted(expected)
    model.save(tmp_path / "model")
    position = SCVI.load(tmp_path / "model").latent(X, np.array(expected).repeat(20))
    np.testing.assert_array_equal(position, model.latent(X, labels))


def test_a_list_is_kept_as_it_is():
    assert check_batch([1, 2], 2).tolist() == [1, 2]
    assert check_batch(["1", "2"], 2).tolist() == ["1", "2"]
