"""Hashes kept in the facts of a record: they prove that all methods of one seed saw the same."""

import hashlib

import numpy as np


def array_sha256(values):
    """Hash of an array of integers, whatever their type and memory layout."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype=np.int64).tobytes()).hexdigest()


def matrix_sha256(X):
    """Hash of a CSR matrix of counts: its shape and where it holds what."""
    digest = hashlib.sha256(repr(X.shape).encode())
    for part in (X.indptr, X.indices, X.data):
        digest.update(np.ascontiguousarray(part, dtype=np.int64).tobytes())
    return digest.hexdigest()
