"""Annotations of simulated data: the slots of the real loaders, and agreement with the truth they come from."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import silhouette_score

from datasets import cortex, pbmc, presets, simulated
from datasets.base import check_dataset
from datasets.embedded import make_standins
from datasets.simulated import CELLS_PER_BLOCK, Simulation

SETTINGS = {"n_cells": 1100, "n_genes": 150}


@pytest.fixture(scope="module")
def adata():
    return check_dataset(simulated.load(**SETTINGS))


@pytest.fixture(scope="module")
def simulation():
    return Simulation(**SETTINGS)


def test_the_preset_has_every_slot_at_any_size():
    adata = presets.load("simulated", n_cells=600, n_genes=200)
    assert adata.shape == (600, 200)
    assert adata.obs["label"].nunique() == 8
    assert adata.obs["batch"].nunique() == 2
    assert {*cortex.HIERARCHY} <= {*adata.obs}
    assert {*pbmc.COMPARISONS} == {*adata.uns["comparisons"]}
    assert adata.obsm["protein"].shape == (600, len(adata.uns["proteins"]))


def test_the_counts_are_those_without_annotations(adata, simulation):
    np.testing.assert_array_equal(adata.X[:CELLS_PER_BLOCK].toarray(), simulation.block(0)["counts"])


def test_the_same_seed_gives_the_same_annotations(adata):
    again, other = simulated.load(workers=2, **SETTINGS), simulated.load(seed=1, **SETTINGS)
    pd.testing.assert_frame_equal(again.obs, adata.obs)
    pd.testing.assert_frame_equal(again.var, adata.var)
    np.testing.assert_array_equal(again.obsm["protein"], adata.obsm["protein"])
    assert not np.array_equal(other.obsm["protein"], adata.obsm["protein"])
    assert not np.array_equal(other.var["CD_t"], adata.var["CD_t"])


def test_proteins_tell_the_clusters_apart(adata):
    counts, clr = adata.obsm["protein_counts"], adata.obsm["protein_clr"]
    assert (counts >= 0).all()
    assert (counts == np.rint(counts)).all()
    expected = np.log1p(counts) - np.log1p(counts).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(clr, expected)
    np.testing.assert_array_equal(adata.obsm["protein"], clr)
    shuffled = np.random.default_rng(0).permutation(adata.obs["label"])
    assert silhouette_score(clr, adata.obs["label"]) > 0.1 > abs(silhouette_score(clr, shuffled)) + 0.05
    label = adata.obs["label"].to_numpy()
    groups = [[clr[label == level, protein] for level in np.unique(label)] for protein in range(clr.shape[1])]
    assert max(stats.f_oneway(*group).pvalue for group in groups) < 1e-6


def test_quality_metrics_are_of_the_counts_and_of_nothing_else(adata):
    total = np.asarray(adata.X.sum(axis=1)).ravel()
    qc = adata.obs.filter(like="qc_")
    np.testing.assert_array_equal(qc["qc_num_umi"], total)
    np.testing.assert_allclose(qc["qc_mean_reads_per_umi"], qc["qc_num_reads"] / total)
    np.testing.assert_allclose(qc[["qc_mapped_reads", "qc_genome_not_gene", "qc_unmapped_reads"]].sum(axis=1), 1)
    assert stats.spearmanr(qc["qc_num_reads"], total).statistic > 0.95
    for name in qc.columns.drop(["qc_num_umi", "qc_num_reads"]):
        assert stats.spearmanr(qc[name], total).pvalue > 1e-3, name


def test_blocks_have_annotations_of_their_own(adata):
    first, second = slice(0, CELLS_PER_BLOCK), slice(CELLS_PER_BLOCK, 2 * CELLS_PER_BLOCK)
    staining = np.log1p(adata.obsm["protein_counts"]).mean(axis=1)
    for values in (staining, adata.obs["qc_mapped_reads"].to_numpy(), adata.obs["qc_umi_corrected"].to_numpy()):
        assert abs(np.corrcoef(values[first], values[second])[0, 1]) < 0.2


def test_the_quality_metrics_are_named_as_in_the_authors_tables(adata):
    stand_in = make_standins.CUTS["pbmc"][1]["obs_columns"]  # names of molecule_qc_4k.txt
    assert {*adata.obs.filter(like="qc_")} == {*stand_in}


def test_the_spread_of_reads_is_that_of_poisson_variables(adata):
    qc = adata.obs
    implied = np.sqrt(qc["qc_mean_reads_per_umi"] - 1)  # the first read of a molecule is certain, the others Poisson
    ratio = qc["qc_std_reads_per_umi"] / implied
    assert ratio.mean() == pytest.approx(1, abs=0.01)


def step_up(p):
    """Benjamini and Hochberg's adjusted p-values, one at a time from their definition."""
    return [min(1, *(len(p) * q / (p <= q).sum() for q in p[p >= own])) for own in p]


