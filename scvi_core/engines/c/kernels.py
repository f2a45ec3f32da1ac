"""The functions of kernels.c, called with tensors for their addresses."""

import functools
import logging

import torch

from ..written_out.layers import address
from ..written_out.served import unknown
from .compile import HERE, TYPES, NoCompiler, load

SIGNATURES = {  # of the functions in kernels.c, one letter of `TYPES` per argument
    "describe_cells": "qpppp",
    "take": "qqippppppppp" + "ppppppp",
    "take_dense": "qqqppppppp" + "ppppppp",
    "one_hot": "qqqqpp",
    "sparse_forward": "iqqqqppppppp" + "p",
    "sparse_backward": "iqqqqppppp" + "p",
    "norm_forward": "qqqffqpppppppp" + "p",
    "norm_backward": "qqqppppppp" + "p",
    "gaussian_forward": "qqqpppppp" + "p",
    "gaussian_backward": "qqqppppp" + "pf",
    "dispersion_tables": "qpp",
    "count_loss": "iqqppppipqqpppfpppp",
    "bounded_heads": "qqqffffppp",
    "bounded_heads_backward": "qqqpp",
    "add_frequencies": "iqqqipp" + "fp",
    "contrast": "iqqqqipppp" + "p",
    "adam": "iqppppp" + "ffffff",
    "rmsprop": "iqppp" + "ffff",
}


class Kernels:
    """The functions of kernels.c, compiled for ``target``."""

    def __init__(self, target=HERE):
        self.library = load("kernels.c", target)
        for name, types in SIGNATURES.items():
            function = getattr(self.library, name)
            function.argtypes, function.restype = [TYPES[t] for t in types], None

    def bind(self, name, *arguments):
        """Return a function with its first arguments fixed: numbers, and tensors (or None) for their addresses."""
        types, run = [TYPES[t] for t in SIGNATURES[name]], getattr(self.library, name)
        fixed = [t(_value(a)) for t, a in zip(types, arguments, strict=False)]

        def bound(*others):
            run(*fixed, *map(_value, others))

        bound.arguments = arguments  # the tensors live as long as their addresses are used
        return bound


def _value(argument):
    return address(argument) if argument is None or isinstance(argument, torch.Tensor) else argument


def refuses(network, cells):
    """Why the kernels cannot be used for the cells, None where they can."""
    parameter = next(network.parameters())
    places = {torch.device(cells.device).type, parameter.device.type}, {cells.dtype, parameter.dtype}
    if places != ({"cpu"}, {torch.float32}):
        return "it is for single precision on the CPU"
    if cells.X.dtype != "int32":
        return "it is for counts below 2^31"
    return unknown(network.arch) or missing()


@functools.cache
def missing():
    """Why there are no kernels on this machine, None where there are; found out, and said, once."""
    try:
        load("kernels.c")
    except NoCompiler as reason:
        logging.getLogger(__name__).warning("scVI takes the plain path, several times slower: %s.", reason)
        return str(reason)
    return None
