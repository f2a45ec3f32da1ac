"""PCA of log-normalised counts against scanpy (tests/golden/scanpy_rows.npz) and its definition."""

from pathlib import Path

import numpy as np
import pytest

from baselines.log_pca import LogNormalPCA

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "scanpy_rows.npz")
COUNTS = GOLDEN["counts"]


@pytest.mark.parametrize(("case", "target"), [("pca", None), ("pca_1e4", 1e4)])
def test_equals_scanpy_up_to_signs(case, target):
    ours, theirs = LogNormalPCA(n_latent=5, target=target).fit(COUNTS).latent(COUNTS), GOLDEN[case]
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours * signs, theirs, atol=2e-5)


def test_imputes_by_the_way_it_came():
    """With scanpy's values and loadings: mean + scores × loadings, exp less one, times the size factor of the cell."""
    Y, loadings = GOLDEN["log_normalised"], GOLDEN["loadings"]
    reconstruction = Y.mean(axis=0) + (Y - Y.mean(axis=0)) @ loadings @ loadings.T
    library = COUNTS.sum(axis=1, keepdims=True)
    expected = np.maximum(np.exp(reconstruction) - 1, 0) * library / np.median(library)
    np.testing.assert_allclose(LogNormalPCA(n_latent=5).fit(COUNTS).impute(COUNTS), expected, rtol=1e-5, atol=1e-5)


def test_all_components_give_the_counts_back():
    counts = COUNTS[:, :20]
    imputed = LogNormalPCA(n_latent=20).fit(counts).impute(counts)
    np.testing.assert_allclose(imputed, counts, atol=1e-9)


def test_other_cells_are_divided_by_the_median_of_the_fitted_ones():
    """So a cell has the same place whoever is asked about beside it, and half its depth alone moves it little."""
    method = LogNormalPCA(n_latent=5).fit(COUNTS[:100])
    assert method.target_ == np.median(COUNTS[:100].sum(axis=1))
    np.testing.assert_allclose(method.latent(COUNTS[100:]), method.latent(COUNTS)[100:], atol=1e-10)
    np.testing.assert_allclose(method.latent(3 * COUNTS), method.latent(COUNTS), atol=1e-10)  # depth leaves no trace
    np.testing.assert_allclose(method.impute(3 * COUNTS), 3 * method.impute(COUNTS), atol=1e-9)


def test_a_target_that_is_no_number_of_counts_is_refused():
    with pytest.raises(ValueError, match="target=0: choose a positive number of counts, or null for the median"):
        LogNormalPCA(target=0).fit(COUNTS)
