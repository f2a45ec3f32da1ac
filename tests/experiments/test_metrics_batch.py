"""Batch mixing against brute force and closed forms."""

import numpy as np
import pytest

from experiments.metrics.batch import batch_entropy
from experiments.metrics.integration import nearest


def by_hand(latent, batch, n_neighbors):
    """Entropy of every cell's neighbourhood, one cell at a time."""
    of_cell = []
    for i, cell in enumerate(latent):
        distance = ((latent - cell) ** 2).sum(axis=1)
        distance[i] = np.inf
        near = batch[np.argsort(distance)[:n_neighbors]]
        share = np.array([np.mean(near == b) for b in np.unique(batch)])
        share = share[share > 0]
        of_cell.append(-(share * np.log(share)).sum())
    return np.array(of_cell)


@pytest.mark.parametrize("n_batches", [2, 3])
def test_equals_brute_force_on_the_same_draws(n_batches):
    rng = np.random.default_rng(0)
    batch = rng.integers(n_batches, size=120)
    latent = rng.normal(size=(120, 3)) + 0.7 * batch[:, None]
    expected = by_hand(latent, batch, 50)[np.random.default_rng(5).integers(120, size=(3, 40))].mean()
    names = np.array(["b", "a", "c"])[batch]
    found = batch_entropy(
        neighbours=nearest(latent, 50), batch=names, n_draws=3, n_cells=40, rng=np.random.default_rng(5)
    )
    assert found == pytest.approx(expected, rel=1e-12)


def test_many_draws_come_to_the_mean_over_cells():
    rng = np.random.default_rng(1)
    batch = np.arange(200) % 2
    latent = rng.normal(size=(200, 2)) + batch[:, None]
    found = batch_entropy(neighbours=nearest(latent, 50), batch=batch, n_draws=400, rng=rng)
    assert found == pytest.approx(by_hand(latent, batch, 50).mean(), abs=0.01)


def test_mixed_batches_reach_the_entropy_of_their_sizes_in_nats_and_separate_ones_none():
    rng = np.random.default_rng(2)
    batch = np.r_[np.zeros(4000), np.ones(2000)].astype(int)
    latent = rng.normal(size=(6000, 2))
    mixed = batch_entropy(neighbours=nearest(latent, 50), batch=batch, n_draws=20, rng=rng)
    assert mixed == pytest.approx(np.log(3) - 2 / 3 * np.log(2), abs=0.02)  # 0.637: what PBMC's batches allow
    apart = batch_entropy(neighbours=nearest(latent + 100 * batch[:, None], 50), batch=batch, n_draws=20, rng=rng)
    assert apart == 0


def test_a_cell_is_not_its_own_neighbour():
    """Each cell of one batch sits alone among 50 of the other: only without itself is every neighbourhood pure."""
    batch = np.r_[1, np.zeros(50)].astype(int)
    latent = np.r_[[[0.0, 0.0]], np.random.default_rng(0).normal(size=(50, 2))]
    of_cell = by_hand(latent, batch, 50)
    assert of_cell[0] == 0
    found = batch_entropy(neighbours=nearest(latent, 50), batch=batch, n_draws=2000, rng=np.random.default_rng(0))
    assert found == pytest.approx(of_cell.mean(), abs=3e-4)


def test_a_hundred_cells_are_drawn_where_no_number_is_given():
    """T = 100 in section 4.7."""
    latent, batch = np.random.default_rng(0).normal(size=(80, 2)), np.arange(80) % 2
    one, other = (np.random.default_rng(1) for _ in range(2))
    found = batch_entropy(neighbours=nearest(latent, 50), batch=batch, n_draws=1, rng=one)
    assert found == batch_entropy(neighbours=nearest(latent, 50), batch=batch, n_draws=1, n_cells=100, rng=other)


def test_too_few_cells_are_said():
    with pytest.raises(ValueError, match="50 neighbours needs more cells than 50"):
        nearest(np.zeros((50, 2)), 50)
