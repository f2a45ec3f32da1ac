"""SIMLR as its authors' R package computes it; `baselines.simlr` is the same algorithm in Python."""

import numpy as np
import scipy.sparse as sp

from r_env import bridge

from .method import SIMLR

SCRIPT = "simlr_r.R"


class SIMLRInR(SIMLR):
    """``SIMLR_Large_Scale`` of the R package on log(1 + counts); parameters and attributes as in :class:`SIMLR`.

    Clusters and the 2-d embedding are the package's own k-means and t-SNE.

    Examples
    --------
    >>> from baselines.simlr import SIMLRInR
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> mean = rng.gamma(1, 4, size=(2, 30))  # of two types
    >>> counts = rng.poisson(mean[np.arange(80) % 2]) + 1
    >>> SIMLRInR(n_clusters=2, n_neighbors=10, n_components=5).fit(counts).latent(counts).shape
    (80, 2)
    """

    def fit(self, X, batch=None):
        """Learn similarity, latent space, clusters and embedding of counts ``X`` (n_cells, n_genes).

        Raises
        ------
        RUnavailable
            R or SIMLR is not installed.
        """
        bridge.require(SCRIPT)
        found = bridge.call(
            SCRIPT,
            "fit",
            log_counts=X.astype(np.float64).log1p().T,
            n_clusters=self.n_clusters,
            n_neighbors=self.n_neighbors,
            n_components=self.n_components,
            seed=self.random_state,
        )
        n_cells, n_kept = found["neighbor"].shape
        cell = np.repeat(np.arange(n_cells), n_kept)
        neighbor = found["neighbor"].astype(int).ravel() - 1  # R counts from 1
        self.similarity_ = sp.csr_matrix((found["similarity"].ravel(), (cell, neighbor)), shape=(n_cells, n_cells))
        self.latent_ = found["latent"]
        self.kernel_weights_ = found["kernel_weights"]
        self.n_clusters_ = int(found["n_clusters"][0])
        self.cluster_ = found["cluster"].astype(int) - 1
        self.embedding_ = found["embedding"]
        self._remember(X, batch)
        return self

    def clusters(self, X, batch=None):
        """Return the labels (n_cells,) of the package's k-means on F, of the matrix given to ``fit``."""
        self._recall(X)
        return self.cluster_.copy()

    def embed(self, X, batch=None):
        """Return the package's 2-d t-SNE of the similarity, (n_cells, 2), of the matrix given to ``fit``."""
        self._recall(X)
        return self.embedding_.copy()
