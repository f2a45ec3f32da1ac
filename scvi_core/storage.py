"""Saving and loading: tensors and one JSON string in a file that can hold no code."""

import json
import platform

import numpy as np
import scipy
import torch

from .networks import Architecture, Network

FORMAT = "scvi_core 1"


class Storage:
    """Files and AnnData of `SCVI`."""

    def save(self, path):
        """Write the fitted model to one file that holds tensors and text, no code.

        A ``kl_schedule`` is a function and is not saved: pass it again with ``set_params`` before resuming.
        """
        self._check_fitted()
        _save(self, path)

    @classmethod
    def load(cls, path, device=None):
        """Read a model written by `save`, onto another device by choice. Raises ValueError for any other file."""
        return _load(cls, path, device)

    @classmethod
    def from_anndata(cls, adata, *, layer=None, batch_key=None, **parameters):
        """Fit a model to the raw counts of an AnnData and write the latent space to ``adata.obsm["X_scVI"]``.

        Parameters
        ----------
        adata : anndata.AnnData
        layer : str, optional
            Where the counts are; by default ``adata.X``.
        batch_key : str, optional
            Column of ``adata.obs`` with the batches.
        **parameters
            Of `SCVI`.

        Returns
        -------
        SCVI
            The fitted model.
        """
        if layer is not None and layer not in adata.layers:
            raise KeyError(
                f"There is no layer {layer!r}: the AnnData has {', '.join(map(str, adata.layers)) or 'none'}."
            )
        if batch_key is not None and batch_key not in adata.obs:
            raise KeyError(f"There is no column {batch_key!r} in obs: it has {', '.join(adata.obs.columns) or 'none'}.")
        X = adata.X if layer is None else adata.layers[layer]
        batch = None if batch_key is None else np.asarray(adata.obs[batch_key])
        model = cls(**parameters).fit(X, batch, gene_names=list(adata.var_names))
        adata.obsm["X_scVI"] = model.latent(X, batch)
        return model


def _save(model, path):
    """Write a fitted model: parameters, configuration, names, versions, history and the state needed to resume."""
    parameters = model.get_params()
    parameters["kl_schedule"] = None  # a function is code
    about = {
        "parameters": parameters,
        "architecture": model.network_.arch.__dict__,
        "batches": model.batches_.tolist(),
        "batch_frequency": model.batch_frequency_.tolist(),
        "gene_names": model.gene_names_,
        "engine": model.engine_,
        "history": model._history,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }
    try:
        about = json.dumps(about)
    except TypeError as error:
        raise ValueError(f"The model holds what JSON cannot: {error}. Use plain numbers and strings.") from error
    content = {
        "format": FORMAT,
        "about": about,
        "network": {name: tensor.cpu() for name, tensor in model.network_.state_dict().items()},
        "optimiser": model._optimiser_state,
        "order": model._order_generator.get_state(),
        "noise": model._noise_generator.get_state(),
    }
    torch.save(content, path)


def _load(cls, path, device):
    """Read a model written by `_save`. Nothing in the file is executed."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # a pickle with code, a broken archive, another kind of file
        raise ValueError(
            f"{path} is not a model saved by SCVI.save: {type(error).__name__} while reading it."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a model saved by SCVI.save (format {FORMAT!r}): save the model again.")
    about = json.loads(content["about"])
    model = cls(**about["parameters"])
    if device is not None:
        model.device = device
    model.batches_ = np.array(about["batches"])
    model.batch_frequency_ = np.array(about["batch_frequency"])
    model.gene_names_ = about["gene_names"]
    arch = Architecture(**about["architecture"])
    model.n_features_in_ = arch.n_genes
    model.engine_ = about["engine"]
    model.device_ = model._resolve_device()
    model.versions_ = about["versions"]
    model._history = about["history"]
    model.network_ = Network(arch)
    model.network_.load_state_dict(content["network"])
    model.network_.to(model.device_).eval()
    model._optimiser_state = content["optimiser"]
    model._order_generator = torch.Generator()
    model._order_generator.set_state(content["order"])
    model._noise_generator = torch.Generator(model.device_)
    if model._noise_generator.get_state().shape == content["noise"].shape:  # a CPU's state does not fit a GPU's
        model._noise_generator.set_state(content["noise"])
    return model
