"""AnnData and MuData, in HDF5 and in Zarr."""

import anndata as ad
import h5py
import zarr

from ...base import InvalidDataset
from .members import choose
from .table import Table


def read_h5ad(source):
    """An AnnData file: a path or io.BytesIO."""
    return _table(ad.read_h5ad(source))


def read_h5mu(source, place, part):
    """One modality of a MuData file."""
    with h5py.File(source, "r") as file:
        name, _ = choose(file["mod"], part, place)
        if not {"obs", "var"} <= set(file["mod"][name]):
            raise InvalidDataset(f"The modality {name} of {place} is no AnnData with obs and var: the file is damaged.")
        return _table(ad.io.read_elem(file["mod"][name]))


def read_zarr(path, part):
    """A Zarr store with an AnnData, with a MuData, or with the tables of a SpatialData.

    Parameters
    ----------
    path : Path
        The store: a folder, or a zip archive of one.
    part : str or None
        Which table or modality is meant where there are several.
    """
    group = zarr.open_group(str(path) if path.is_dir() else zarr.storage.ZipStore(path, mode="r"), mode="r")
    keys = set(group.keys())
    inner = next((name for name in ("mod", "tables", "table") if name in keys and "var" not in keys), None)
    if inner and not {"obs", "var"} <= set(group[inner].keys()):
        name, _ = choose(sorted(group[inner].keys()), part, path)
        group = group[inner][name]
    elif inner:
        group = group[inner]
    if not {"obs", "var"} <= set(group.keys()):
        raise InvalidDataset(
            f"The Zarr store {path} holds {_said(keys)} and no AnnData: name one that holds obs and var."
        )
    return _table(ad.read_zarr(group))


def _said(keys):
    return ", ".join(sorted(keys)) or "nothing"


def _table(adata):
    """An AnnData as a Table; the counts aside in ``.raw``, which may have more genes, are a table of their own."""
    names = {"cells": adata.obs_names.to_numpy(), "obs": adata.obs, "obsm": adata.obsm}
    raw = adata.raw
    return Table(
        X=adata.X,
        genes=adata.var_names.to_numpy(),
        var=adata.var,
        layers=dict(adata.layers),
        raw=raw and Table(X=raw.X, genes=raw.var_names.to_numpy(), var=raw.var, **names),
        **names,
    )
