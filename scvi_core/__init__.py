"""The model of the paper, on its own: ``from scvi_core import SCVI``."""

from .convergence import NotConverged
from .data.counts import InvalidCounts
from .data.on_disk import StoredCounts
from .model import SCVI
from .training import TrainingDiverged

__all__ = ["SCVI", "InvalidCounts", "NotConverged", "StoredCounts", "TrainingDiverged"]
