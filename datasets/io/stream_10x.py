"""From a 10x HDF5 file of any size to a store of selected genes, in bounded memory.

The file holds genes × cells column by column, that is, cell after cell: it is read front to back in blocks of cells,
as fast as it can be decompressed.
"""

import numpy as np
from tqdm import tqdm

from ..base import InvalidDataset
from .formats.tenx import check_tenx, tenx_genes, tenx_group
from .select import rank_by_variance

BLOCK_VALUES = 4_000_000  # counts held at a time; the peak is a few hundred megabytes


class Tenx:
    """An open 10x HDF5 file: ``n_cells``, ``n_genes``, the names, and the counts block after block.

    Parameters
    ----------
    file : h5py.File
    path : str or Path
        For messages.
    """

    def __init__(self, file, path):
        self.path = path
        self.group = tenx_group(file, path)
        self.n_genes, self.n_cells = check_tenx(self.group, path)
        self.indptr = self.group["indptr"][:].astype(np.int64)
        if (np.diff(self.indptr) < 0).any():
            raise InvalidDataset(f"The columns of {path} do not follow one another: the file is damaged.")
        self.genes, self.symbols, _ = tenx_genes(self.group)

    def barcodes(self, start, stop):
        """Names of the cells from ``start`` to ``stop``."""
        return [name.decode() for name in self.group["barcodes"][start:stop]]

    def blocks(self, stop=None, task="reading"):
        """Yield ``(start, stop, data, indices, indptr)`` for consecutive cells, ``indptr`` starting at 0."""
        stop = self.n_cells if stop is None else stop
        start = 0
        with tqdm(total=stop, unit="cell", unit_scale=True, desc=task, disable=None) as bar:
            while start < stop:
                end = int(np.searchsorted(self.indptr, self.indptr[start] + BLOCK_VALUES, side="right")) - 1
                end = min(max(end, start + 1), stop)
                values = slice(self.indptr[start], self.indptr[end])
                data, indices = self.group["data"][values], self.group["indices"][values]
                if indices.size and not 0 <= indices.min() <= indices.max() < self.n_genes:
                    raise InvalidDataset(
                        f"{self.path} has a gene index outside its {self.n_genes} genes: damaged file."
                    )
                yield start, end, data, indices, self.indptr[start : end + 1] - self.indptr[start]
                bar.update(end - start)
                start = end


def variable_genes(source, n_genes, n_cells=None):
    """Columns of the genes with the highest variance of raw counts, in the order of the file.

    Parameters
    ----------
    source : Tenx
    n_genes : int
    n_cells : int, optional
        Look at the first so many cells only (the authors: 100,000); None means all.

    Returns
    -------
    ndarray of int, shape (n_genes,)
    """
    if not 1 <= n_genes <= source.n_genes:
        raise InvalidDataset(f"n_genes={n_genes} is asked for and {source.path} has {source.n_genes}: choose fewer.")
    n_cells = min(n_cells or source.n_cells, source.n_cells)
    total, squares = np.zeros(source.n_genes), np.zeros(source.n_genes)  # integers, exact in float64 up to 2⁵³
    for _, _, data, indices, _ in source.blocks(n_cells, "variance of genes"):
        values = data.astype(np.float64)
        total += np.bincount(indices, values, source.n_genes)
        values *= values
        squares += np.bincount(indices, values, source.n_genes)
    return np.sort(rank_by_variance(n_cells, total, squares)[:n_genes])


def convert(source, writer, columns, annotate=None):
    """Copy the chosen genes of every cell with counts in them to a store.

    Parameters
    ----------
    source : Tenx
    writer : datasets.io.store.StoreWriter
    columns : ndarray of int
        Chosen genes, increasing.
    annotate : callable, optional
        ``annotate(names)`` returns more columns of ``obs`` for the cells of a block.

    Returns
    -------
    int
        Number of cells left out because none of the chosen genes is counted in them. ``obs["row"]`` of the store is
        the place of a cell in the file.
    """
    place = np.full(source.n_genes, -1, dtype=np.int32)
    place[columns] = np.arange(len(columns), dtype=np.int32)
    dropped = 0
    for start, stop, data, indices, indptr in source.blocks(task="selecting genes"):
        chosen = place[indices]
        kept = (chosen >= 0) & (data != 0)
        before = np.concatenate([[0], np.cumsum(kept)])
        sizes = np.diff(before[indptr])
        filled = sizes > 0
        dropped += int((~filled).sum())
        if not filled.any():
            continue
        chosen, data = chosen[kept], data[kept]
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        _sort_rows(chosen, data, bounds)
        names = [name for name, there in zip(source.barcodes(start, stop), filled, strict=True) if there]
        obs = {"row": np.flatnonzero(filled) + start, **(annotate(names) if annotate else {})}
        writer.append(data, chosen, np.concatenate([[0], np.cumsum(sizes[filled])]), names, obs)
    return dropped


def _sort_rows(indices, data, bounds):
    """Put the entries of every row in the order of their columns, in place; most files have them so."""
    rising = np.diff(indices) > 0
    rising[bounds[1:-1][(bounds[1:-1] > 0) & (bounds[1:-1] < len(indices))] - 1] = True  # a new row may start lower
    if rising.all():
        return
    rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    order = np.lexsort((indices, rows))
    indices[:], data[:] = indices[order], data[order]
    if ((np.diff(indices) == 0) & (np.diff(rows) == 0)).any():
        raise InvalidDataset("A gene is listed twice in a cell of the 10x file: the file is damaged.")
