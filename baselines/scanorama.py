"""Scanorama as its package computes it (Hie, Bryson and Berger 2019)."""

import contextlib
import io
import random

import numpy as np
import scipy.sparse as sp

from .base import Skip, check_batch
from .shared.normalise import check_n_latent, log_normalised
from .shared.transductive import Transductive


class Scanorama(Transductive):
    """``scanorama.correct`` on the log-normalised counts of the batches.

    Every cell becomes a vector of length one. Batches are joined like the pictures of a panorama: pairs of cells that
    are among each other's nearest in the common singular vectors span corrections, smoothed over the cells of a batch;
    the pair of batches with most such cells goes first. With a single batch nothing is corrected.

    Parameters
    ----------
    n_latent : int
        Singular vectors (``dimred``) in which neighbours are sought, and dimensions of ``latent``; 10 as in the paper's
        rows, where the package's default is 100.
    n_neighbors : int
        Neighbours (``knn``), the package's 20; fewer where a batch has fewer cells.
    sigma, alpha : float
        Width of the smoothing and smallest share of matched cells that joins two batches: the package's 15 and 0.1.
    approx : bool
        Approximate neighbours, the default of the package. Here they are exact, so that runs repeat each other.
    random_state : int

    Attributes
    ----------
    latent_ : ndarray, shape (n_cells, n_latent)
    corrected_ : ndarray, shape (n_cells, n_genes)

    Notes
    -----
    Counts are normalised to their median total and taken to log(1 + x) before, as the package's authors recommend. All
    genes are used. Batches that match in fewer than ``alpha`` of their cells stay as they are, without a word.

    References
    ----------
    Hie, Bryson and Berger, Nature Biotechnology 37:685 (2019).

    Examples
    --------
    >>> from baselines.scanorama import Scanorama
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(60, 30))
    >>> batch = np.repeat(["a", "b"], 30)
    >>> scanorama = Scanorama(n_latent=2).fit(counts, batch)
    >>> scanorama.latent(counts, batch).shape, scanorama.correct(counts, batch).shape
    ((60, 2), (60, 30))
    """

    def __init__(self, n_latent=10, n_neighbors=20, sigma=15.0, alpha=0.1, approx=False, random_state=0):
        self.n_latent = n_latent
        self.n_neighbors = n_neighbors
        self.sigma = sigma
        self.alpha = alpha
        self.approx = approx
        self.random_state = random_state

    def fit(self, X, batch=None):
        """Correct counts ``X`` (n_cells, n_genes) for ``batch`` (n_cells,).

        Raises
        ------
        Skip
            If ``scanorama`` is not installed.
        """
        try:
            import scanorama
        except ImportError as error:
            raise Skip('Scanorama needs the extra "scanorama": pip install ".[scanorama]"') from error
        check_n_latent(self, X.shape)
        labels = check_batch(batch, X.shape[0])
        Y, _ = log_normalised(X)
        parts = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        genes = [f"{gene:09d}" for gene in range(X.shape[1])]  # the package sorts them
        with _own_random_state(), contextlib.redirect_stdout(io.StringIO()):
            latent, corrected, _ = scanorama.correct(
                [sp.csr_matrix(Y[cells]) for cells in parts],
                [genes] * len(parts),
                return_dimred=True,
                return_dense=True,
                dimred=self.n_latent,
                knn=min(self.n_neighbors, *map(len, parts)),
                sigma=self.sigma,
                alpha=self.alpha,
                approx=self.approx,
                seed=self.random_state,
                verbose=False,
            )
        order = np.concatenate(parts)
        self.latent_, self.corrected_ = np.empty((len(Y), self.n_latent)), np.empty(Y.shape)
        self.latent_[order], self.corrected_[order] = np.concatenate(latent), np.concatenate(corrected)
        self._remember(X, batch)
        return self

    def latent(self, X, batch=None):
        """Return the joined singular vectors, (n_cells, n_latent), of the matrix given to ``fit``."""
        self._recall(X, batch)
        return self.latent_.copy()

    def correct(self, X, batch):
        """Return the corrected values, (n_cells, n_genes): log-normalised, on the scale of cells of length one."""
        self._recall(X, batch)
        return self.corrected_.copy()


@contextlib.contextmanager
def _own_random_state():
    """Leave the global random states, which the package seeds and uses, as they were."""
    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
