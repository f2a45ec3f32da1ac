"""The technical experiment, evaluated in this process on a planted model whose parameters are known."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.special import expit, gamma, gammaln, logit
from scipy.stats import linregress

from baselines.base import Method
from experiments import technical
from experiments.loop.job import Seeds

PROTOCOL = {
    "split": {"train": 0.75, "test": 0.25, "random_state": 0},
    "technical": {
        "cells": "all",
        "nb_zero": "nb",
        "n_of_correlation": "cells",
        "underflow": "kept",
        "left_out": [],
    },
}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def adata():
    """Three types, the first two of 60 cells, the last of 5; genome_not_gene rises with the column of gene 0."""
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.3, 3, size=30) * rng.gamma(5, 0.2, size=(125, 1))) + (np.arange(30) == 0)
    obs = pd.DataFrame({"label": pd.Categorical(["1"] * 60 + ["Other"] * 60 + ["tiny"] * 5)})
    obs["qc_mapped_reads"] = rng.random(125)
    obs["qc_genome_not_gene"] = X[:, 0] + 0.01 * rng.random(125)
    obs.index = obs.index.astype(str)
    return ad.AnnData(sp.csr_matrix(X.astype(np.int32)), obs=obs)


class Planted(Method):
    """Dropout rises with gene 0, the negative binomial zeros fall with the library size, theta is 2."""

    def fit(self, X, batch=None):
        self.n_ = X.shape[0]
        return self

    def dropout_probability(self, X, batch=None):
        return expit(0.1 * X[:, [0]].toarray() - 2 + np.zeros(X.shape))

    def nb_zero_probability(self, X, batch=None):
        size = np.asarray(X.sum(axis=1), dtype=float).reshape(-1, 1)
        return expit(0.1 * np.sin(size) - np.log(size) + np.zeros(X.shape))

    def inverse_dispersion(self):
        return np.full(30, 0.5)

    def library_size(self, X, batch=None):
        return 3 * np.asarray(X.sum(axis=1)).ravel() ** 0.5

    def normalized(self, X, batch=None):
        X = X.toarray()
        return X / X.sum(axis=1, keepdims=True)


def change(**values):
    return PROTOCOL | {"technical": PROTOCOL["technical"] | values}


def signed(x, y):
    """Of p as SciPy has it, which is a double."""
    found = linregress(x, y)
    return -np.sign(found.rvalue) * np.log10(found.pvalue)


def test_what_goes_together_is_found(adata):
    scores, arrays, facts = technical.evaluate(Planted(), adata, PROTOCOL, SEEDS)
    assert scores["bernoulli_genome_not_gene"] > 50
    assert scores["nb_library_size"] < -50
    assert abs(scores["bernoulli_mapped_reads"]) < 3
    assert "nb_reads_per_umi" not in scores  # the data do not have it
    assert scores["library_correlation"] == pytest.approx(1)
    assert list(arrays["groups"]) == ["1", "Other"]  # five cells are too few
    assert arrays["signed_log10_p"].shape == (2, 4, 2)
    assert (facts["shown"], facts["n_shown"]) == ("1", 60)
    assert facts["mean_umi"] == pytest.approx(adata.X[:60].sum() / 60)
    assert arrays["nb_share"].sum() == pytest.approx(1)


def test_correlations_are_the_median_over_subpopulations(adata):
    three = adata[:120].copy()
    three.obs["label"] = pd.Categorical(np.repeat(["1", "2", "3"], 40))
    scores, _, _ = technical.evaluate(Planted(), three, PROTOCOL, SEEDS)
    of_cell = logit(Planted().nb_zero_probability(three.X)).mean(axis=1)
    size = np.log(np.asarray(three.X.sum(axis=1)).ravel())
    of_type = [signed(of_cell[own], size[own]) for own in np.split(np.arange(120), 3)]
    assert scores["nb_library_size"] == pytest.approx(np.median(of_type), rel=1e-6)
    assert abs(np.median(of_type) - np.mean(of_type)) > 0.1


def test_the_logit_is_taken_before_the_mean_over_genes(adata):
    class Spread(Planted):
        def nb_zero_probability(self, X, batch=None):  # the mean of the logits follows gene 0, that of p does not
            spread = 1 + X[:, [0]].toarray()
            return expit(np.where(np.arange(30) % 2, spread, -0.5 * spread))

    _, arrays, _ = technical.evaluate(Spread(), adata, PROTOCOL, SEEDS)
    p, reads = Spread().nb_zero_probability(adata.X[:60]), adata.obs["qc_mapped_reads"][:60]
    expected = signed(logit(p).mean(axis=1), reads)
    assert arrays["signed_log10_p"][0, list(arrays["quality"]).index("mapped_reads"), 1] == pytest.approx(expected)
    assert abs(signed(logit(p.mean(axis=1)), reads) - expected) > 1e-3


def test_p_values_below_the_smallest_double_are_dropped_where_the_protocol_says_so():
    rng = np.random.default_rng(0)
    X = rng.poisson(5.0, size=(3000, 30)).astype(np.int32)
    obs = pd.DataFrame({"qc_mapped_reads": X[:, 0] + 0.01 * rng.random(3000)}, index=np.arange(3000).astype(str))
    adata = ad.AnnData(sp.csr_matrix(X), obs=obs)
    kept, _, _ = technical.evaluate(Planted(), adata, PROTOCOL, SEEDS)
    assert kept["bernoulli_mapped_reads"] > -np.log10(5e-324)
    dropped, _, _ = technical.evaluate(Planted(), adata, change(underflow="dropped"), SEEDS)
    assert "bernoulli_mapped_reads" not in dropped


def test_the_gaps_are_those_of_the_zeros_of_rare_genes(adata):
    scores, _, _ = technical.evaluate(Planted(), adata, PROTOCOL, SEEDS)
    counts = adata.X[:60].toarray()
    frequency, zeros = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0), (counts == 0).mean(axis=0)
    rare = (frequency < 0.03) & (zeros > 0)  # Fig 6b
    assert 0 < rare.sum() < 30
    drawn = counts.sum(axis=1).mean()
    binomial = (1 - frequency) ** drawn
    others = 10_000 * (1 - frequency)  # molecules of other genes: a cell of Fig 6b has 10,000
    log_p = gammaln(others + 1) - gammaln(others - drawn + 1) + gammaln(10_001 - drawn) - gammaln(10_001)
    assert scores["binomial_gap"] == pytest.approx(np.abs(zeros - binomial)[rare].mean())
    assert scores["hypergeometric_gap"] == pytest.approx(np.abs(zeros - np.exp(log_p))[rare].mean())


def test_the_share_of_the_negative_binomial_is_counted_over_the_entries(adata):
    planted = Planted().fit(adata.X)
    nb, bernoulli = planted.nb_zero_probability(adata.X[:60]), planted.dropout_probability(adata.X[:60])
    share = nb / (nb + bernoulli - nb * bernoulli)
    scores, arrays, _ = technical.evaluate(Planted(), adata, PROTOCOL, SEEDS)
    assert scores["nb_explains"] == pytest.approx((share > 0.9).mean())
    assert arrays["nb_share"][2] == pytest.approx(((share >= 0.2) & (share < 0.3)).mean())


def test_the_authors_zero_probability_has_their_slip(adata):
    _, arrays, _ = technical.evaluate(Planted(), adata, change(nb_zero="authors"), SEEDS)
    planted = Planted()
    nb, bernoulli = planted.nb_zero_probability(adata.X[:60]), planted.dropout_probability(adata.X[:60])
    np.testing.assert_allclose(arrays["cell_nb"], ((1 - bernoulli) * nb / gamma(0.5)).mean(axis=1))


def test_probabilities_are_brought_inside_the_open_interval():
    p = technical._open_interval(np.array([[0.0, 0.2], [1.3, 0.9]], dtype=np.float32))
    np.testing.assert_allclose(p, [[0.2, 0.2], [0.9, 0.9]], rtol=1e-6)
    assert np.isfinite(logit(p)).all()


def test_the_authors_choices_of_cells(adata):
    train = change(cells="train")
    assert technical.evaluate(Planted(), adata, train, SEEDS)[2]["n_cells"] == 93
    _, arrays, _ = technical.evaluate(Planted(), adata, change(left_out=["Other"]), SEEDS)
    assert list(arrays["groups"]) == ["1"]
    own = technical.evaluate(Planted(), adata, train, SEEDS)[0]["nb_library_size"]
    whole = change(cells="train", n_of_correlation="label")
    assert technical.evaluate(Planted(), adata, whole, SEEDS)[0]["nb_library_size"] < own < 0


def test_data_without_labels_are_one_subpopulation(adata):
    bare = ad.AnnData(adata.X)
    scores, arrays, facts = technical.evaluate(Planted(), bare, PROTOCOL, SEEDS)
    assert (facts["n_groups"], facts["shown"], facts["n_shown"]) == (1, "all cells", 125)
    assert set(arrays["quality"]) == {"gene_detection", "library_size"}
    assert "bernoulli_mapped_reads" not in scores
