from .method import SIMLR
from .simlr_r import SIMLRInR

__all__ = ["SIMLR", "SIMLRInR"]
