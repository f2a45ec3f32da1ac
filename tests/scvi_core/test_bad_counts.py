"""Every kind of bad input, one sentence each: what is wrong, where, and how to repair it."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scvi_core import SCVI
from scvi_core.data.counts import InvalidCounts, check_batch, check_counts

GENES = [f"g{i}" for i in range(4)]
CELLS = [f"c{i}" for i in range(6)]


def test_a_whole_anndata_is_not_a_matrix():
    with pytest.raises(InvalidCounts, match=r"AnnData, not a matrix of counts: pass adata\.X"):
        check_counts(ad.AnnData(good()))


def good():
    return np.arange(24.0).reshape(6, 4) + 1


def at(value, row=2, column=1):
    X = good()
    X[row, column] = value
    return X


def check(X, cells=CELLS, genes=GENES):
    return check_counts(X, cells=cells, genes=genes)


def fit(X=None, batch=None, **parameters):
    parameters = {"n_epochs": 1, "n_hidden": 4, "n_latent": 2} | parameters
    return SCVI(**parameters).fit(good() if X is None else X, batch)


PLACE = r"cell 'c2' \(row 2\), gene 'g1' \(column 1\)"
BAD = {
    "NaN": (lambda: check(at(np.nan)), rf"NaN at {PLACE}: drop or repair"),
    "infinite": (lambda: check(at(np.inf)), rf"infinite at {PLACE}: drop or repair"),
    "minus infinite": (lambda: check(at(-np.inf)), rf"infinite at {PLACE}: drop or repair"),
    "negative": (lambda: check(at(-1)), rf"negative at {PLACE}: pass raw counts"),
    "not an integer": (lambda: check(at(0.5)), rf"not an integer at {PLACE}: .*normalised.*raw counts.*layer=counts"),
    "logarithms": (lambda: check(np.log1p(good())), r"not an integer at cell 'c0'.*layer=counts"),
    "too large for an integer": (lambda: check(at(1e20)), rf"above 2⁵³ at {PLACE}: repair"),
    "too large for a signed one": (lambda: check(at(2**63 + 5).astype(np.uint64)), rf"above 2⁵³ at {PLACE}: repair"),
    "masked": (lambda: check(np.ma.masked_equal(at(99), 99)), rf"NaN at {PLACE}: drop or repair"),
    "a sparse tensor": (lambda: check(torch.eye(4).to_sparse()), r"sparse tensor .*: pass a scipy\.sparse matrix"),
    "an empty cell": (lambda: check(good() * (np.arange(6) != 3)[:, None]), r"counted in cell 'c3' \(row 3\): remove"),
    "no genes": (lambda: check(np.zeros((6, 0)), genes=[]), "6 cells × 0 genes: it needs at least one of each"),
    "no cells": (lambda: check(np.zeros((0, 4)), cells=[]), "0 cells × 4 genes: it needs at least one of each"),
    "one cell": (lambda: fit(good()[:1]), "one cell: batch normalisation needs at least two"),
    "a gene twice": (
        lambda: check(good(), genes=["a", "b", "c", "b"]),
        r"'b' appears twice.*position 3.*var_names_make_un",
    ),
    "a cell twice": (lambda: check(good(), cells=list("abcdea")), r"'a' appears twice.*position 5.*obs_names_make_un"),
    "too few names": (lambda: check(good(), genes=["a"]), "1 gene names for 4 genes: pass one name per gene"),
    "object dtype": (lambda: check(good().astype(object)), "dtype object: convert it to a numeric type"),
    "text": (lambda: check(good().astype(str)), "dtype <U.*: convert it to a numeric type"),
    "complex": (lambda: check(good().astype(complex)), "dtype complex128: convert it to a numeric type"),
    "one dimension": (lambda: check_counts(np.ones(4)), r"1 dimension\(s\): pass cells × genes"),
    "batch of another length": (lambda: fit(batch=["a"] * 5), r"shape \(5,\) for 6 cells: pass one label per cell"),
    "batch missing": (lambda: fit(batch=["a", "b", None, "a", "b", "a"]), "row 2 is missing: label or remove"),
    "batch NaN": (lambda: fit(batch=[1, 2, 1, 2, 1, np.nan]), "row 5 is missing: label or remove"),
    "batch unseen": (
        lambda: fit(batch=list("ababab")).latent(good(), list("abazab")),
        r"'z' at row 3 was not seen in fit: pass one of 'a', 'b'",
    ),
    "other number of genes": (
        lambda: fit().latent(good()[:, :3]),
        "3 genes and the model was fitted to 4: pass the same",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_one_sentence_names_the_place_and_the_fix(case):
    call, said = BAD[case]
    with pytest.raises(InvalidCounts, match=said) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert ". " not in message.replace("e.g. ", "")  # one sentence


def test_counts_beyond_single_precision_stay_exact():
    X = good()
    X[0, 0] = 2**24 + 1
    X[1, 1] = 2**31 - 1
    checked = check(X)
    assert checked.dtype == np.int32
    assert (checked[0, 0], checked[1, 1]) == (2**24 + 1, 2**31 - 1)
    X[1, 1] = 2**40 + 1
    assert check(X)[1, 1] == 2**40 + 1
    assert check(X).dtype == np.int64


@pytest.mark.parametrize("form", [sp.coo_matrix, sp.coo_array, lambda parts: sp.csr_matrix(csr(*parts))])
@pytest.mark.parametrize(("dtype", "values"), [(np.uint8, (200, 100)), (np.int32, (2**31 - 1, 5)), (bool, (1, 1))])
def test_entries_of_one_place_are_summed_whatever_their_type_holds(form, dtype, values):
    X = form((np.array(values, dtype=dtype), ([0, 0], [1, 1])))
    assert check_counts(X).toarray().tolist() == [[0, sum(values)]]


def csr(values, places):
    return values, np.array(places[1]), np.array([0, len(values)])


def test_half_precision_is_read():
    np.testing.assert_array_equal(check_counts(good().astype(np.float16)).toarray(), good())


def test_a_batch_of_one_cell_and_a_single_batch_will_do():
    for batch in (list("aaaaab"), ["only"] * 6):
        model = fit(batch=batch)
        assert np.isfinite(model.latent(good(), batch)).all()
        assert np.isfinite(model.loglik(good(), batch)).all()


def test_levels_that_no_cell_has_are_no_batches():
    batch = pd.Categorical(list("ababab"), categories=["a", "b", "unused"])
    model = fit(batch=batch)
    assert model.batches_.tolist() == ["a", "b"]
    assert check_batch(pd.Series(batch), 6).tolist() == list("ababab")


def test_a_backed_anndata_is_read_or_refused_in_one_sentence(tmp_path):
    adata = ad.AnnData(sp.csr_matrix(good()), obs=pd.DataFrame(index=CELLS), var=pd.DataFrame(index=GENES))
    adata.write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    try:
        with pytest.raises(InvalidCounts, match=r"not read yet: pass X\.to_memory\(\)"):
            check_counts(backed.X)
        np.testing.assert_array_equal(check_counts(backed.X.to_memory()).toarray(), good())
    finally:
        backed.file.close()


# ---- for every matrix ------------------------------------------------------------------------------------------

counts = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 2**40))
few = settings(max_examples=40, deadline=None)


@few
@given(
    counts,
    st.sampled_from([np.int64, np.uint64, np.float64]),
    st.sampled_from([np.asarray, sp.csr_matrix, sp.csc_matrix, sp.coo_matrix]),
)
def test_counts_come_back_as_they_are_in_whatever_form(X, dtype, form):
    before = form(X.astype(dtype))
    given_form = before.copy()
    checked = check_counts(given_form, allow_empty_cells=True)
    np.testing.assert_array_equal(checked.toarray(), X)
    assert checked.has_canonical_format
    assert checked.data.all()
    assert checked.dtype == (np.int32 if X.max(initial=0) < 2**31 else np.int64)
    assert abs(before - given_form).sum() == 0  # untouched
    np.testing.assert_array_equal(check_counts(checked, allow_empty_cells=True).toarray(), X)


@few
@given(counts, st.sampled_from([-1.0, 0.5, np.nan, np.inf, -np.inf, -0.25]), st.data())
def test_a_single_bad_value_is_found_where_it_is(X, value, data):
    row, column = (data.draw(st.integers(0, n - 1)) for n in X.shape)
    bad = X.astype(np.float64)
    bad[row, column] = value
    for form in (np.asarray, sp.csr_matrix, sp.csc_matrix):
        with pytest.raises(InvalidCounts, match=rf"row {row}, gene in column {column}: "):
            check_counts(form(bad), allow_empty_cells=True)
