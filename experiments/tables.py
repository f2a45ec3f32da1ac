"""Tables 2, 3 and 4 from the configuration and the data: sizes, cell types, hyperparameters, what methods can do."""

from pkgutil import resolve_name

import numpy as np
import pandas as pd
import yaml

from .loop.paths import ROOT
from .scores import Score
from .tasks.split import train_test

REQUIRES = "fit"  # the method of a row is scVI, for its hyperparameters on the dataset at hand: nothing is fitted
CAPABILITIES = ("latent", "impute", "loglik", "marginal_loglik", "sample", "correct", "compare")
OPERATIONAL = {"device", "engine", "random_state", "verbose", "warm_start"}  # how scVI is run, not what it is
SIZES = ("n_cells", "n_genes", "n_batches", "n_labels", "n_train", "n_test")
WORDS = ("cells", "genes", "batches", "cell types", "training cells", "test cells")
SCORES = {  # the sizes belong to no method in results/published.json
    name: Score(label, published={"metric": name, "method": "-"}, formula="counted")
    for name, label in zip((*SIZES, "n_cells {type}"), (*WORDS, "cells of a type"), strict=True)
}


def evaluate(method, adata, protocol, seeds):
    """Count the cells; read the hyperparameters off ``method`` and the capabilities off every class of conf/method/.

    Parameters
    ----------
    method : SCVI
        Unfitted, with the parameters that the configuration resolves to for this dataset and protocol.
    adata : AnnData
        ``obs["label"]``, ``obs["batch"]`` and the cuts of the label hierarchy, ``obs["label_<k>"]``, where there are.
    protocol : mapping
        ``split`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds

    Returns
    -------
    scores : dict
        ``SIZES``, and "n_cells <label>" for every label.
    arrays : dict
        ``label`` and ``size`` (n_labels,), ``cut_<k>`` (n_labels,), the name of each label at that cut; ``parameter``
        and ``value``; ``method`` (n_methods,), ``can`` (n_methods, n_capabilities).
    facts : dict
        Empty.
    """
    train, test = train_test(adata, protocol, seeds)
    labels = adata.obs["label"].value_counts(sort=False) if "label" in adata.obs else pd.Series(dtype=int)
    n_batches = adata.obs["batch"].nunique() if "batch" in adata.obs else 1
    sizes = (adata.n_obs, adata.n_vars, n_batches, len(labels), len(train), len(test))
    scores = dict(zip(SIZES, map(float, sizes), strict=True))
    scores |= {f"n_cells {label}": float(size) for label, size in labels.items()}

    parameters = {k: v for k, v in method.get_params().items() if k not in OPERATIONAL and v is not None}
    possible = {"correct": n_batches > 1, "compare": len(labels) > 1}
    classes = _classes()
    can = [[hasattr(c, name) and possible.get(name, True) for name in CAPABILITIES] for c in classes.values()]
    arrays = {
        "label": np.array(labels.index, dtype=str),
        "size": labels.to_numpy(dtype=np.int64),
        **{f"cut_{k}": _cut(adata.obs, f"label_{k}", labels.index) for k in _cuts(adata.obs)},
        "parameter": np.array(list(parameters), dtype=str),
        "value": np.array([str(value) for value in parameters.values()], dtype=str),
        "method": np.array(list(classes), dtype=str),
        "can": np.array(can),
    }
    return scores, arrays, {}


def _cuts(obs):
    """Numbers of clusters at which the hierarchy of the labels is cut (``obs["label_level2"]`` is no cut of it)."""
    found = (name.removeprefix("label_") for name in obs if name.startswith("label_"))
    return [int(k) for k in found if k.isdigit()] if "label" in obs else []


def _cut(obs, key, labels):
    """The coarser label that each of ``labels`` belongs to; raises where one belongs to two."""
    pairs = obs[["label", key]].drop_duplicates()
    if len(pairs) > len(labels):
        raise ValueError(f"obs[{key!r}] is no cut of the hierarchy: a label belongs to two of its clusters.")
    return pairs.set_index("label")[key].loc[list(labels)].to_numpy(dtype=str)


def _classes():
    """{label: class} of the methods in conf/method/, the folder that is their registry, without the controls."""
    folder, found = ROOT / "conf" / "method", {}
    for path in sorted(folder.glob("*.yaml")):
        block = yaml.safe_load(path.read_text())
        while "_target_" not in block:  # a variant of another file: "defaults: [scvi@_here_, _self_]"
            block = yaml.safe_load((folder / f"{block['defaults'][0].split('@')[0]}.yaml").read_text()) | block
        if block.get("_role_") != "control":
            found[block.get("_label_", path.stem)] = resolve_name(block["_target_"])
    return found
