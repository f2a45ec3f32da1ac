"""Saving and loading: tensors and one JSON string in a file that can hold no code.

The file is a line of text, ``scvi_core 2 SHA256``, and what `torch.save` writes, whose checksum that is.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import platform
from pathlib import Path

import numpy as np
import scipy
import torch

from ..convergence import Convergence
from ..data.genes import matched
from ..defaults import torch_defaults
from ..networks import Architecture, Network
from ..parameters import checked, device_of
from .atomic import replace

FORMAT = "scvi_core 2"


class Storage:
    """Files and AnnData of `SCVI`."""

    def save(self, path):
        """Write the fitted model to one file that holds tensors and text, no code.

        The file is replaced as a whole or, where the disk is full, not at all. A ``kl_schedule`` is a function and is
        not saved: pass it again with ``set_params`` before resuming.
        """
        self._check_fitted()
        _save(self, path)

    @classmethod
    def load(cls, path, device=None):
        """Read a model written by `save`, onto another device by choice.

        Raises
        ------
        ValueError
            The file is damaged, of another kind or of another version, or the device is not there.
        FileNotFoundError
        """
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
        X, batch = counts_of(adata, layer, batch_key)
        model = cls(**parameters).fit(X, batch, gene_names=list(adata.var_names))
        adata.obsm["X_scVI"] = model.latent(X, batch)
        return model

    def read_anndata(self, adata, *, layer=None, batch_key=None, reorder=False):
        """Return (X, batch) of an AnnData for any method of the fitted model: ``model.latent(*model.read_anndata(a))``.

        Parameters
        ----------
        adata, layer, batch_key
            As in `from_anndata`.
        reorder : bool
            Put the genes into the order of the model, and leave out those that it does not know.

        Raises
        ------
        InvalidCounts
            The genes are not those of the model; names the first that differs.
        """
        self._check_fitted()
        X, batch = counts_of(adata, layer, batch_key)
        return matched(self, X, adata.var_names, reorder=reorder), batch


def counts_of(adata, layer=None, batch_key=None):
    """Return (X, batch) of an AnnData: what is in ``layer``, and the column ``batch_key`` of obs or None."""
    if layer is not None and layer not in adata.layers:
        raise KeyError(f"There is no layer {layer!r}: the AnnData has {', '.join(map(str, adata.layers)) or 'none'}.")
    if batch_key is not None and batch_key not in adata.obs:
        raise KeyError(f"There is no column {batch_key!r} in obs: it has {', '.join(adata.obs.columns) or 'none'}.")
    X = adata.X if layer is None else adata.layers[layer]
    batch = None if batch_key is None else np.asarray(adata.obs[batch_key])
    return X, batch


def _save(model, path):
    """Write a fitted model: parameters, configuration, names, versions, history and the state needed to resume."""
    parameters = checked(model.get_params()) | {"kl_schedule": None}  # a function is code
    about = {
        "parameters": parameters,
        "architecture": model.network_.arch.__dict__,
        "batches": None if model.batches_ is None else model.batches_.tolist(),
        "batch_frequency": model.batch_frequency_.tolist(),
        "gene_names": model.gene_names_,
        "engine": model.engine_,
        "history": model._history,
        "convergence": model.convergence_ and dataclasses.asdict(model.convergence_),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }
    content = {
        "about": json.dumps(about),
        "network": {name: tensor.cpu() for name, tensor in model.network_.state_dict().items()},
        "optimiser": model._optimiser_state,
        "order": model._order_generator.get_state(),
        "noise": model._noise_generator.get_state(),
        "stopping": model._stopping_state,
    }
    whole = io.BytesIO()
    torch.save(content, whole)
    replace(path, sealed(whole.getvalue()))


def sealed(content):
    """The bytes of a file: those of its content behind a line with the format and their checksum."""
    return f"{FORMAT} {hashlib.sha256(content).hexdigest()}\n".encode() + content


def read(content, path):
    """Tensors and description of the bytes of a file written by `_save`. Nothing in them is executed.

    Raises
    ------
    ValueError
        They are not what was written, or were not written by `_save`.
    """
    head, _, content = content.partition(b"\n")
    if not head.startswith(f"{FORMAT} ".encode()):
        raise ValueError(f"{path} is not a model saved by this version of SCVI.save: fit it again and save it.")
    if head.split()[-1] != hashlib.sha256(content).hexdigest().encode():
        raise ValueError(
            f"{path} is damaged: it is not what SCVI.save wrote there (the checksum differs); take another copy of it, "
            "or fit again."
        )
    with as_written(path):
        content = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        about = json.loads(content["about"])
        for name, tensor in content["network"].items():
            if not tensor.isfinite().all():
                raise ValueError(f"{name} is not finite")
    return content, about


@contextlib.contextmanager
def as_written(path):
    """Within, what is missing or wrong in a file whose checksum is right becomes one sentence."""
    try:
        yield
    except Exception as error:  # code in a pickle, keys that are not there, shapes that do not fit, …
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).strip().split("\n")[0].rstrip(".:")
        raise ValueError(f"{path} is not a model as SCVI.save writes it ({reason}): fit it again.") from error


@torch_defaults()
def _load(cls, path, device):
    """Read a model written by `_save`."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path}: name one written by SCVI.save.")
    content, about = read(Path(path).read_bytes(), path)
    with as_written(path):
        model = cls(**about["parameters"])
        checked(model.get_params())
        model.batches_ = None if about["batches"] is None else np.array(about["batches"])
        model.batch_frequency_ = np.array(about["batch_frequency"])
        model.gene_names_ = about["gene_names"]
        arch = Architecture(**about["architecture"])
        model.n_features_in_ = arch.n_genes
        model.engine_ = about["engine"]
        model.versions_ = about["versions"]
        model.network_ = Network(arch)
        model._order_generator = torch.Generator()
    if device is not None:
        model.device = device
    model.device_ = device_of(model.device)
    model._noise_generator = torch.Generator(model.device_)
    model.network_.to(model.device_)
    with as_written(path):
        restore(model, content, about)
    model.network_.eval()
    return model


def restore(model, content, about):
    """Put what training moves, as it is in a file, into a model that has its networks and generators."""
    model.network_.load_state_dict(content["network"])
    model._history = about["history"]
    model.convergence_ = about["convergence"] and Convergence(**about["convergence"])
    model._optimiser_state, model._stopping_state = content["optimiser"], content["stopping"]
    model._order_generator.set_state(content["order"])
    if model._noise_generator.get_state().shape == content["noise"].shape:  # a CPU's state does not fit a GPU's
        model._noise_generator.set_state(content["noise"])
