"""What the parameters of `SCVI` may be: decided before anything is computed, so that what is trained can be saved."""

from numbers import Integral, Real

import numpy as np
import torch

from .differential import MODES
from .estimator import check_choice, check_integer, is_number
from .likelihood import LIKELIHOODS

EITHER = (True, False)
OPTIONS = {
    "likelihood": LIKELIHOODS,
    "dispersion": ("gene", "gene-batch", "gene-cell"),
    "library": ("latent", "observed", "none"),
    "library_prior": ("per_batch", "pooled", "batch_means"),
    "library_encoder": ("free", "prior", "offset"),
    "decoder": ("network", "linear"),
    "use_batch": EITHER,
    "encode_batch": EITHER,
    "log_input": EITHER,
    "init": ("torch", "authors"),
    "framework": ("torch", "tensorflow"),
    "dropout_on": ("hidden", "input"),
    "sampling": ("shuffle", "blocks", "replacement", "slices"),
    "kl_warmup_of": ("all", "z"),
    "early_stopping": (None, "authors", "patience"),
    "point": ("mean", "sample"),
    "compare_mode": MODES,
    "mmd_kernel": ("fourier", "rbf"),
    "warm_start": EITHER,
    "verbose": EITHER,
}
INTEGERS = {"n_latent": 1, "n_hidden": 1, "n_layers": 1, "n_epochs": 0, "batch_size": 2, "patience": 1}  # from … on
NUMBERS = {  # from 0 to below
    "dropout": 1,
    "validation_size": 1,
    "lr": np.inf,
    "adam_eps": np.inf,
    "mmd_weight": np.inf,
    "batch_norm_momentum": 1,
    "batch_norm_eps": np.inf,
}


def checked(parameters):
    """Return the parameters of `SCVI` as numbers, truth values and text of Python: what can be saved.

    Numbers and text may be numpy's, which PyTorch and JSON do not take everywhere, and a device a `torch.device`.

    Raises
    ------
    ValueError
        Names the first that will not do, and what will.
    """

    def refuse(name, fix):
        raise ValueError(f"SCVI({name}={parameters[name]!r}) will not do: {fix}.")

    for name, allowed in OPTIONS.items():
        check_choice("SCVI", name, parameters[name], allowed)
    if parameters["dispersion"] != "gene" and not LIKELIHOODS[parameters["likelihood"]].has_dispersion:
        refuse("dispersion", f"likelihood={parameters['likelihood']!r} has no dispersion, leave it at 'gene'")
    for name, smallest in INTEGERS.items():
        check_integer("SCVI", name, parameters[name], smallest)
    for name, below in NUMBERS.items():
        if not (is_number(parameters[name]) and 0 <= parameters[name] < below):
            refuse(name, "choose a number from 0" + ("" if below == np.inf else f" below {below}"))
    epochs, seed = parameters["kl_warmup_epochs"], parameters["random_state"]
    if epochs is not None and not (is_number(epochs) and epochs >= 0):
        refuse("kl_warmup_epochs", "choose a number from 0, inf for weight 0 throughout, or None for 0.8 n_epochs")
    if seed is not None and not (is_number(seed, Integral) and seed >= 0):
        refuse("random_state", "choose an integer from 0, or None for another at every call")
    if parameters["kl_schedule"] is not None and not callable(parameters["kl_schedule"]):
        refuse("kl_schedule", "pass a function of the epoch, or None")
    if not isinstance(parameters["engine"], str):
        refuse("engine", "pass the name of one, or 'auto'")
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value):
    for kind, convert in (
        (np.bool_, bool),
        (bool, bool),
        (Integral, int),
        (Real, float),
        (torch.device, str),
        (str, str),
    ):
        if isinstance(value, kind):
            return convert(value)
    return value  # None, a function


def device_of(name):
    """The device that ``SCVI(device=name)`` means, as text; ValueError where this machine has none of that name."""
    if isinstance(name, str) and name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if not isinstance(name, (str, torch.device)):
            raise TypeError
        torch.randn(1, device=name, generator=torch.Generator(name))
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(f"SCVI(device={name!r}) will not do: there is none here, choose 'cpu' or 'auto'.") from error
    return str(name)
