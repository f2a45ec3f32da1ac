"""Where the cells of a step come from: which rows, and their counts as a dense tensor."""

import itertools

import numpy as np
import scipy.sparse as sp
import torch

from .on_disk import StoredCounts


class Cells:
    """Counts kept sparse in memory or on disk; a few rows at a time become dense on the device.

    Parameters
    ----------
    X : scipy.sparse.csr_matrix or StoredCounts, shape (n_cells, n_genes)
        Checked counts. Those of a file mapped into memory are read from the file, so that it does not fill the memory.
    batch : array of int, shape (n_cells,)
        Batch codes.
    """

    def __init__(self, X, batch, device="cpu", dtype=torch.float32):
        self.X = (StoredCounts.of_mapped(X) or X) if sp.issparse(X) else X
        self.device, self.dtype, self._held = device, dtype, None
        self.batch = torch.as_tensor(np.asarray(batch), dtype=torch.int64, device=device)

    def __len__(self):
        return self.X.shape[0]

    def find(self, rows):
        """Where the given rows, a tensor on the CPU, are in memory; cells on disk are read unless they are there.

        Returns
        -------
        X : csr_matrix
        owners : tensor of int or slice
            The cells in the rows of ``X``.
        where : tensor of int
            The rows of ``X`` that are asked for.
        """
        if sp.issparse(self.X):
            return self.X, slice(None), rows
        if self._held is not None:
            X, owners = self._held
            where = torch.searchsorted(owners, rows).clamp(max=len(owners) - 1)
            if torch.equal(owners[where], rows):
                return X, owners, where
        return self.X[rows.numpy()].tocsr(), rows, torch.arange(len(rows))

    def take(self, rows):
        """Counts (cells, genes) and batch codes (cells,) of the given rows, an integer tensor."""
        X, _, where = self.find(rows.cpu())
        x = torch.from_numpy(X[where.numpy()].toarray())
        return x.to(self.device, self.dtype), self.batch[rows.to(self.device)]

    def sizes(self):
        """Number of counts of each cell, array (n_cells,)."""
        sizes = np.empty(len(self))
        for rows in self.row_chunks():
            sizes[rows] = self.X[int(rows[0]) : int(rows[-1]) + 1].tocsr().sum(axis=1).ravel()
        return sizes

    def minibatches(self, sampling, batch_size, generator):
        """Rows of the minibatches of one epoch, on the device; ``sampling`` as in `SCVI`."""
        if sampling == "blocks":
            return self.from_buffers(in_blocks(len(self), batch_size, generator))
        draw = {"shuffle": shuffled, "replacement": replaced, "slices": sliced}[sampling]
        return draw(len(self), batch_size, generator, self.device)

    def from_buffers(self, buffers):
        """The minibatches of the buffers; of counts on disk a buffer is in memory, and the next one on the way."""
        for now, later in itertools.pairwise(itertools.chain(buffers, [None])):
            if isinstance(self.X, StoredCounts):
                self._held = None
                rows = torch.cat(now).sort().values
                self._held = self.X[rows.numpy()].tocsr(), rows
                if later:
                    self.X[torch.cat(later).sort().values.numpy()].read_ahead()
            yield from (rows.to(self.device) for rows in now)

    def row_chunks(self, entries=2_000_000):
        """Consecutive rows, at most ``entries`` counts of them at a time (at least one cell)."""
        size = max(1, entries // self.X.shape[1])
        return (torch.arange(start, min(start + size, len(self))) for start in range(0, len(self), size))

    def chunks(self, entries=2_000_000):
        """Rows, counts and batch codes of `row_chunks`."""
        for rows in self.row_chunks(entries):
            yield rows, *self.take(rows)


def shuffled(n_cells, batch_size, generator, device="cpu"):
    """Rows of one pass over all cells in random order, one tensor per minibatch, in one transfer to the device.

    A lone last cell joins the minibatch before it: batch normalisation of a single cell is undefined, and so every
    cell is still seen exactly once.
    """
    batches = list(torch.randperm(n_cells, generator=generator).to(device).split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def in_blocks(n_cells, batch_size, generator, block_size=64, buffer_size=32_768):
    """Rows of one pass over all cells in an order that reads them from disk a block at a time.

    Blocks of ``block_size`` consecutive cells come in random order, and about ``buffer_size`` cells at a time, whole
    blocks, are shuffled together. As in `shuffled` every cell is seen once and none is alone in a minibatch.

    Yields
    ------
    list of tensors
        The minibatches of a buffer; the first begins with the few cells that the buffer before has left over.
    """
    starts = torch.randperm(-(-n_cells // block_size), generator=generator)[:, None] * block_size
    rest = torch.empty(0, dtype=torch.int64)
    for blocks in starts.tensor_split(-(-n_cells // buffer_size)):  # all of about the same size, the last one too
        rows = (blocks + torch.arange(block_size)).flatten()
        rows = rows[rows < n_cells]
        rest = torch.cat([rest, rows[torch.randperm(len(rows), generator=generator)]])
        n_whole = max(0, len(rest) - 2) // batch_size  # two cells or more are left, in the end as well
        *minibatches, rest = rest.tensor_split([batch_size * (i + 1) for i in range(n_whole)])
        if minibatches:
            yield minibatches
    yield [rest]


def replaced(n_cells, batch_size, generator, device="cpu"):
    """Rows of one epoch of the authors' code: floor(n / batch_size) - 1 minibatches drawn with replacement."""
    return list(torch.randint(n_cells, (_n_steps(n_cells, batch_size), batch_size), generator=generator).to(device))


def sliced(n_cells, batch_size, generator=None, device="cpu"):
    """Rows of every epoch of the authors' code on BRAIN-LARGE: as many minibatches, one after the other from the first.

    The cells behind the last of them are in none.
    """
    rows = torch.arange(min(n_cells, _n_steps(n_cells, batch_size) * batch_size), device=device)
    return list(rows.split(batch_size))


def _n_steps(n_cells, batch_size):
    return max(1, n_cells // batch_size - 1)
