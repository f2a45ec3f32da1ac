"""The imputation experiment, evaluated in this process against hand computations."""

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.integrate import trapezoid

from baselines.controls import GeneMean, Identity, Oracle
from experiments import imputation
from experiments.loop.job import Seeds
from experiments.tasks.split import train_test

PROTOCOL = {
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "corruption": {
        "uniform": {"fraction": 0.1, "zero_probability": 0.9},
        "binomial": {"fraction": 0.1, "rate": 0.2},
    },
    "imputation": {"scored": "changed"},
}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def adata():
    X = np.random.default_rng(0).poisson(3.0, size=(200, 40)).astype(np.int32)
    return ad.AnnData(sp.csr_matrix(X))


class Spy(Identity):
    """Remembers what it was given."""

    def fit(self, X, batch=None):
        self.X_, self.batch_ = X.copy(), batch
        return self


@pytest.mark.parametrize("corruption", ["uniform", "binomial"])
def test_the_oracle_has_no_error_and_the_identity_has_all_of_it(adata, corruption):
    scores, _, _ = imputation.evaluate(Oracle(), adata, PROTOCOL, SEEDS, corruption=corruption)
    assert scores["median_l1"] == 0
    scores, _, facts = imputation.evaluate(Identity(), adata, PROTOCOL, SEEDS, corruption=corruption)
    assert scores["median_l1"] > 1
    assert facts["n_cells"] == 150


def test_the_score_is_the_median_over_changed_entries(adata):
    """The spy shows what the method saw; the training rows are found again, the score is redone by hand."""
    spy = Spy()
    scores, _, facts = imputation.evaluate(spy, adata, PROTOCOL, SEEDS, corruption="uniform")
    mean = spy.X_.toarray().mean(axis=0)
    dense = adata.X.toarray()
    seen = spy.X_.toarray()

    # every seen row differs from exactly one original row by zeroed entries alone
    def row_of(s):
        return next(j for j, row in enumerate(dense) if ((row == s) | (s == 0)).all() and (row != s).sum() < 15)

    match = [row_of(s) for s in seen]
    changed = dense[match] != seen
    assert facts["n_scored"] == changed.sum()
    assert scores["median_l1"] == np.median(dense[match][changed])
    scores, _, _ = imputation.evaluate(GeneMean(), adata, PROTOCOL, SEEDS, corruption="uniform")
    expected = np.median(np.abs(dense[match] - mean)[changed])
    assert scores["median_l1"] == pytest.approx(expected)


@pytest.mark.parametrize("corruption", ["uniform", "binomial"])
def test_every_entry_that_changed_is_scored(adata, corruption):
    spy = Spy()
    scores, _, facts = imputation.evaluate(spy, adata, PROTOCOL, SEEDS, corruption=corruption)
    train, _ = train_test(adata, PROTOCOL, SEEDS)
    difference = np.abs(adata.X[train].toarray() - spy.X_.toarray())
    assert facts["n_scored"] == np.count_nonzero(difference)
    assert scores["median_l1"] == np.median(difference[difference > 0])


def test_all_methods_of_a_seed_see_the_same_corruption(adata):
    hashes = {
        imputation.evaluate(method, adata, PROTOCOL, SEEDS, corruption="uniform")[2]["corrupted_sha256"]
        for method in (Oracle(), Identity(), GeneMean())
    }
    assert len(hashes) == 1
    other = imputation.evaluate(Identity(), adata, PROTOCOL, Seeds(1, 9, 3), corruption="uniform")[2]
    assert other["corrupted_sha256"] not in hashes


def test_chosen_scores_unchanged_entries_too(adata):
    as_run = PROTOCOL | {"imputation": {"scored": "chosen"}}
    changed = imputation.evaluate(Identity(), adata, PROTOCOL, SEEDS, corruption="uniform")[2]["n_scored"]
    chosen = imputation.evaluate(Identity(), adata, as_run, SEEDS, corruption="uniform")[2]["n_scored"]
    assert chosen > changed


def test_a_fixed_split_does_not_follow_the_seed(adata):
    fixed = PROTOCOL | {"split": {"train": 0.75, "test": 0.25, "random_state": 0}}
    seen = []
    for seeds in (Seeds(1, 2, 3), Seeds(7, 2, 3)):
        spy = Spy()
        imputation.evaluate(spy, adata, fixed, seeds, corruption="uniform")
        seen.append(spy.X_)
    assert (seen[0] != seen[1]).nnz == 0


