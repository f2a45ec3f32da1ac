"""The random data of Fig 15: independent zero-inflated counts without any structure to find (paper §2.3)."""

import hashlib

import numpy as np

from .base import InvalidDataset, compare_with_paper, make_dataset
from .io.fetch import locate, verify
from .io.old_pickle import read_metadata

N_CELLS, N_GENES = 2000, 10
MEAN, DISPERSION, DROPOUT = 4.0, 2.0, 0.7


def load(seed=0, data_dir=None, files=None, expect=None):
    """Draw the random ZINB dataset as the authors do, from numpy's legacy generator.

    Gamma rates (shape 2, scale 2), Poisson counts, 70% of them set to zero, cells without counts removed. With seed
    0 these are the 1,897 cells that the authors' ``random_metadata.pickle`` describes.

    Parameters
    ----------
    seed : int
    data_dir : str or Path, optional
    files : dict, optional
        ``metadata``: where that file is in the data folder and the seed is 0, the SIMLR result in it is added.
    expect : dict, optional
        The paper's numbers.

    Returns
    -------
    anndata.AnnData, (1897 for seed 0) × 10
        With the file: ``obs["simlr_cluster"]`` (1 to 11) and ``obsm["simlr"]`` of the authors.
    """
    rng = np.random.RandomState(seed)  # the authors' generator: another gives other cells
    counts = rng.poisson(rng.gamma(DISPERSION, MEAN / DISPERSION, size=(N_CELLS, N_GENES)))
    counts *= rng.binomial(1, 1 - DROPOUT, size=counts.shape)
    kept = np.flatnonzero(counts.sum(axis=1) > 0)
    obs, obsm = _simlr(files, data_dir, len(kept)) if seed == 0 else ({}, {})
    adata = make_dataset(
        counts[kept],
        cells=[f"cell_{row}" for row in kept],
        genes=[f"gene_{column}" for column in range(N_GENES)],
        obs=obs,
        obsm=obsm,
        source={
            "name": "random_zinb",
            "origin": "Simulated: independent zero-inflated negative binomial counts, drawn as the authors draw them.",
            "sha256": hashlib.sha256(np.ascontiguousarray(counts[kept], dtype="<i8").tobytes()).hexdigest(),
            "steps": [
                f"drew {N_CELLS} × {N_GENES} counts with RandomState({seed}): mean {MEAN}, dispersion {DISPERSION}",
                f"set each to zero with probability {DROPOUT}",
                f"dropped {N_CELLS - len(kept)} cells without counts",
            ],
        },
    )
    return compare_with_paper(adata, expect if seed == 0 else None, own_files=False, genes=N_GENES)


def _simlr(files, data_dir, n_cells):
    file = (files or {}).get("metadata")
    path = file and locate(file, data_dir)
    if not path:
        return {}, {}
    verify(path, file, data_dir)
    metadata = read_metadata(path)
    if len(metadata["clusters"]) != n_cells:
        raise InvalidDataset(
            f"{path} describes {len(metadata['clusters'])} cells, not the {n_cells} drawn with seed 0."
        )
    return {"simlr_cluster": metadata["clusters"]}, {"simlr": metadata["ydata"]}
