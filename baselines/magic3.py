"""MAGIC as its authors distribute it today: the package magic-impute 3 (van Dijk et al. 2018)."""

import warnings

import numpy as np
import scipy.sparse as sp

from .base import Skip
from .shared.normalise import library_sizes
from .shared.transductive import Transductive


class MAGIC3(Transductive):
    """``magic-impute`` 3 on the square root of library-normalised counts, the input its authors recommend.

    The result is squared and multiplied by the size factor of the cell (library size / median library size), which
    brings it back to the scale of the counts.

    Parameters
    ----------
    knn, knn_max, decay, t, n_pca, solver
        As in ``magic.MAGIC``, with its defaults: neighbours that set the bandwidth, neighbours kept (None: 3 knn),
        decay of the kernel, steps of the walk (an integer or "auto"), principal components, "exact" or "approximate".
    random_state : int
    verbose : bool
        Let the package report its progress.

    Attributes
    ----------
    operator_ : magic.MAGIC
        The fitted object of the package.
    expressed_ : ndarray of bool, shape (n_genes,)
        Genes with counts; the others stay 0.

    Cost
    ----
    n^1 (10,000 × 715: 4 s)

    Examples
    --------
    >>> from baselines.magic3 import MAGIC3
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> MAGIC3(n_pca=5).fit(counts).impute(counts).shape
    (40, 12)
    """

    def __init__(self, knn=5, knn_max=None, decay=1, t=3, n_pca=100, solver="exact", random_state=0, verbose=False):
        self.knn = knn
        self.knn_max = knn_max
        self.decay = decay
        self.t = t
        self.n_pca = n_pca
        self.solver = solver
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, batch=None):
        """Build the graph of the cells of ``X``, counts (n_cells, n_genes); batch labels are not used.

        Raises
        ------
        Skip
            If ``magic-impute`` is not installed.
        """
        try:
            import magic
        except ImportError as error:
            raise Skip('MAGIC 3 needs the extra "magic": pip install ".[magic]"') from error
        operator = magic.MAGIC(
            knn=self.knn,
            knn_max=self.knn_max,
            decay=self.decay,
            t=self.t,
            n_pca=self.n_pca,
            solver=self.solver,
            random_state=self.random_state,
            n_jobs=1,
            verbose=int(self.verbose),
        )
        self.expressed_ = np.asarray(X.sum(axis=0)).ravel() > 0  # the package asks for genes with counts
        # Dense: from a sparse matrix the package would take principal components without centring.
        self.operator_ = _quietly(operator.fit, sqrt_normalised(X)[:, self.expressed_].toarray())
        self._remember(X, batch)
        return self

    def impute(self, X, batch=None):
        """Return the smoothed counts, (n_cells, n_genes), on the scale of ``X``: the matrix given to ``fit``."""
        counts = self._recall(X)
        smoothed = np.asarray(_quietly(self.operator_.transform))
        imputed = np.zeros(counts.shape)
        # The approximate solver can go below zero.
        imputed[:, self.expressed_] = np.maximum(smoothed, 0.0) ** 2 * size_factors(counts)[:, None]
        return imputed


def _quietly(call, *arguments):
    """Make a call into the package without its warnings that its own logger is deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Call to deprecated method", category=DeprecationWarning)
        return call(*arguments)


def size_factors(counts):
    """Return library size / median library size, (n_cells,)."""
    library_size = library_sizes(counts)
    return library_size / np.median(library_size)


def sqrt_normalised(counts):
    """Return the square root of ``counts`` / size factor, CSR (n_cells, n_genes)."""
    return sp.csr_matrix(np.sqrt(sp.diags(1 / size_factors(counts)) @ counts))