def test_bulk_references_rest_on_the_true_frequencies(adata, simulation):
    """Unbiased for the difference of the log frequencies that a cell at the centre of each cluster has."""
    truth = simulation.genes()
    logit = truth["baseline"] + truth["centres"] @ truth["loadings"]
    rho = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    standard_error = 0.5 * np.sqrt(2 / 5)
    for name, (first, second) in adata.uns["comparisons"].items():
        a, b = (int(label.removeprefix("cluster_")) for label in (first, second))
        error = adata.var[f"{name}_logFC"] - np.log2(rho[a] / rho[b])
        assert abs(error.mean()) < 4 * standard_error / np.sqrt(len(error))
        assert error.std() == pytest.approx(standard_error, rel=0.2)
        p = 2 * stats.t.sf(np.abs(adata.var[f"{name}_t"]), df=8)
        np.testing.assert_allclose(adata.var[f"{name}_P.Value"], p)
        np.testing.assert_array_equal(np.sign(adata.var[f"{name}_t"]), np.sign(adata.var[f"{name}_logFC"]))
        np.testing.assert_allclose(adata.var[f"{name}_adj.P.Val"], step_up(p))
        found = (adata.var[f"{name}_adj.P.Val"] < 0.05).sum()
        assert 5 < found < adata.n_vars
    assert adata.uns["comparisons"]["BDC"] == adata.uns["comparisons"]["BDC2"]
    assert not np.array_equal(adata.var["BDC_t"], adata.var["BDC2_t"])


def test_single_cells_agree_with_the_bulk_references(adata):
    first, second = (adata.X[(adata.obs["label"] == label).to_numpy()] for label in adata.uns["comparisons"]["BDC"])
    shares = [np.asarray(part.sum(axis=0)).ravel() + 1 for part in (first, second)]
    log_ratio = np.log2(shares[0] / shares[0].sum()) - np.log2(shares[1] / shares[1].sum())
    assert stats.spearmanr(log_ratio, adata.var["BDC_logFC"]).statistic > 0.7


def test_the_hierarchy_is_one(adata, simulation):
    for size in (4, 3, 2):
        assert adata.obs[f"label_{size}"].nunique() == size
    for finer, coarser in (("label", "label_4"), ("label_4", "label_3"), ("label_3", "label_2")):
        assert (adata.obs.groupby(finer, observed=True)[coarser].nunique() == 1).all()
    centres = simulation.genes()["centres"]
    closest = [int(label.removeprefix("cluster_")) for label in adata.uns["comparisons"]["CD"]]
    distances = stats.rankdata(np.linalg.norm(centres[:, None] - centres[None], axis=-1)[np.triu_indices(8, 1)])
    assert distances[[*zip(*np.triu_indices(8, 1), strict=True)].index(tuple(closest))] == 1
    assert adata.obs.loc[adata.obs["label"].isin([f"cluster_{k}" for k in closest]), "label_4"].nunique() == 1


def test_the_contrast_lies_between_the_two_farthest_clusters(adata):
    first, second = adata.uns["comparisons"]["BDC"]
    mean = adata.obs.groupby("label", observed=True)["fate_contrast"].mean()
    assert mean[first] == mean.max() > 0 > mean.min() == mean[second]
    assert adata.obs["fate_contrast"].nunique() == adata.n_obs


@pytest.mark.parametrize(("n_clusters", "cuts"), [(1, []), (2, []), (3, ["label_2"]), (4, ["label_3", "label_2"])])
def test_few_clusters_have_few_cuts(n_clusters, cuts):
    adata = check_dataset(simulated.load(n_cells=60, n_genes=30, n_clusters=n_clusters))
    assert [name for name in adata.obs if name.startswith("label_")] == cuts
    assert bool(adata.uns["comparisons"]) == (n_clusters > 1)