def test_cells_emptied_by_the_corruption_are_left_out():
    X = np.zeros((60, 10), dtype=np.int32)
    X[np.arange(60), np.arange(60) % 10] = 1  # one gene each: a corrupted cell is an empty one
    X[:30] += 1  # and cells that keep some
    spy = Spy()
    _, _, facts = imputation.evaluate(spy, ad.AnnData(sp.csr_matrix(X)), PROTOCOL, SEEDS, corruption="uniform")
    assert facts["n_emptied_cells"] > 0
    assert spy.X_.shape[0] == facts["n_cells"] == 45 - facts["n_emptied_cells"]
    assert (np.diff(spy.X_.indptr) > 0).all()


def test_batches_reach_the_method_in_the_order_of_its_cells(adata):
    marked = adata.copy()
    marked.X = adata.X.copy()
    marked.obs["batch"] = adata.X[:, 0].toarray().ravel().astype(str)
    spy = Spy()
    imputation.evaluate(spy, marked, PROTOCOL, SEEDS, corruption="binomial")
    first = spy.X_[:, 0].toarray().ravel()
    assert (spy.batch_.astype(int) >= first).all()  # thinning only lowers counts
    assert (spy.batch_.astype(int) == first).mean() > 0.8


def test_the_density_is_one_over_the_square_where_the_points_are(adata):
    class Half(GeneMean):
        def impute(self, X, batch=None):
            return np.random.default_rng(0).normal(5, 0.3, size=X.shape)

    _, arrays, _ = imputation.evaluate(Half(), adata, PROTOCOL, SEEDS, corruption="uniform")
    axis = np.linspace(0, 10, 50)
    mass = trapezoid(trapezoid(arrays["density"], axis, axis=1), axis)
    assert mass == pytest.approx(1, abs=0.05)
    imputed_mode = axis[arrays["density"].sum(axis=0).argmax()]
    original_mode = axis[arrays["density"].sum(axis=1).argmax()]
    assert imputed_mode == pytest.approx(5, abs=0.3)
    assert 1 < original_mode < 4
    assert 5 / 5 < arrays["slope"] < 5 / 2


def test_too_few_entries_to_corrupt_is_said():
    X = sp.csr_matrix(np.eye(8, dtype=np.int32))
    with pytest.raises(ValueError, match=r"corruption changed no entry of the .* training cells"):
        imputation.evaluate(Identity(), ad.AnnData(X), PROTOCOL, SEEDS, corruption="uniform")


def test_an_imputed_matrix_of_another_shape_is_refused(adata):
    class Transposed(GeneMean):
        def impute(self, X, batch=None):
            return super().impute(X).T

    with pytest.raises(ValueError, match=r"impute\(\) returned shape \(40, 150\)"):
        imputation.evaluate(Transposed(), adata, PROTOCOL, SEEDS, corruption="uniform")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_imputed_value_that_is_not_finite_is_refused(adata, value):
    """The median of the errors is finite all the same."""

    class Broken(GeneMean):
        def impute(self, X, batch=None):
            imputed = super().impute(X)
            imputed[[3, 7], [5, 0]] = value
            return imputed

    said = rf"impute\(\) returned {value} for cell 3 and gene 5 \(values that are not finite: 2\)"
    with pytest.raises(ValueError, match=said):
        imputation.evaluate(Broken(), adata, PROTOCOL, SEEDS, corruption="uniform")


def test_presence_and_absence_data_are_scored_without_a_density():
    X = sp.csr_matrix((np.random.default_rng(0).random((80, 30)) < 0.5).astype(np.int32))
    scores, arrays, _ = imputation.evaluate(GeneMean(), ad.AnnData(X), PROTOCOL, SEEDS, corruption="uniform")
    assert scores["median_l1"] == pytest.approx(0.55, abs=0.1)
    assert arrays == {}


def test_the_prior_of_the_library_size_may_be_that_of_the_cells_as_they_were(adata):
    class Told(Spy):
        def __init__(self, library_prior="pooled"):
            self.library_prior = library_prior

        def fit(self, X, batch=None, library_from=None):
            self.library_from_ = library_from
            return super().fit(X, batch)

    for cells in ("fitted", "uncorrupted"):
        told = Told()
        imputation.evaluate(told, adata, PROTOCOL | {"scvi": {"library_cells": cells}}, SEEDS, corruption="binomial")
        if cells == "fitted":
            assert told.library_from_ is None
    train, _ = train_test(adata, PROTOCOL, SEEDS)
    X, batch = told.library_from_
    np.testing.assert_array_equal(X.toarray(), adata.X[train].toarray())
    assert batch is None
    assert X.sum() > told.X_.sum()
