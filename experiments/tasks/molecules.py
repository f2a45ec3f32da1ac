"""Counts split molecule by molecule: one part for a method to see, the other to score it on (Batson et al. 2019)."""


def split_molecules(X, *, share, rng):
    """Split every count n into a draw from Bin(n, ``share``) and the rest.

    Where counts are Poisson given their rates, the two parts are independent given these, with means in the ratio
    ``share`` : 1 − ``share``.

    Parameters
    ----------
    X : CSR matrix, shape (n_cells, n_genes)
        Counts; not modified.
    share : float
        Of the molecules that are seen, between 0 and 1.
    rng : numpy.random.Generator

    Returns
    -------
    seen, kept_back : CSR matrices, shape (n_cells, n_genes)
        They add up to ``X``; without stored zeros.

    Raises
    ------
    ValueError
        The share leaves one part without molecules.
    """
    if not 0 < share < 1:
        raise ValueError(f"experiment.axes.share_seen={share} leaves nothing on one side: choose between 0 and 1.")
    seen = X.copy()
    seen.data = rng.binomial(X.data, share).astype(X.dtype)
    kept_back = X.copy()
    kept_back.data = X.data - seen.data
    for part in (seen, kept_back):
        part.eliminate_zeros()
    return seen, kept_back
