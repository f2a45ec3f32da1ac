"""AnnData files."""

import warnings

import anndata as ad
import numpy as np

from .table import Table


def read_h5ad(path):
    """An AnnData file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names that are not unique: the contract names the first
        adata = ad.read_h5ad(path)
    return Table(
        X=adata.X,
        cells=adata.obs_names.to_numpy(),
        genes=adata.var_names.to_numpy(),
        obs=adata.obs,
        var=adata.var,
        obsm={key: np.asarray(value) for key, value in adata.obsm.items()},
        layers=dict(adata.layers),
    )
