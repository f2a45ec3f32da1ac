"""The model of the paper, on its own: ``from scvi_core import SCVI``."""

from .counts import InvalidCounts
from .training import TrainingDiverged

__all__ = ["SCVI", "InvalidCounts", "TrainingDiverged"]


def __getattr__(name):
    """Load the estimator when asked for: the benchmark of the engines runs where scikit-learn is missing."""
    if name == "SCVI":
        from .model import SCVI

        return SCVI
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
