"""Which cells a method is fitted to and which it never sees: one split for all methods and experiments of a seed."""

import numpy as np
from sklearn.model_selection import train_test_split


def train_test(adata, protocol, seeds):
    """Return the rows of the training and of the test cells, two arrays of int in the order they were drawn.

    Parameters
    ----------
    adata : AnnData
        Where ``obs["split"]`` says "train" or "test" (BRAIN-LARGE), the split is part of the data: rows come as they
        stand in the file, and neither protocol nor seed has a say.
    protocol : mapping
        ``protocol["split"]``: the shares ``train`` and ``test`` (what is left over is in neither), and
        ``random_state``, a seed that holds for every run, or None for a new split with every seed. With ``test: 0``
        all cells train, in their order (the authors' HEMATO).
    seeds : experiments.loop.job.Seeds
        Only ``seeds.split`` is read.

    Raises
    ------
    ValueError
        ``obs["split"]`` holds anything else, the shares are none, or one of the two sides has no cells.
    """
    if "split" in adata.obs:
        return _given(adata.obs["split"].astype(str).to_numpy())
    split = protocol["split"]
    if split["test"] == 0:
        return np.arange(adata.n_obs), np.arange(0)
    try:
        train, test = train_test_split(
            np.arange(adata.n_obs),
            train_size=split["train"],
            test_size=split["test"],
            random_state=seeds.split if split["random_state"] is None else split["random_state"],
        )
    except ValueError as error:
        raise ValueError(
            f"protocol.split.train={split['train']} and protocol.split.test={split['test']} do not divide "
            f"{adata.n_obs} cells: give shares of at most 1 together that leave both sides some."
        ) from error
    return train, test


def _given(side):
    other = np.setdiff1d(side, ["train", "test"])
    if other.size:
        raise ValueError(f"obs['split'] holds {other[0]!r}: every cell must be in 'train' or in 'test'.")
    train, test = np.flatnonzero(side == "train"), np.flatnonzero(side == "test")
    if not (train.size and test.size):
        raise ValueError(f"obs['split'] has {train.size} training and {test.size} test cells: both are needed.")
    return train, test
