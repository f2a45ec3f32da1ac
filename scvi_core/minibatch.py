"""Where the cells of a step come from: which rows, and their counts as a dense tensor."""

import numpy as np
import torch


class Cells:
    """Counts kept sparse in memory; a few rows at a time become dense on the device.

    Parameters
    ----------
    X : scipy.sparse.csr_matrix, shape (n_cells, n_genes)
        Checked counts.
    batch : array of int, shape (n_cells,)
        Batch codes.
    """

    def __init__(self, X, batch, device="cpu", dtype=torch.float32):
        self.X, self.device, self.dtype = X, device, dtype
        self.batch = torch.as_tensor(np.asarray(batch), dtype=torch.int64, device=device)

    def __len__(self):
        return self.X.shape[0]

    def take(self, rows):
        """Counts (cells, genes) and batch codes (cells,) of the given rows, an integer tensor."""
        x = torch.from_numpy(self.X[rows.cpu().numpy()].toarray())
        return x.to(self.device, self.dtype), self.batch[rows.to(self.device)]

    def row_chunks(self, entries=2_000_000):
        """Consecutive rows, at most ``entries`` counts of them at a time (at least one cell)."""
        return torch.arange(len(self)).split(max(1, entries // self.X.shape[1]))

    def chunks(self):
        """Rows, counts and batch codes of `row_chunks`."""
        for rows in self.row_chunks():
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


def replaced(n_cells, batch_size, generator, device="cpu"):
    """Rows of one epoch of the authors' code: floor(n / batch_size) - 1 minibatches drawn with replacement."""
    n_batches = max(1, n_cells // batch_size - 1)
    return list(torch.randint(n_cells, (n_batches, batch_size), generator=generator).to(device))
