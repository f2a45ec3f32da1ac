"""Molecular cross-validation against SciPy, hand computations and methods that know the truth or cheat."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats
from test_run import command, written

from baselines.controls import GeneMean, Identity, Oracle
from experiments import denoising
from experiments.loop.job import Seeds
from experiments.metrics.denoising import SMALLEST_RATE, log_normalised, log_normalised_mse, poisson_loss
from experiments.tasks.molecules import split_molecules
from experiments.tasks.split import train_test

PROTOCOL = {"split": {"train": 0.75, "test": 0.25, "random_state": None}}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def simulated():
    """400 cells of four types whose rates are known, about half of the counts not zero."""
    rng = np.random.default_rng(0)
    profiles = rng.gamma(0.3, size=(4, 100)) + 0.02
    rate = (profiles / profiles.sum(axis=1, keepdims=True))[np.arange(400) % 4]
    rate = rate * 300 * rng.lognormal(0, 0.3, size=(400, 1))
    adata = ad.AnnData(sp.csr_matrix(rng.poisson(rate).astype(np.int32)))
    adata.layers["rate"] = rate
    return adata


class Truth(Identity):
    """Answers with the true rates of the training cells, at the depth of what is seen."""

    rate = None

    def impute(self, X, batch=None):
        return self.rate


class Spy(Identity):
    def fit(self, X, batch=None):
        self.X_, self.batch_ = X.copy(), batch
        return self


def test_the_parts_add_up_and_are_independent_given_the_rates():
    X = sp.csr_matrix(np.random.default_rng(1).poisson(4.0, size=(300, 60)).astype(np.int32))
    before = X.copy()
    seen, kept_back = split_molecules(X, share=0.3, rng=np.random.default_rng(0))
    assert (before != X).nnz == 0
    assert (seen + kept_back != X).nnz == 0
    assert seen.data.min() > 0
    assert kept_back.data.min() > 0
    assert stats.binomtest(int(seen.sum()), int(X.sum()), 0.3).pvalue > 1e-4
    of_five = seen.toarray()[X.toarray() == 5]
    expected = stats.binom.pmf(np.arange(6), 5, 0.3) * of_five.size
    assert stats.chisquare(np.bincount(of_five, minlength=6), expected).pvalue > 1e-4
    one, other = seen.toarray().ravel(), kept_back.toarray().ravel()
    assert stats.pearsonr(one, other).pvalue > 1e-4  # Poisson counts with one rate
    assert stats.pearsonr(one, X.toarray().ravel()).statistic > 0.5


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_that_leaves_one_side_empty_is_refused(simulated, share):
    with pytest.raises(ValueError, match=rf"experiment\.axes\.share_seen={share} leaves nothing on one side"):
        denoising.evaluate(Identity(), simulated, PROTOCOL, SEEDS, share_seen=share)


def test_the_loss_is_scipys_and_the_floor_is_said():
    rng = np.random.default_rng(2)
    rate, observed = rng.gamma(1.0, size=(20, 7)), rng.poisson(1.0, size=(20, 7))
    expected = -sum(stats.poisson(rate[i, j]).logpmf(observed[i, j]) for i in range(20) for j in range(7)) / 140
    assert poisson_loss(observed=observed, expected=rate) == pytest.approx(expected, rel=1e-12)
    for nothing in (0.0, -3.0):  # PCA goes below zero
        worst = poisson_loss(observed=np.ones((1, 1)), expected=np.full((1, 1), nothing))
        assert worst == pytest.approx(SMALLEST_RATE - np.log(SMALLEST_RATE))


def test_the_squared_error_by_hand():
    observed, expected = np.array([[1, 3], [0, 0], [0, 2]]), np.array([[2.0, 2.0], [5.0, 5.0], [-1.0, 0.5]])
    by_hand = [
        (np.log1p(5000) - np.log1p(2500)) ** 2,
        (np.log1p(5000) - np.log1p(7500)) ** 2,
        0.0,  # of the cell without counts nothing, and less than nothing is nothing
        0.0,
    ]
    assert log_normalised_mse(observed=observed, expected=expected) == pytest.approx(np.mean(by_hand))
    np.testing.assert_allclose(log_normalised(observed)[1], 0)
    with pytest.raises(ValueError, match="No cell has counts among the molecules kept back"):
        log_normalised_mse(observed=np.zeros((2, 2)), expected=np.ones((2, 2)))


def test_the_squared_error_is_that_of_the_open_benchmark():
    """Its definition with scikit-learn's parts: L1 normalisation to 10,000, log1p, mean squared error."""
    from sklearn.metrics import mean_squared_error
    from sklearn.preprocessing import normalize

    rng = np.random.default_rng(3)
    observed, expected = rng.poisson(2.0, size=(30, 9)) + 1, rng.gamma(2.0, size=(30, 9))
    logs = [np.log1p(1e4 * normalize(values.astype(float), norm="l1")) for values in (observed, expected)]
    found = log_normalised_mse(observed=observed, expected=expected)
    assert found == pytest.approx(mean_squared_error(*logs), rel=1e-12)


