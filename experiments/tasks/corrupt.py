"""The two corruptions of the imputation benchmark (paper, section 4.7)."""

from typing import NamedTuple

import numpy as np


class Corruption(NamedTuple):
    """A corrupted matrix and where it was touched."""

    X: object  # CSR (cells, genes), int32; entries thinned to zero are no longer stored
    rows: np.ndarray  # (chosen,) row of each chosen entry
    columns: np.ndarray  # (chosen,)
    original: np.ndarray  # (chosen,) counts before
    corrupted: np.ndarray  # (chosen,) counts after


def corrupt(X, *, kind, rng, **settings):
    """Corrupt a share of the non-zero entries of ``X``.

    Parameters
    ----------
    X : CSR matrix, shape (n_cells, n_genes)
        Counts without stored zeros; not modified.
    kind : {"uniform", "binomial"}
        ``uniform`` sets chosen entries to zero with ``zero_probability`` each, ``binomial`` replaces a chosen
        count n by a draw from Bin(n, ``rate``).
    rng : numpy.random.Generator
    **settings
        ``fraction`` of the non-zero entries to choose (without replacement, rounded down), and
        ``zero_probability`` or ``rate``.

    Returns
    -------
    Corruption

    Raises
    ------
    ValueError
        A setting is not a share.
    """
    for name, share in settings.items():
        if not 0 <= share <= 1:
            raise ValueError(f"protocol.corruption.{kind}.{name}={share} is not a share: choose from 0 to 1.")
    return {"uniform": _uniform, "binomial": _binomial}[kind](X, rng=rng, **settings)


def _uniform(X, *, rng, fraction, zero_probability):
    chosen = _choose(X, fraction, rng)
    kept = rng.random(chosen.size) >= zero_probability
    return _replace(X, chosen, X.data[chosen] * kept)


def _binomial(X, *, rng, fraction, rate):
    chosen = _choose(X, fraction, rng)
    return _replace(X, chosen, rng.binomial(X.data[chosen], rate))


def _choose(X, fraction, rng):
    return rng.choice(X.nnz, size=int(fraction * X.nnz), replace=False)


def _replace(X, chosen, values):
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[chosen]
    columns, original = X.indices[chosen].copy(), X.data[chosen].copy()
    values = values.astype(X.dtype)
    corrupted = X.copy()
    corrupted.data[chosen] = values
    corrupted.eliminate_zeros()
    return Corruption(corrupted, rows, columns, original, values)
