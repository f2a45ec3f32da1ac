"""What `Method` does for the methods: checked arguments, each checked once, and checked answers."""

import numpy as np
import pandas as pd
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


class Answers(Method):
    """Answers what it is told to."""

    def __init__(self, answer=None):
        self.answer = answer

    def fit(self, X, batch=None):
        return self

    def latent(self, X, batch=None):
        return self.answer

    def impute(self, X, batch=None):
        return self.answer

    def loglik(self, X, batch=None):
        return self.answer

    def marginal_loglik(self, X, batch=None):
        return self.answer

    def sample(self, X, n_samples=1, batch=None):
        return self.answer

    def compare(self, X, group_a, group_b, batch=None):
        return self.answer


def ask(name, answer):
    method = Answers(answer).fit(X)
    return getattr(method, name)(X, *([None, None] if name == "compare" else ()))


GOOD = np.array([[1.0, 0.5, 2.0], [0.0, 3.0, 0.0]])
IMPUTED = r": return a dense array of real numbers of shape \(2, 3\)\.$"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (GOOD + 1j, r"impute\(\) returned a ndarray of complex numbers" + IMPUTED),
        (GOOD.astype(object), r"impute\(\) returned a ndarray of Python objects" + IMPUTED),
        (GOOD.astype(str), r"impute\(\) returned a ndarray of text" + IMPUTED),
        (sp.csr_matrix(GOOD), r"impute\(\) returned a csr_matrix" + IMPUTED),
        (sp.coo_array(GOOD), r"impute\(\) returned a coo_array" + IMPUTED),
        (np.ma.masked_less(GOOD, 1), r"impute\(\) returned a MaskedArray" + IMPUTED),
        (None, r"impute\(\) returned None" + IMPUTED),
        (Answers(), r"impute\(\) returned a Answers" + IMPUTED),
        ([[1.0], [1.0, 2.0]], r"impute\(\) returned a list that is no array" + IMPUTED),
        (pd.DataFrame({"a": ["x", 1.0]}), r"impute\(\) returned a DataFrame of Python objects" + IMPUTED),
        (3.0, r"impute\(\) returned shape \(\) for 2 cells × 3 genes" + IMPUTED),
        (GOOD.T, r"impute\(\) returned shape \(3, 2\) for 2 cells × 3 genes" + IMPUTED),
        (-GOOD, r"impute\(\) returned -1\.0 for cell 0 and gene 0 \(negative values: 4\): return counts"),
        (GOOD / [1, 0.5, np.nan], r"returned nan for cell 0 and gene 2 \(values that are not finite: 2\): return fin"),
    ],
)
def test_an_answer_that_cannot_be_scored_is_named_with_what_is_asked(answer, said):
    with pytest.raises(ValueError, match=said):
        ask("impute", answer)


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("latent", np.zeros((2, 0)), r"shape \(2, 0\) for 2 cells × 3 genes: return a dense .* shape \(2, n_latent\)"),
        ("latent", np.zeros(2), r"shape \(2,\) for 2 cells"),
        ("loglik", np.zeros((2, 1)), r"loglik\(\) returned shape \(2, 1\)"),
        ("loglik", [0.0, -np.inf], r"loglik\(\) returned -inf for cell 1 \("),
        ("marginal_loglik", np.zeros(2), r"marginal_loglik\(\) returned ndarray: return two arrays"),
        ("marginal_loglik", (np.zeros(2), None), r"marginal_loglik\(\) returned None"),
        ("sample", -GOOD[None], r"sample\(\) returned -1\.0 for draw 0 and cell 0 and gene 0"),
        ("compare", {"score": [1, 2, 3]}, r"compare\(\) returned a dict: return a pandas data frame of 3 rows"),
        ("compare", pd.DataFrame({"score": [1.0]}), r"compare\(\) returned 1 rows with the columns score: return"),
        (
            "compare",
            pd.DataFrame({"score": list("abc"), "log_fold_change": 0.0}),
            r"compare\(\) returned object in the column score",
        ),
    ],
)
def test_every_capability_has_its_form(name, answer, said):
    with pytest.raises(ValueError, match=said):
        ask(name, answer)


def test_sound_answers_are_returned_as_they_are():
    assert ask("impute", GOOD) is GOOD
    assert ask("impute", GOOD - 0.1).min() == -0.1  # from a logarithm of counts and 0.1
    np.testing.assert_array_equal(ask("latent", GOOD.tolist()), GOOD)
    np.testing.assert_array_equal(ask("latent", -GOOD.astype(np.float32)), -GOOD)
    assert ask("sample", GOOD[None].astype(int)).shape == (1, 2, 3)
    assert len(ask("marginal_loglik", (np.zeros(2), np.ones(2)))) == 2
    table = pd.DataFrame({"score": np.arange(3.0), "log_fold_change": 0, "pvalue": [0.5, np.nan, 1]})
    assert ask("compare", table) is table


def test_a_fit_that_does_not_return_the_method_is_refused():
    class Forgetful(Mine):
        def fit(self, X, batch=None):
            super().fit(X, batch)

    with pytest.raises(ValueError, match=r"fit\(\) returned NoneType: end it with `return self`\."):
        Forgetful().fit(X)
