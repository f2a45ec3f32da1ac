from .method import ZIFA

__all__ = ["ZIFA"]
