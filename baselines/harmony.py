"""Harmony as its package for Python computes it: harmonypy (Korsunsky et al. 2019)."""

import numpy as np
import pandas as pd

from .base import Skip, check_batch
from .log_pca import LogNormalPCA
from .shared.transductive import Transductive


class Harmony(Transductive):
    """``harmonypy.run_harmony`` on the principal components of log-normalised counts.

    Two steps take turns. The cells are clustered, softly and so that every cluster has cells of all batches as far as
    possible. Then a linear correction within each cluster moves its batches onto each other. It corrects components
    and no genes: there is ``latent`` and no ``correct``. With a single batch the components stay as they are.

    Parameters
    ----------
    n_latent : int
        Principal components, and dimensions of what is returned; 10 as in the paper's rows, where the package's
        examples take 20 or more.
    theta, sigma : float
        Penalty on clusters that lack batches, and width of the soft clusters: the package's 2 and 0.1.
    max_iter : int
        Most rounds of clustering and correction, the package's 10.
    random_state : int

    Attributes
    ----------
    latent_ : ndarray, shape (n_cells, n_latent)

    Notes
    -----
    Tested with harmonypy 2.1, which computes in single precision and estimates the ridge penalty of the correction from
    the sizes of batch and cluster. It is given one thread. Components as in `log_pca.LogNormalPCA`.

    References
    ----------
    Korsunsky et al., Nature Methods 16:1289 (2019).

    Examples
    --------
    >>> from baselines.harmony import Harmony
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(60, 30))
    >>> batch = np.repeat(["a", "b"], 30)
    >>> Harmony(n_latent=2).fit(counts, batch).latent(counts, batch).shape
    (60, 2)
    """

    def __init__(self, n_latent=10, theta=2.0, sigma=0.1, max_iter=10, random_state=0):
        self.n_latent = n_latent
        self.theta = theta
        self.sigma = sigma
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X, batch=None):
        """Correct the components of ``X``, counts (n_cells, n_genes), for ``batch`` (n_cells,).

        Raises
        ------
        Skip
            If ``harmonypy`` is not installed.
        """
        try:
            from harmonypy import run_harmony
        except ImportError as error:
            raise Skip('Harmony needs the extra "harmony": pip install ".[harmony]"') from error
        labels = check_batch(batch, X.shape[0])
        self.latent_ = LogNormalPCA(n_latent=self.n_latent, random_state=self.random_state).fit(X).latent(X)
        if len(np.unique(labels)) > 1:
            corrected = run_harmony(
                self.latent_,
                pd.DataFrame({"batch": labels.astype(str)}),
                "batch",
                nclust=max(1, min(round(len(labels) / 30), 100)),  # the package's, which for few cells would be none
                theta=self.theta,
                sigma=self.sigma,
                max_iter_harmony=self.max_iter,
                random_state=self.random_state,
                ncores=1,
                verbose=False,
            ).Z_corr
            self.latent_ = np.array(corrected, dtype=np.float64)
        self._remember(X, batch)
        return self

    def latent(self, X, batch=None):
        """Return the corrected components, (n_cells, n_latent), of the matrix given to ``fit``."""
        self._recall(X, batch)
        return self.latent_.copy()
