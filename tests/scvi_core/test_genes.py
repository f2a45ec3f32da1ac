"""A model that meets other genes, or the same ones in another order."""

import numpy as np
import pytest
import scipy.sparse as sp

from scvi_core import SCVI, InvalidCounts
from scvi_core.data.genes import matched

GENES = list("abcde")
X = np.random.default_rng(0).poisson(3, size=(30, 5)) + 1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    SCVI(n_epochs=2, n_hidden=4, n_latent=2).fit(X, gene_names=GENES).save(path)
    return SCVI.load(path)


def test_the_same_genes_pass(model):
    assert matched(model, X, GENES) is X


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("abdce", "Column 2 is the gene 'd' where the model has 'c': pass reorder=True"),
        ("abcdef", "Column 5 is the gene 'f' where the model has no further gene: pass reorder=True"),
        ("abcdx", "lack 1 genes of the model, first 'e'"),
        ("abcd", "lack 1 genes of the model, first 'e'"),
        ("aacde", "'a' appears twice"),
    ],
)
def test_the_difference_is_named(model, columns, said):
    with pytest.raises(InvalidCounts, match=said):
        matched(model, np.ones((3, len(columns)), dtype=int), list(columns))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_reordered_columns_give_the_same_answer(model, form):
    order = [3, 0, 4, 1, 2]
    more = np.hstack([X[:, order], X[:, :1]])
    found = matched(model, form(more), [*(GENES[i] for i in order), "foreign"], reorder=True)
    np.testing.assert_array_equal(model.latent(found), model.latent(X))
    with pytest.raises(InvalidCounts, match="first 'e'"):
        matched(model, X[:, :4], GENES[:4], reorder=True)


def test_a_model_without_names_cannot_tell(model):
    with pytest.raises(InvalidCounts, match="without gene names"):
        matched(SCVI(n_epochs=1, n_hidden=4).fit(X), X, GENES)
