"""The corruptions against what the paper's section 4.7 says they are."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from experiments.tasks.corrupt import corrupt


@pytest.fixture(scope="module")
def counts():
    X = sp.csr_matrix(np.random.default_rng(1).negative_binomial(1, 0.2, size=(400, 100)).astype(np.int32))
    X.eliminate_zeros()
    return X


def test_uniform_zeroes_the_stated_share_and_touches_nothing_else(counts):
    before = counts.copy()
    hidden = corrupt(counts, kind="uniform", rng=np.random.default_rng(0), fraction=0.1, zero_probability=0.9)
    assert (counts != before).nnz == 0
    assert hidden.original.size == int(0.1 * counts.nnz)
    assert len(set(zip(hidden.rows, hidden.columns, strict=True))) == hidden.original.size  # without replacement
    dense, corrupted = counts.toarray(), hidden.X.toarray()
    np.testing.assert_array_equal(dense[hidden.rows, hidden.columns], hidden.original)
    np.testing.assert_array_equal(corrupted[hidden.rows, hidden.columns], hidden.corrupted)
    assert (hidden.original > 0).all()
    untouched = np.ones(dense.shape, dtype=bool)
    untouched[hidden.rows, hidden.columns] = False
    np.testing.assert_array_equal(dense[untouched], corrupted[untouched])
    assert set(np.unique(hidden.corrupted[hidden.corrupted > 0] == hidden.original[hidden.corrupted > 0])) <= {True}
    zeroed = int((hidden.corrupted == 0).sum())
    assert stats.binomtest(zeroed, hidden.original.size, 0.9).pvalue > 1e-4
    assert hidden.X.nnz == counts.nnz - zeroed


def test_uniform_chooses_all_entries_alike(counts):
    """Chosen entries are a uniform sample of the non-zero ones: their counts follow the distribution of all."""
    hidden = corrupt(counts, kind="uniform", rng=np.random.default_rng(3), fraction=0.3, zero_probability=1.0)
    assert (hidden.corrupted == 0).all()
    assert stats.ks_2samp(hidden.original, counts.data).pvalue > 1e-4
    assert stats.kstest(hidden.rows / counts.shape[0], counts.tocoo().row / counts.shape[0]).pvalue > 1e-4


def test_binomial_thins_at_the_stated_rate(counts):
    hidden = corrupt(counts, kind="binomial", rng=np.random.default_rng(0), fraction=0.2, rate=0.2)
    assert (hidden.corrupted <= hidden.original).all()
    assert stats.binomtest(int(hidden.corrupted.sum()), int(hidden.original.sum()), 0.2).pvalue > 1e-4
    ones = hidden.corrupted[hidden.original == 4]
    expected = stats.binom.pmf(np.arange(5), 4, 0.2) * ones.size
    assert stats.chisquare(np.bincount(ones, minlength=5), expected).pvalue > 1e-4


def test_same_seed_same_corruption(counts):
    first, again, other = (
        corrupt(counts, kind="binomial", rng=np.random.default_rng(seed), fraction=0.1, rate=0.2) for seed in (5, 5, 6)
    )
    assert (first.X != again.X).nnz == 0
    assert (first.X != other.X).nnz > 0
