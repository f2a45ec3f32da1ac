"""Scores of differential expression against brute force and statsmodels' definition of the adjustment."""

import numpy as np
import pandas as pd
import pytest

from experiments.metrics.differential import adjusted, auroc, called


def test_auroc_counts_pairs_that_are_in_order():
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.3  # with ties
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert auroc(score=score, positive=positive) == pytest.approx(np.mean(pairs))
    assert auroc(score=-score, positive=positive) == pytest.approx(1 - np.mean(pairs))


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_auroc_needs_both_kinds(positive):
    with pytest.raises(ValueError, match="needs both kinds"):
        auroc(score=np.array([1.0, 2.0]), positive=np.array(positive))


def test_adjusted_by_hand():
    """p(i) m / i, made monotone from above; a missing value does not count."""
    found = adjusted(pvalue=[0.01, np.nan, 0.04, 0.03, 0.9])
    np.testing.assert_allclose(found, [0.04, np.nan, 0.16 / 3, 0.16 / 3, 0.9])


def test_called_by_the_method_itself_where_it_says_so():
    own = pd.DataFrame({"bayes_factor": [-9.0, 2.0, 4.0], "called": [False, True, True]})
    assert called(table=own, bayes_factor=3, level=0.05).tolist() == [False, True, True]


def test_called_by_bayes_factor_or_by_adjusted_p():
    factors = pd.DataFrame({"bayes_factor": [-3.0, 2.9, 3.1, 0.0], "score": [3.0, 2.9, 3.1, 0.0]})
    assert called(table=factors, bayes_factor=3, level=0.05).tolist() == [True, False, True, False]
    tests = pd.DataFrame({"pvalue": [0.001, 0.04, np.nan, 0.9], "score": [7.0, 3.2, np.nan, 0.1]})
    assert called(table=tests, bayes_factor=3, level=0.05).tolist() == [
        True,
        False,
        False,
        False,
    ]  # 0.04 * 3 / 2 = 0.06


def test_an_adjusted_p_at_the_level_is_a_call():
    assert called(table=pd.DataFrame({"pvalue": [0.05, 0.05]}), bayes_factor=3, level=0.05).all()
