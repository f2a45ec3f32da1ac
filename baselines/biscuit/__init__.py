from .method import BISCUIT

__all__ = ["BISCUIT"]
