"""Simulated and random counts: determinism, and agreement with what they were drawn from."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from datasets import presets, random_zinb, simulated
from datasets.base import InvalidDataset, check_dataset, content_hash
from datasets.simulated import CELLS_PER_BLOCK, Simulation

SMALL = {"n_cells": 1100, "n_genes": 40, "density": 0.3}


def test_the_same_seed_gives_the_same_counts_with_any_number_of_threads():
    first = check_dataset(simulated.load(workers=1, **SMALL))
    assert content_hash(simulated.load(workers=3, **SMALL)) == content_hash(first)
    assert content_hash(simulated.load(seed=1, **SMALL)) != content_hash(first)


def test_blocks_differ():
    first, second = (Simulation(**SMALL).block(index) for index in (0, 1))
    assert not np.array_equal(first["counts"], second["counts"])
    assert abs(np.corrcoef(first["library"], second["library"])[0, 1]) < 0.2


def test_on_disk_it_is_the_same(tmp_path):
    on_disk = check_dataset(simulated.load(on_disk=True, data_dir=tmp_path, **SMALL))
    in_memory = simulated.load(**SMALL)
    del in_memory.obsm
    in_memory.obs = in_memory.obs[["label", "batch", "library_size", "label_4", "label_3", "label_2"]]
    assert content_hash(on_disk) == content_hash(in_memory)
    for key in ("comparisons", "simulation", "source"):
        assert on_disk.uns[key] == in_memory.uns[key]


def test_a_larger_one_begins_with_the_smaller_one():
    short = simulated.load(**SMALL | {"n_cells": CELLS_PER_BLOCK})
    np.testing.assert_array_equal(short.X.toarray(), simulated.load(**SMALL).X[:CELLS_PER_BLOCK].toarray())


@pytest.mark.parametrize("density", [0.05, 0.3, 0.6])
def test_the_density_is_the_one_asked_for(density):
    X = simulated.load(n_cells=3000, n_genes=200, density=density).X
    assert X.nnz / np.prod(X.shape) == pytest.approx(density, abs=0.015)


def test_the_truth_belongs_to_the_counts():
    adata = simulated.load(**SMALL)
    cells = Simulation(**SMALL).block(1)
    rows = slice(CELLS_PER_BLOCK, 2 * CELLS_PER_BLOCK)
    np.testing.assert_array_equal(adata.X[rows].toarray(), cells["counts"])
    np.testing.assert_array_equal(adata.obs["library_size"][rows], cells["library"])
    np.testing.assert_array_equal(adata.obs["label"][rows], [f"cluster_{k}" for k in cells["cluster"]])
    np.testing.assert_allclose(cells["rho"].sum(axis=1), 1)


def test_counts_are_zinb_with_the_true_parameters():
    """The randomised probability integral transform of ZINB counts under their own distribution is uniform."""
    simulation = Simulation(n_cells=CELLS_PER_BLOCK, n_genes=60, density=0.4, dropout=0.3)
    parameters, cells = simulation.genes(), simulation.block(0)
    mean = cells["library"][:, None] * cells["rho"]
    theta, pi, x = parameters["theta"], cells["dropout"], cells["counts"]

    def cdf(k):
        inside = np.where(k < 0, 0, stats.nbinom.cdf(k, theta, theta / (theta + mean)))
        return np.where(k < 0, 0, pi + (1 - pi) * inside)

    u = cdf(x - 1) + np.random.default_rng(0).random(x.shape) * (cdf(x) - cdf(x - 1))
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.001
    wrong = stats.nbinom.cdf(x, theta, theta / (theta + mean))  # without the inflation the same test does fail
    assert stats.kstest(wrong.ravel(), "uniform").pvalue < 1e-6


def test_clusters_batches_and_libraries_can_be_seen():
    adata = simulated.load(n_cells=2000, n_genes=300, density=0.4)
    total = np.asarray(adata.X.sum(axis=1)).ravel()
    assert np.corrcoef(np.log(total), np.log(adata.obs["library_size"]))[0, 1] > 0.85  # dropout blurs it
    share = adata.X.toarray() / total[:, None]
    spread = {key: share.T @ _indicators(adata.obs[key]) for key in ("label", "batch")}
    assert all(np.abs(means - means.mean(axis=1, keepdims=True)).sum() > 0.1 for means in spread.values())
    assert adata.obs["label"].nunique() == 8


def _indicators(labels):
    wide = np.array([labels == level for level in labels.cat.categories], dtype=float)
    return (wide / wide.sum(axis=1, keepdims=True)).T


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"density": 0.95, "dropout": 0.5}, "A density of 0.95 cannot be had with dropout 0.5"),
        ({"density": 1.5}, "density must lie between 0 and 1"),
        ({"n_clusters": 0}, "n_clusters=0 is asked for"),
        ({"density": 0.0005, "n_genes": 10, "n_cells": 600}, "Cells stay empty"),
    ],
)
def test_what_cannot_be_drawn_is_said(settings, message):
    with pytest.raises(InvalidDataset, match=message):
        simulated.load(**SMALL | settings)


def test_the_random_data_are_the_authors():
    adata = check_dataset(random_zinb.load(expect={"cells": 1897}))
    assert adata.shape == (1897, 10)
    counts = adata.X.toarray()
    # Over all 2,000 drawn cells, the removed ones all zeros: NB(mean 4, theta 2) kept with probability 0.3.
    assert counts.sum() / 20_000 == pytest.approx(0.3 * 4, rel=0.03)
    zeros = 1 - (counts > 0).sum() / 20_000
    assert zeros == pytest.approx(0.7 + 0.3 * stats.nbinom.pmf(0, 2, 1 / 3), abs=0.01)
    assert random_zinb.load(seed=1).n_obs != 1897


def test_the_random_data_meet_the_authors_metadata(tmp_path, raw):
    file = presets.preset("random_zinb")["files"]["metadata"]
    data = os.environ.get("SCVI_REPRO_DATA", "/nowhere")
    if not (Path(data) / "raw" / file["name"]).exists():
        pytest.skip("random_metadata.pickle is not in $SCVI_REPRO_DATA/raw")
    adata = random_zinb.load(data_dir=data, files={"metadata": file})
    assert adata.obs["simlr_cluster"].nunique() == 11
    assert adata.obsm["simlr"].shape == (1897, 2)

    def separation(cluster):
        """The largest F of the ten genes between the clusters that SIMLR found in the authors' counts."""
        logged = np.log1p(adata.X.toarray())
        return stats.f_oneway(*[logged[cluster == level] for level in np.unique(cluster)]).statistic.max()

    cluster = adata.obs["simlr_cluster"].to_numpy()
    assert separation(cluster) > 100  # the same cells in the same order: one row off, and nothing is left of it
    assert separation(np.roll(cluster, 1)) < 10
    raw.old_pickle(tmp_path / file["name"], {"clusters": np.arange(5), "ydata": np.zeros((5, 2))})
    with pytest.raises(InvalidDataset, match="describes 5 cells, not the 1897"):
        random_zinb.load(data_dir=tmp_path, files={"metadata": {**file, "sha256": None}})
