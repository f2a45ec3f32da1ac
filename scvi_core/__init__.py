"""The model of the paper, on its own: ``from scvi_core import SCVI``."""

from .counts import InvalidCounts
from .model import SCVI
from .stored import StoredCounts
from .training import TrainingDiverged

__all__ = ["SCVI", "InvalidCounts", "StoredCounts", "TrainingDiverged"]
