"""What the benchmarks train on: simulated counts and an untrained network."""

import numpy as np
import scipy.sparse as sp
import torch

from ..networks import Architecture, Network, initialise


def simulate(n_cells, n_genes, density, n_clusters=8, n_batches=2, seed=0, in_order=False):
    """Zero-inflated negative binomial counts of cells in clusters and batches.

    Parameters
    ----------
    density : float
        Share of the entries that are not zero, met by the choice of the library sizes.
    in_order : bool
        Sort the cells by cluster and batch.

    Returns
    -------
    X : csr_matrix (n_cells, n_genes) int32, no cell without counts
    batch : array of int (n_cells,)
    """
    rng = np.random.default_rng(seed)
    log_rho = rng.normal(0, 1.5, n_genes) + rng.normal(0, 0.8, (n_clusters, 1, n_genes))
    log_rho = log_rho + rng.normal(0, 0.2, (n_batches, n_genes))  # (clusters, batches, genes)
    rho = np.exp(log_rho) / np.exp(log_rho).sum(axis=2, keepdims=True)
    theta, keep = np.exp(rng.normal(0.5, 0.7, n_genes)), 0.9
    cluster, batch = rng.integers(n_clusters, size=n_cells), rng.integers(n_batches, size=n_cells)
    spread = rng.lognormal(0, 0.4, n_cells)
    few = slice(0, min(n_cells, 500))
    low, high = 0.0, np.log(1e7)
    for _ in range(30):  # the library size at which the expected density is right
        size = (low + high) / 2
        mu = np.exp(size) * spread[few, None] * rho[cluster[few], batch[few]]
        reached = keep * (1 - (theta / (theta + mu)) ** theta).mean()
        low, high = (size, high) if reached < density else (low, size)
    blocks = []
    for rows in np.array_split(np.arange(n_cells), -(-n_cells // 1000)):
        mu = np.exp(size) * spread[rows, None] * rho[cluster[rows], batch[rows]]
        x = rng.poisson(rng.gamma(theta, mu / theta)) * (rng.random(mu.shape) < keep)
        x[x.sum(axis=1) == 0, 0] = 1
        blocks.append(sp.csr_matrix(x.astype(np.int32)))
    order = np.lexsort((batch, cluster)) if in_order else slice(None)
    return sp.vstack(blocks, format="csr")[order], batch[order]


def start(X, batch, library, seed=0):
    """An untrained network for the counts, with the paper's settings."""
    network = Network(Architecture(X.shape[1], int(batch.max()) + 1, library=library))
    initialise(network, "torch", torch.Generator().manual_seed(seed))
    log_size = np.log(np.asarray(X.sum(axis=1)).ravel())
    network.library_mean.fill_(log_size.mean())
    network.library_var.fill_(log_size.var())
    return network
