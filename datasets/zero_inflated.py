"""Counts with known zero inflation: Poisson-log-normal cells in two clusters, some of whose counts are set to zero."""

import hashlib

import numpy as np

from .base import InvalidDataset, make_dataset

SHARES = {"A": 0.7, "B": 0.3}  # of the cells
LARGEST = 0.08  # probability that a count is set to zero, where it is highest
N_FACTORS, LOG_MEAN, LOG_MEAN_SD, LOADING_SD, OWN_VAR = 3, 2.5, 0.8, 0.3, 0.1  # of the log rates, ours
LAM = (0, 0.001, 0.01, 0.1, 1, 10)
ORIGIN = "Simulated: Poisson-log-normal counts in two clusters, some of which are set to zero."


def load(name="zi_synthetic", stand_in_for=ORIGIN, lam=LAM, n_cells=2000, n_genes=50, seed=0):
    """Draw counts of a law without zero inflation, and set some of them to zero, more or less depending on their size.

    The process of the authors' study of zero inflation: log rates of a cell are normal with the mean and the covariance
    of its cluster, counts are Poisson, and a count x is set to zero with probability ``0.08 exp(-lam x²)``. With
    ``lam`` 0 that is any count, with 10 only those that are zero already. Their mean and covariance were fitted to data
    that are not named; ours are drawn: gene means of the log rate N(2.5, 0.8²), covariance of three factors with
    loadings N(0, 0.3²) and 0.1 of each gene's own.

    Parameters
    ----------
    name, stand_in_for : str
        What the data set is called in records and tables; one line on what it stands for.
    lam : sequence of float
        One part of the data for each: the same counts, of which other ones are set to zero.
    n_cells : int
        In each part; 70% of them of cluster A, 30% of B.
    n_genes, seed : int

    Returns
    -------
    anndata.AnnData, (len(lam) * n_cells) × n_genes
        ``obs["lam"]`` has the part, as text; ``obs["label"]`` the cluster; ``obs["set_to_zero"]`` the share of the
        cell's genes whose count was set to zero.
    """
    parts = [float(value) for value in lam]
    if not parts or len(set(parts)) < len(parts) or not all(np.isfinite(value) and value >= 0 for value in parts):
        raise InvalidDataset(f"dataset.lam={list(lam)} will not do: give different numbers from 0, e.g. [0,0.01,10].")
    rng = np.random.default_rng(seed)
    cluster = rng.choice(list(SHARES), size=n_cells, p=list(SHARES.values()))
    log_rate = np.empty((n_cells, n_genes))
    for own in SHARES:
        mean = rng.normal(LOG_MEAN, LOG_MEAN_SD, n_genes)
        loadings = rng.normal(0, LOADING_SD, (n_genes, N_FACTORS))
        n = (cluster == own).sum()
        factors, noise = rng.normal(size=(n, N_FACTORS)), rng.normal(0, np.sqrt(OWN_VAR), (n, n_genes))
        log_rate[cluster == own] = mean + factors @ loadings.T + noise
    counts = rng.poisson(np.exp(log_rate))
    chance = rng.random(counts.shape)  # the same for every part, so that a larger lam sets fewer counts to zero
    zeroed = [chance < LARGEST * np.exp(-value * counts.astype(float) ** 2) for value in parts]
    X = np.concatenate([np.where(hit, 0, counts) for hit in zeroed])
    texts = [f"{value:g}" for value in parts]
    return make_dataset(
        X,
        cells=[f"cell_{row} at {text}" for text in texts for row in range(n_cells)],
        genes=[f"gene_{column}" for column in range(n_genes)],
        obs={
            "label": np.tile(cluster, len(parts)),
            "lam": np.repeat(texts, n_cells),
            "set_to_zero": np.concatenate([(hit & (counts > 0)).mean(axis=1) for hit in zeroed]),
        },
        source={
            "name": name,
            "origin": stand_in_for,
            "sha256": hashlib.sha256(np.ascontiguousarray(X, dtype="<i8").tobytes()).hexdigest(),
            "steps": [
                f"drew {n_cells} × {n_genes} counts with seed {seed}: clusters {SHARES}",
                f"set each to zero with probability {LARGEST} exp(-lam x²), lam {', '.join(texts)}",
            ],
        },
        drop_empty_cells=True,
    )
