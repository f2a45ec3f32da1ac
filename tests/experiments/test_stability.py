"""The stability experiment: dimensions, looks during training, curves; on spies and on a short training of scVI."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tidy import assert_tidy

from baselines.base import Method
from baselines.controls import GeneMean
from experiments import stability
from experiments.figures import stability as drawing
from experiments.loop.job import Seeds
from experiments.metrics.imputation import median_l1
from experiments.report import table
from experiments.scores import published as addresses
from experiments.tasks.hidden import hide
from experiments.tasks.split import train_test
from scvi_core import SCVI

PROTOCOL = {
    "split": {"train": 0.75, "test": 0.25, "random_state": None},
    "corruption": {"uniform": {"fraction": 0.1, "zero_probability": 0.9}},
    "imputation": {"scored": "changed"},
    "scvi": {"library_cells": "fitted"},
}
SEEDS = Seeds(1, 2, 3)
QUICK = {"n_latent": 3, "n_hidden": 8, "n_epochs": 6, "batch_size": 32, "kl_warmup_epochs": 4, "engine": "plain"}


@pytest.fixture(scope="module")
def adata():
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=120)
    X = rng.poisson(np.where(kind[:, None] == np.arange(20) % 2, 6.0, 2.0)).astype(np.int32)
    obs = pd.DataFrame({"label": pd.Categorical(kind.astype(str))}, index=[f"cell{i}" for i in range(120)])
    return ad.AnnData(sp.csr_matrix(X), obs=obs)


class Spy(Method):
    """Imputes its dimension; its latent space tells the two kinds apart."""

    fits = 0

    def __init__(self, n_latent=3):
        self.n_latent = n_latent

    def fit(self, X, batch=None):
        Spy.fits += 1
        return self

    def impute(self, X, batch=None):
        return np.full(X.shape, float(self.n_latent))

    def latent(self, X, batch=None):
        return X.toarray()[:, :2]


def test_the_dimension_is_that_of_the_axis_and_the_same_entries_are_hidden(adata):
    hashes = set()
    for n_latent in (2, 5):
        Spy.fits = 0
        scores, arrays, facts = stability.evaluate(
            Spy(), adata, PROTOCOL, SEEDS._replace(corruption=n_latent), n_latent=n_latent
        )
        hidden = hide(adata, PROTOCOL, SEEDS._replace(corruption=SEEDS.split), "uniform").original
        assert scores["median_l1"] == median_l1(original=hidden, imputed=np.full(hidden.size, n_latent))
        assert scores["ari"] > 0.5
        assert set(scores) == {"median_l1", "asw", "ari", "nmi"}
        assert arrays == {}
        assert Spy.fits == 2  # to the corrupted cells and to the cells as they are
        hashes.add(facts["corrupted_sha256"])
    assert len(hashes) == 1  # although the seed of the corruption follows the axis


def test_a_method_without_latent_space_or_dimension_is_scored_by_imputation_alone(adata):
    scores, arrays, _ = stability.evaluate(GeneMean(), adata, PROTOCOL, SEEDS, n_latent=2)
    assert set(scores) == {"median_l1"}
    assert arrays == {}


def test_cells_of_one_type_are_scored_by_imputation_alone(adata):
    adata = adata.copy()
    adata.obs["label"] = pd.Categorical(["one"] * 120)
    scores, _, _ = stability.evaluate(Spy(), adata, PROTOCOL, SEEDS, n_latent=2)
    assert set(scores) == {"median_l1"}


def test_training_is_watched_at_the_methods_own_dimension_and_not_changed_by_it(adata):
    scores, arrays, _ = stability.evaluate(SCVI(**QUICK), adata, PROTOCOL, SEEDS, n_latent=3)
    assert list(arrays["epochs"]) == [1, 2, 3, 4, 5, 6]
    assert arrays["training"].shape == arrays["heldout"].shape == (6,)
    train, test = train_test(adata, PROTOCOL, SEEDS)
    unwatched = SCVI(**QUICK).fit(adata.X[train])
    np.testing.assert_allclose(arrays["training"], unwatched.history_["loss"], rtol=1e-6)
    assert arrays["heldout"][-1] == pytest.approx(-unwatched.loglik(adata.X[test]).mean(), rel=0.03)
    assert scores["heldout_objective"] == arrays["heldout"][-1]
    assert scores["training_objective"] == arrays["training"][-1]
    # stopping to look leaves the result that training in one go has
    task = hide(adata, PROTOCOL, SEEDS._replace(corruption=SEEDS.split), "uniform")
    whole = SCVI(**QUICK).fit(task.X_corrupted)
    expected = median_l1(original=task.original, imputed=task.imputed_by(whole))
    assert scores["median_l1"] == arrays["median_l1"][-1] == pytest.approx(expected, rel=1e-5)
    other, nothing, _ = stability.evaluate(SCVI(**QUICK), adata, PROTOCOL, SEEDS, n_latent=2)
    assert nothing == {}
    assert set(other) == {"median_l1", "asw", "ari", "nmi"}


def test_held_out_is_of_the_test_cells(adata):
    seen = {}

    class Watched(Spy):
        def __init__(self, n_latent=3, n_epochs=2, warm_start=False, early_stopping=None, patience=3):
            self.n_latent, self.n_epochs, self.warm_start = n_latent, n_epochs, warm_start
            self.early_stopping, self.patience = early_stopping, patience

        def fit(self, X, batch=None, validation=None):
            if validation is not None:
                seen["train"], seen["test"] = X, validation[0]
            self.history_ = pd.DataFrame({"loss": [2.0, 1.0], "validation_loss": [4.0, 3.0]})
            return self

    scores, _, _ = stability.evaluate(Watched(), adata, PROTOCOL, SEEDS, n_latent=3)
    train, test = train_test(adata, PROTOCOL, SEEDS)
    np.testing.assert_array_equal(seen["train"].toarray(), adata.X[train].toarray())
    np.testing.assert_array_equal(seen["test"].toarray(), adata.X[test].toarray())
    assert (scores["training_objective"], scores["heldout_objective"]) == (1.0, 3.0)


def test_figures_are_tidy_and_draw_the_published_points():
    rng, records = np.random.default_rng(0), []
    for label, role in (("scVI", "method"), ("FA", "method"), ("gene mean", "control")):
        for n_latent in (2, 5, 10, 20):
            for seed in (0, 1, 2):
                arrays = {}
                if label == "scVI" and n_latent == 10:
                    falling = 1200 + 100 / np.arange(1, 31) + seed
                    arrays = {"training": falling, "heldout": falling - 5, "epochs": np.array([1, 5, 30]),
                              "median_l1": np.array([2.0, 1.3, 1.1])}  # fmt: skip
                records.append({"experiment": "stability", "dataset": "cortex", "protocol": "as_run", "method": label,
                                "label": label, "role": role, "seed": seed, "key": "", "n_latent": n_latent,
                                "status": "done", "reason": "", "arrays": arrays, "n_cells": 2253,
                                **dict.fromkeys(("median_l1", "asw", "ari", "nmi"), rng.random())})  # fmt: skip
    records = pd.DataFrame(records)
    summary = table.summarise(records, ["n_latent"], addresses(stability.SCORES, records), "CORTEX")
    figures = drawing.figure(summary, records)
    for figure in figures.values():
        assert_tidy(figure)
        assert figure.alt
    data = figures["dimension"].data.set_index(["panel", "line", "x"])
    assert data.loc[("asw", "scVI", 2), "published"] == 0.142  # Fig 14d
    assert data.loc[("asw", "scVI", 10), "published"] == 0.289
    assert data.loc[("asw", "FA", 10), "published"] != data.loc[("asw", "FA", 10), "published"]
    course = figures["training"].data
    assert course["x"].min() == 2
    held = course[(course["line"] == "scVI, held-out cells") & (course["x"] == 2)].iloc[0]
    assert (held["y"], held["low"], held["high"]) == (1246, 1245, 1247)
