"""Gene selection by standard deviation, against numpy."""

import numpy as np
import pytest
import scipy.sparse as sp

from datasets.base import InvalidDataset
from datasets.io.select import rank_by_variance, top_genes


def test_equals_numpy_on_dense_counts():
    X = np.random.default_rng(0).poisson(np.geomspace(0.01, 50, 40), size=(200, 40))
    expected = np.argsort(-X.std(axis=0), kind="stable")[:15]
    np.testing.assert_array_equal(top_genes(sp.csr_matrix(X), 15), expected)


def test_equal_genes_keep_the_order_of_the_file():
    X = np.array([[0, 5, 0, 1], [1, 0, 1, 0]])
    np.testing.assert_array_equal(top_genes(sp.csr_matrix(X), 4), [1, 0, 2, 3])


def test_none_keeps_every_gene_where_it_is():
    np.testing.assert_array_equal(top_genes(sp.csr_matrix([[1, 9, 3]]), None), [0, 1, 2])


def test_sums_beyond_64_bits_are_ranked_exactly():
    n_cells, total = 2_000, np.array([10**9, 10**9])
    squares = np.array([10**16, 10**16 + 1])  # n · squares is 2e19 and a bit; float64 cannot tell these two apart
    np.testing.assert_array_equal(rank_by_variance(n_cells, total, squares), [1, 0])


def test_too_many_genes_are_refused():
    with pytest.raises(InvalidDataset, match="n_genes=4 is asked for and the data have 3"):
        top_genes(sp.csr_matrix([[1, 9, 3]]), 4)
