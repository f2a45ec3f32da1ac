from .method import ZINBWaVE
from .zinbwave_r import ZINBWaVEInR

__all__ = ["ZINBWaVE", "ZINBWaVEInR"]
