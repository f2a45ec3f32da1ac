"""Latent spaces laid out in the plane."""

import numpy as np
import pytest
from sklearn.manifold import TSNE, trustworthiness

from experiments.tasks.latent import plane


def test_the_plane_is_scikit_learns_tsne_of_the_seed():
    latent = np.random.default_rng(0).normal(size=(100, 3)) + 20 * np.eye(3)[np.arange(100) % 3]
    found = plane(latent, 7)
    np.testing.assert_allclose(found, TSNE(perplexity=30, random_state=7).fit_transform(latent), rtol=1e-5)
    assert trustworthiness(latent, found) > 0.9


@pytest.mark.parametrize("n_cells", [4, 40])
def test_few_cells_get_a_smaller_perplexity(n_cells):
    found = plane(np.random.default_rng(0).normal(size=(n_cells, 3)), 0)
    assert found.shape == (n_cells, 2)
    assert np.isfinite(found).all()
