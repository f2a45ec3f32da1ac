"""What `Method` does for the methods: checked arguments, each checked once."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

import baselines.base
from baselines.base import Method
from scvi_core.data.counts import InvalidCounts


class Mine(Method):
    """Keeps what it is given; its answer hands the counts on."""

    def fit(self, X, batch=None):
        self.given_ = X, batch
        return self

    def impute(self, counts, batch=None):
        return self.latent(counts, batch)

    def latent(self, X, batch=None):
        self.given_ = X, batch
        return X.toarray()


X = np.array([[1, 0, 2], [0, 3, 0]])


def test_a_method_sees_counts_and_labels_that_are_checked():
    method = Mine().fit(X.astype(float), batch=["a", "b"])
    counts, batch = method.given_
    assert isinstance(counts, sp.csr_matrix)
    assert counts.dtype == np.int32
    np.testing.assert_array_equal(counts.toarray(), X)
    assert isinstance(batch, np.ndarray)
    assert Mine().fit(X).given_[1] is None
    with pytest.raises(InvalidCounts, match=r"shape \(1,\) for 2 cells"):
        method.impute(X, batch=["a"])
    with pytest.raises(InvalidCounts, match="negative"):
        method.impute(counts=-X)
    with pytest.raises(TypeError, match="missing a required argument"):
        method.impute()


def test_other_genes_and_questions_before_the_fit_are_refused():
    with pytest.raises(NotFittedError):
        Mine().impute(X)
    with pytest.raises(InvalidCounts, match="There are 2 genes and the model was fitted to 3"):
        Mine().fit(X).impute(X[:, [0, 1]])


def test_what_is_handed_on_is_not_checked_again_and_what_comes_back_is(monkeypatch):
    checks = []
    check = baselines.base.check_counts
    monkeypatch.setattr("baselines.base.check_counts", lambda X: checks.append(1) or check(X))
    method = Mine().fit(X)
    method.impute(X)
    assert len(checks) == 2  # one for the fit and one for the answer with the one inside it
    kept = method.given_[0]
    kept.data[0] = -1
    with pytest.raises(InvalidCounts, match="negative"):
        method.impute(kept)
