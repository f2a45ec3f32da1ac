"""GLM-PCA: principal components of counts by their own likelihood."""

from .method import GLMPCA

__all__ = ["GLMPCA"]
