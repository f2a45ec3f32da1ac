"""The order of the cells that are read from disk."""

import numpy as np
import pytest
import torch

from scvi_core.data.minibatch import in_blocks


def minibatches(*arguments, **sizes):
    return [rows for buffer in in_blocks(*arguments, **sizes) for rows in buffer]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n_cells", [2, 127, 128, 129, 130, 257, 1025])
@pytest.mark.parametrize(("block_size", "buffer_size"), [(1, 1), (16, 64), (100, 250), (100, 10), (256, 65_536)])
def test_every_cell_once_and_none_alone(n_cells, block_size, buffer_size):
    sizes = {"block_size": block_size, "buffer_size": buffer_size}
    batches = minibatches(n_cells, 128, seeded(), **sizes)
    assert sorted(torch.cat(batches).tolist()) == list(range(n_cells))
    assert all(len(rows) == 128 for rows in batches[:-1])
    assert 2 <= len(batches[-1]) <= 129
    again = minibatches(n_cells, 128, seeded(), **sizes)
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))
    if n_cells > 128:  # two seeds
        assert not torch.equal(torch.cat(batches), torch.cat(minibatches(n_cells, 128, seeded(1), **sizes)))


def test_a_minibatch_has_cells_from_all_over():
    """With 64 of 384 blocks in the buffer, 128 cells come from as many of them as independent draws do."""
    n_blocks, block_size, buffer = 384, 50, 64
    batches = minibatches(n_blocks * block_size, 128, seeded(), block_size=block_size, buffer_size=50 * buffer)
    blocks = [len(set((rows // block_size).tolist())) for rows in batches]
    expected = buffer * (1 - (1 - 1 / buffer) ** 128)
    assert np.mean(blocks) == pytest.approx(expected, rel=0.03)
    apart = torch.cat(batches).diff().abs().double().mean().item()
    assert apart == pytest.approx(n_blocks * block_size / 3, rel=0.1)  # of two uniform draws


def test_a_buffer_holds_few_blocks():
    for buffer in in_blocks(1000, 10, seeded(), block_size=50, buffer_size=100):
        rows = torch.cat(buffer)
        assert len(rows) <= 100 + 11
        assert len((rows // 50).unique()) <= 2 + 2  # its own and those of the cells that were left over
