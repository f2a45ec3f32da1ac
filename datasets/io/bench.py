"""``python -m datasets.io.bench``: how fast, and in how much memory, a 10x HDF5 file becomes a store.

Writes a file in the format of 10x's 1M_neurons (CellRanger 1: int32 counts, int64 indices, gzip), converts it as
``datasets.brain_large`` does, and compares with reading the file and doing nothing: that is what decompression costs.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from .store import create_store
from .stream_10x import Tenx, convert, variable_genes

POOL = 2000  # cells drawn; the file repeats them in random order, too far apart for gzip's window to notice
CHUNK = 80_000


def write_10x(path, n_cells, n_genes, values_per_cell, seed=0):
    """Write a 10x HDF5 file of ``n_cells`` cells; return the number of its values."""
    rng = np.random.default_rng(seed)
    weight = rng.lognormal(sigma=2.2, size=n_genes)
    low, high = 0.0, 1e6
    while high - low > 1e-3:  # the chance that a gene is seen, such that a cell has so many of them
        middle = (low + high) / 2
        seen = -np.expm1(-weight * middle)
        low, high = (middle, high) if seen.sum() < values_per_cell else (low, middle)
    pool = [np.flatnonzero(rng.random(n_genes) < seen) for _ in range(POOL)]
    counts = [1 + rng.poisson(seen[genes]) for genes in pool]
    order = rng.integers(POOL, size=n_cells)
    options = {"maxshape": (None,), "chunks": (CHUNK,), "compression": "gzip"}
    with h5py.File(path, "w") as file:
        group = file.create_group("mm10")
        data = group.create_dataset("data", (0,), dtype="i4", **options)
        indices = group.create_dataset("indices", (0,), dtype="i8", **options)
        sizes = np.array([len(genes) for genes in pool])[order]
        for start in range(0, n_cells, POOL):
            cells = order[start : start + POOL]
            stop = len(data) + sizes[start : start + POOL].sum()
            for dataset, parts in ((data, counts), (indices, pool)):
                begin = len(dataset)
                dataset.resize((stop,))
                dataset[begin:] = np.concatenate([parts[cell] for cell in cells])
        group["indptr"] = np.concatenate([[0], np.cumsum(sizes)])
        group["shape"] = np.array([n_genes, n_cells], dtype="i4")
        group["barcodes"] = np.array([f"{cell:016d}-1" for cell in range(n_cells)], dtype="S")
        group["genes"] = np.array([f"ENSMUSG{gene:011d}" for gene in range(n_genes)], dtype="S")
        group["gene_names"] = np.array([f"Gene{gene}" for gene in range(n_genes)], dtype="S")
        return len(data)


def _timed(task):
    wall, cpu = time.perf_counter(), time.process_time()
    result = task()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def main(arguments=None):
    """Run the benchmark and print what it measured."""
    parser = argparse.ArgumentParser(prog="python -m datasets.io.bench", description=__doc__.split(": ")[1])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=27_998)
    parser.add_argument("--values-per-cell", type=int, default=2000)
    parser.add_argument("--selected", type=int, default=720)
    parser.add_argument("--folder", help="where to write the file and the store (default: a temporary folder)")
    options = parser.parse_args(arguments)

    def memory():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path, store = Path(folder) / "simulated.h5", Path(folder) / "store"
        n_values = write_10x(path, options.cells, options.genes, options.values_per_cell)
        written = memory()
        with h5py.File(path, "r") as file:
            source = Tenx(file, path)
            reading = _timed(lambda: [None for _ in source.blocks()])
            choosing = _timed(lambda: variable_genes(source, options.selected))
            with create_store(store, options.selected) as writer:
                converting = _timed(lambda: convert(source, writer, choosing[2]))
                writer.close(source.genes[choosing[2]], source={})
        size = sum(part.stat().st_size for part in store.iterdir())
        megabytes = path.stat().st_size / 1e6
        print(f"{options.cells:,} cells x {options.genes:,} genes, {n_values:,} values, {megabytes:,.0f} MB")
        for name, (wall, cpu, _) in (
            ("decompression alone", reading),
            ("variance of genes", choosing),
            (f"conversion to {options.selected} genes", converting),
        ):
            print(
                f"{name:28s} {wall:7.1f} s, of processor {cpu:7.1f} s, {options.cells / cpu:9,.0f} cells/s of processor"
            )
        print(
            f"store {size / 1e6:,.0f} MB; peak memory {memory():,.0f} MB (after writing the input: {written:,.0f} MB)"
        )


if __name__ == "__main__":
    main()
