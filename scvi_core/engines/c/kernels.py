"""The functions of kernels.c, called with tensors for their addresses."""

import torch

from ..written_out.layers import at
from .compile import HERE, TYPES, load

SIGNATURES = {  # of the functions in kernels.c, one letter of `TYPES` per argument
    "describe_cells": "qpppp",
    "take": "qqippppppppp" + "ppppppp",
    "one_hot": "qqqqpp",
    "sparse_forward": "iqqqqppppppp" + "p",
    "sparse_backward": "iqqqqppppp" + "p",
    "norm_forward": "qqqffpppppppp" + "p",
    "norm_backward": "qqqppppppp" + "p",
    "gaussian_forward": "qqqpppppp" + "p",
    "gaussian_backward": "qqqppppp" + "pf",
    "dispersion_tables": "qpp",
    "count_loss": "iqqppppipqqpppfpppp",
    "add_frequencies": "iqqqipp" + "fp",
    "contrast": "iqqqqipppp" + "p",
    "adam": "iqppppp" + "ffffff",
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
    return at(argument) if argument is None or isinstance(argument, torch.Tensor) else argument
