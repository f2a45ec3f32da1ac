"""Values that are no counts are called what they are; fractions are rounded where that is asked for."""

import numpy as np
import pytest
import scipy.sparse as sp

from datasets.base import InvalidDataset
from datasets.io.formats import Table
from datasets.io.fractions import what_they_are, whole_counts

rng = np.random.default_rng(0)
COUNTS = rng.poisson(2.0, (40, 30)) + (np.arange(30) == 0)
PER_CELL = COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4
TPM = COUNTS / np.arange(1, 31)  # by the lengths of the genes
TPM *= 1e6 / TPM.sum(axis=1, keepdims=True)
TABLE = Table(X=None, cells=np.arange(40).astype(str), genes=np.arange(30).astype(str))


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, lambda X: sp.csc_matrix(X.astype(np.float32))])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (PER_CELL, "counts normalised by cell"),
        (np.log1p(PER_CELL), "natural logarithms of counts"),
        (np.log1p(PER_CELL)[:, 5:12], "natural logarithms of counts"),  # chosen genes: no sum is the same any more
        (np.log1p(COUNTS), "natural logarithms of counts"),
        (np.log2(PER_CELL + 1), "base-2 logarithms of counts"),
        (np.log1p(PER_CELL).round(3), "natural logarithms of counts"),  # as a text table keeps them
        (np.log1p(TPM), "natural logarithms of counts"),
        (TPM, "counts normalised by cell"),
        (np.sqrt(COUNTS), "square roots of counts"),
        (COUNTS - COUNTS.mean(axis=0), "scaled or centred values"),
        (COUNTS * 0.93, "fractions, as SoupX"),
        (np.clip(COUNTS - rng.random(COUNTS.shape) * 0.4, 0, None), "fractions, as SoupX"),
        (COUNTS + 1e-5, "counts with errors of rounding"),
    ],
)
def test_values_are_called_what_they_are(kind, values, said):
    assert what_they_are(kind(values)).startswith(said)


def test_fractions_are_rounded_where_that_is_asked_for():
    X = sp.csr_matrix(np.clip(COUNTS - rng.random(COUNTS.shape) * 0.4, 0, None))
    before = X.toarray()
    with pytest.raises(
        InvalidDataset, match=r"is not an integer at cell '0' \(row 0\).*dataset\.round_counts=true rounds"
    ):
        whole_counts(X, TABLE, {})
    rounded, steps = whole_counts(X, TABLE, {}, round_counts=True)
    np.testing.assert_array_equal(rounded.toarray(), COUNTS)
    np.testing.assert_array_equal(X.toarray(), before)
    assert steps == [f"rounded {X.nnz} of {X.nnz} values to whole counts"]
    assert whole_counts(COUNTS, TABLE, {}, round_counts=True)[1] == []


def test_normalised_values_are_not_rounded_and_the_place_of_the_counts_is_named():
    places = {"dataset.layer=scaled": lambda: COUNTS - 0.5, "dataset.layer=raw": lambda: sp.csr_matrix(COUNTS)}
    for options in ({}, {"round_counts": True}):
        with pytest.raises(
            InvalidDataset, match=r"look like natural logarithms of counts: counts are in dataset\.layer=raw\."
        ):
            whole_counts(np.log1p(PER_CELL), TABLE, places, **options)
    with pytest.raises(InvalidDataset, match=r"is negative at cell '0'.*: pass the raw counts"):
        whole_counts(np.full((40, 30), -1.0), TABLE, {})


def test_counts_of_any_type_pass():
    for dtype in (bool, np.uint64, np.float16, np.float32, np.int8):
        np.testing.assert_array_equal(whole_counts(COUNTS.astype(dtype), TABLE, {})[0], COUNTS.astype(dtype))
