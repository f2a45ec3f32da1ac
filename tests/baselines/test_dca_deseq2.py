"""DCA + DESeq2 against the two run by hand, and the controls of comparisons."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from baselines.controls import BulkReference, RandomPValues
from baselines.dca import DCA
from baselines.dca_deseq2 import DCADESeq2
from baselines.deseq2 import DESeq2


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    group = np.arange(160) % 2 == 0
    mean = rng.gamma(20, 0.25, size=25) * np.where(group[:, None] & (np.arange(25) < 5), 3.0, 1.0)
    return rng.poisson(mean * rng.gamma(20, 0.05, size=(160, 1))), group


@pytest.mark.r("DESeq2")
def test_denoised_counts_are_truncated_and_tested(counts):
    X, group = counts
    chosen = np.arange(160) < 100
    found = DCADESeq2(n_epochs=200, random_state=3).fit(X).compare(X, group & chosen, ~group & chosen)
    denoised = np.floor(DCA(n_epochs=200, random_state=3).fit(X).impute(X[chosen]))
    kept = denoised.sum(axis=1) > 0
    assert kept.sum() > 80
    a, b = (mask[chosen][kept] for mask in (group, ~group))
    expected = DESeq2().fit(denoised[kept]).compare(denoised[kept], a, b)
    pd.testing.assert_frame_equal(found, expected)
    assert found["log_fold_change"][:5].mean() > found["log_fold_change"][5:].mean() + 0.5


def test_random_p_values_are_uniform_and_new_in_every_call(counts):
    X, group = counts
    method = RandomPValues(random_state=1).fit(X)
    draws = [method.compare(X, group, ~group) for _ in range(40)]
    assert kstest(np.concatenate([table["pvalue"] for table in draws]), "uniform").pvalue > 0.01
    assert not np.array_equal(draws[0]["pvalue"], draws[1]["pvalue"])
    again = RandomPValues(random_state=1).fit(X).compare(X, group, ~group)
    pd.testing.assert_frame_equal(again, draws[0])
    np.testing.assert_allclose(draws[0]["score"], -np.log(draws[0]["pvalue"]))


def test_the_bulk_reference_answers_with_the_study_it_names():
    bulk = pd.DataFrame({"CD2_P.Value": [0.5, np.exp(-3)], "CD2_logFC": [1.0, -2.0]})
    table = BulkReference(study="2").compare(None, None, None, bulk=bulk, comparison="CD")
    np.testing.assert_allclose(table["score"], [np.log(2), 3.0])
    assert table["log_fold_change"].tolist() == [1.0, -2.0]