def test_scores_are_those_of_the_molecules_that_the_method_has_not_seen(simulated):
    spy = Spy()
    scores, _, facts = denoising.evaluate(spy, simulated, PROTOCOL, SEEDS, share_seen=0.8)
    train, _ = train_test(simulated, PROTOCOL, SEEDS)
    assert facts["n_emptied_cells"] == 0
    kept_back = simulated.X[train].toarray() - spy.X_.toarray()
    assert kept_back.min() == 0
    assert kept_back.sum() / simulated.X[train].sum() == pytest.approx(0.2, abs=0.01)
    expected = np.maximum(spy.X_.toarray() / 4, 1e-6)
    assert scores["poisson_loss"] == pytest.approx(-stats.poisson.logpmf(kept_back, expected).mean(), rel=1e-12)
    assert facts["share_of_zeros_kept_back"] == pytest.approx((kept_back == 0).mean())


def test_the_true_rates_win_and_what_was_given_loses(simulated):
    train, _ = train_test(simulated, PROTOCOL, SEEDS)
    truth = Truth()
    truth.rate = simulated.layers["rate"][train] / 2
    found = {
        name: denoising.evaluate(method, simulated, PROTOCOL, SEEDS, share_seen=0.5)[0]
        for name, method in {"truth": truth, "given": Identity(), "mean": GeneMean(), "oracle": Oracle()}.items()
    }
    for score in denoising.SCORES:
        assert found["oracle"][score] < found["truth"][score] < min(found["given"][score], found["mean"][score])
    assert found["given"]["poisson_loss"] > found["mean"]["poisson_loss"]  # overfits what it has seen
    assert found["oracle"]["log_normalised_mse"] == 0


def test_with_a_tenth_kept_back_the_squared_error_is_fooled_and_the_loss_is_not(simulated):
    """Why half of the molecules are seen and not nine of ten, as in the open benchmark."""
    train, _ = train_test(simulated, PROTOCOL, SEEDS)
    truth = Truth()
    truth.rate = simulated.layers["rate"][train] * 0.9
    true = denoising.evaluate(truth, simulated, PROTOCOL, SEEDS, share_seen=0.9)[0]
    given = denoising.evaluate(Identity(), simulated, PROTOCOL, SEEDS, share_seen=0.9)[0]
    assert true["log_normalised_mse"] > given["log_normalised_mse"]
    assert true["poisson_loss"] < given["poisson_loss"]
    assert denoising.SCORES["log_normalised_mse"].better == ""


def test_all_methods_of_a_seed_see_the_same_molecules(simulated):
    def seen(method, seeds):
        return denoising.evaluate(method, simulated, PROTOCOL, seeds, share_seen=0.5)[2]["seen_sha256"]

    assert seen(GeneMean(), SEEDS) == seen(Oracle(), SEEDS) == seen(Identity(), SEEDS)
    assert seen(Identity(), Seeds(1, 9, 3)) != seen(Identity(), SEEDS)


def test_cells_of_which_nothing_is_seen_are_left_out_with_their_batch():
    X = np.zeros((80, 10), dtype=np.int32)
    X[np.arange(80), np.arange(80) % 10] = 1
    X[:40] += 2
    names = [f"cell{i}" for i in range(80)]
    obs = pd.DataFrame({"batch": pd.Categorical(np.arange(80) // 40)}, index=names)
    adata = ad.AnnData(sp.csr_matrix(X), obs=obs)
    spy = Spy()
    _, _, facts = denoising.evaluate(spy, adata, PROTOCOL, SEEDS, share_seen=0.5)
    assert 0 < facts["n_emptied_cells"] < 40
    assert spy.X_.shape[0] == facts["n_cells"] == 60 - facts["n_emptied_cells"] == len(spy.batch_)
    np.testing.assert_array_equal(np.asarray(spy.X_.sum(axis=1)).ravel() > 2, spy.batch_.astype(int) == 0)


@pytest.mark.slow
def test_table_and_figure_are_written(tmp_path, small_h5ad):
    kept = "methods=[gene_mean,identity,oracle,pca]"
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}", "seeds=[0]", "experiment.axes.share_seen=[0.5,0.9]"]
    done = command("+exp=denoising", kept, *own, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stem = written(tmp_path, "_jobs.csv").name.removesuffix("_jobs.csv")
    table = pd.read_csv(tmp_path / f"results/tables/{stem}.csv")
    assert set(table["score"]) == set(denoising.SCORES)
    assert (table["status"] == "done").all()
    assert table["published"].isna().all()
    for share in ("0.5", "0.9"):
        assert len(pd.read_csv(tmp_path / f"results/figures/{stem}_scores_{share}.csv")) == 8
