"""Any data of the user's own: an AnnData file, with the names of the slots to use."""

import warnings
from pathlib import Path

import anndata as ad
import numpy as np

from .base import InvalidDataset, column, make_dataset, sha256_of
from .genes import top_genes


def load(
    path,
    name="h5ad",
    label_key=None,
    batch_key=None,
    layer=None,
    protein_key=None,
    n_genes=None,
    drop_empty_cells=False,
    stand_in_for=None,
):
    """Read an ``.h5ad`` file.

    Parameters
    ----------
    path : str or Path
    name : str
        What the dataset is called in records and tables.
    label_key, batch_key : str, optional
        Columns of ``obs`` with the cell types and the batches.
    layer : str, optional
        Where the raw counts are, if not in ``X``.
    protein_key : str, optional
        Key of ``obsm`` with the proteins.
    n_genes : int, optional
        Keep the genes with the highest standard deviation of raw counts.
    drop_empty_cells : bool
        Remove cells without counts (in the chosen genes) in place of refusing them.
    stand_in_for : str, optional
        The dataset of the paper this one stands in for; part of ``uns["source"]["origin"]``.

    Returns
    -------
    anndata.AnnData
    """
    if path is None:
        raise InvalidDataset("No file is given: set dataset.path=FILE.h5ad.")
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: correct dataset.path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # names that are not unique: make_dataset names the first
            raw = ad.read_h5ad(path)
    except Exception as error:  # h5py and anndata raise many kinds for a file that is not theirs
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidDataset(f"{path} cannot be read as an AnnData file ({reason}): check that it is whole.") from error
    X = raw.X
    if layer is not None:
        if layer not in raw.layers:
            raise InvalidDataset(f"There is no layer {layer!r} in {path.name}; the layers are: {_listed(raw.layers)}.")
        X = raw.layers[layer]
    if X is None:
        raise InvalidDataset(f"{path.name} has no X; set dataset.layer to one of its layers: {_listed(raw.layers)}.")
    obs = {slot: column(raw.obs, key, slot) for slot, key in (("label", label_key), ("batch", batch_key)) if key}
    obsm = {}
    if protein_key is not None:
        if protein_key not in raw.obsm:
            raise InvalidDataset(f"There is no obsm {protein_key!r} in {path.name}; there are: {_listed(raw.obsm)}.")
        obsm["protein"] = np.asarray(raw.obsm[protein_key])
    origin = f"The file {path.name} given by the user."
    if stand_in_for:
        origin = f"A stand-in for the paper's {stand_in_for}: {path.name}."
    source = {"name": name, "origin": origin, "sha256": sha256_of(path), "steps": [f"read {path.name}"]}
    whole = make_dataset(
        X,
        cells=raw.obs_names,
        genes=raw.var_names,
        obs={slot: values.to_numpy() for slot, values in obs.items()},
        obsm=obsm,
        source=source,
        drop_empty_cells=drop_empty_cells,
    )
    if n_genes is None:
        return whole
    keep = top_genes(whole.X, n_genes)
    step = f"kept the {n_genes} genes with the highest SD of raw counts"
    return make_dataset(
        whole.X[:, keep],
        cells=whole.obs_names,
        genes=whole.var_names[keep],
        obs={slot: whole.obs[slot] for slot in obs},
        obsm=dict(whole.obsm),
        source={**whole.uns["source"], "steps": [*whole.uns["source"]["steps"], step]},
        drop_empty_cells=drop_empty_cells,
    )


def _listed(keys):
    return ", ".join(map(str, keys)) or "none"
