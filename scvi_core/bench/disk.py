"""What training from disk costs: ``python -m scvi_core.bench.disk --help``.

``sources``: cells per second of a store of counts (a folder as `StoredCounts.open` takes), read and trained on, from
memory and from disk. ``order``: the bound on held-out cells after training in several orders, on cells that are sorted
by cluster and batch.
"""

import argparse
import json
import os
import sys
import time

import numpy as np
import scipy.sparse as sp
import torch

from ..data.minibatch import Cells, in_blocks, shuffled
from ..data.on_disk import StoredCounts
from ..elbo import bound_of_cells
from ..engines.choose import make_step
from ..engines.plain import StepOptions
from .counts import simulate, start

ORDERS = ("shuffle", "16:8192", "64:8192", "256:8192", "256:2048", "256:256")


def minibatches(cells, order, generator):
    """Rows of the minibatches of one epoch; ``order`` is "shuffle" or cells of a block : cells of a buffer."""
    if order == "shuffle":
        return shuffled(len(cells), 128, generator)
    return cells.from_buffers(in_blocks(len(cells), 128, generator, *map(int, order.split(":"))))


def forget(stored):
    """Take the files out of the system's page cache."""
    for column in (stored.data, stored.indices):
        file = os.open(column.path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def sources(folder, orders, seconds):
    """Yield one dict per source, order and work: cells per second of wall time and of processor time."""
    stored = StoredCounts.open(folder)
    maps = (np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in ("data", "indices"))
    mapped = sp.csr_matrix((*maps, np.load(f"{folder}/indptr.npy")), shape=stored.shape, copy=False)
    network = start(stored[:1000].tocsr(), np.arange(1000) % 2, "latent")
    for name, X in (("disk", stored), ("page cache", stored), ("mapped", mapped), ("memory", stored.tocsr())):
        for order in orders:
            for work in ("read",) if name == "mapped" else ("read", "train"):
                cells = Cells(X, np.zeros(X.shape[0]))
                cells.X = X  # a mapped matrix as it is
                step = make_step("auto", network, cells, torch.Generator(), StepOptions())
                if name == "disk":
                    forget(stored)
                n_cells, wall, processor = 0, time.perf_counter(), time.process_time()
                for rows in minibatches(cells, order, torch.Generator().manual_seed(0)):
                    if work == "train":
                        step.step(rows)
                    else:
                        found, _, where = cells.find(rows)
                        found[where.numpy()]
                    n_cells += len(rows)
                    if time.perf_counter() - wall > seconds:
                        break
                wall, processor = time.perf_counter() - wall, time.process_time() - processor
                speeds = {"cells_per_s": n_cells / wall, "cells_per_processor_s": n_cells / processor}
                yield {"source": name, "order": order, "work": work, "engine": step.name} | speeds


def order(orders, n_cells, n_genes, n_epochs, seeds):
    """Yield one dict per order: the mean bound of held-out cells, nats per cell, over the seeds.

    ``difference`` is that to the first order with the same seed, and ``error`` its standard error.
    """
    X, batch = simulate(n_cells, n_genes, 0.3, in_order=True)
    held_out = np.arange(n_cells) % 10 == 0
    first = None
    for each in orders:
        bounds = []
        for seed in range(seeds):
            cells = Cells(X[~held_out], batch[~held_out])
            generator = torch.Generator().manual_seed(seed)
            network = start(X, batch, "latent", seed)
            step = make_step("auto", network, cells, generator, StepOptions())
            for _ in range(n_epochs):
                for rows in minibatches(cells, each, generator):
                    step.step(rows)
            others = Cells(X[held_out], batch[held_out])
            bounds.append(bound_of_cells(network, others, torch.Generator().manual_seed(0)).double().mean().item())
        bounds = np.array(bounds)
        first = bounds if first is None else first
        difference = bounds - first
        result = {"order": each, "bound": bounds.mean(), "sd_of_seeds": bounds.std(ddof=1)}
        yield result | {"difference": difference.mean(), "error": difference.std(ddof=1) / seeds**0.5}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m scvi_core.bench.disk", description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    what = parser.add_subparsers(dest="what", required=True)
    speed = what.add_parser("sources", help="cells per second")
    speed.add_argument("folder", help="a store of counts")
    speed.add_argument("--orders", nargs="+", default=["shuffle", "64:32768"], help="block : buffer, in cells")
    speed.add_argument("--seconds", type=float, default=20.0, help="of each measurement, at most")
    quality = what.add_parser("order", help="bound on held-out cells")
    quality.add_argument("--orders", nargs="+", default=ORDERS, help="block : buffer, in cells")
    quality.add_argument("--cells", dest="n_cells", type=int, default=40_000)
    quality.add_argument("--genes", dest="n_genes", type=int, default=100)
    quality.add_argument("--epochs", dest="n_epochs", type=int, default=10)
    quality.add_argument("--seeds", type=int, default=3)
    options = vars(parser.parse_args(arguments))
    torch.set_num_threads(options.pop("threads"))
    for result in {"sources": sources, "order": order}[options.pop("what")](**options):
        print(json.dumps({name: round(v, 4) if isinstance(v, float) else v for name, v in result.items()}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
