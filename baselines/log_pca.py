"""Principal components of log-normalised counts: what most analyses of single cells start from today."""

import numpy as np
from sklearn.decomposition import PCA

from .base import Method
from .shared.normalise import check_n_latent, check_target, library_sizes, log_normalised


class LogNormalPCA(Method):
    """PCA of log(1 + counts / size factor), the size factor being the library size over its median.

    These are the first steps of the tutorials of scanpy and Seurat, on all genes: no selection of variable genes and no
    scaling of their variances, so that it differs from `baselines.pca.PCA`, the row of the paper, in the size factors
    alone. ``impute`` takes the reconstruction y of a cell from its components back to counts by the same way,
    max(exp(y) - 1, 0) × size factor of the cell. Cells that were not fitted are normalised to the median of those that
    were.

    Parameters
    ----------
    n_latent : int
        Number of components; 10 as in the paper's rows, where the tutorials take up to 50.
    target : float or None
        What the counts of a cell sum to after normalisation; None is the median library size of the fitted cells, the
        default of scanpy's ``normalize_total``, and 1e4 the default of Seurat.
    random_state : int
        Seed of the randomised solver, which scikit-learn takes on large matrices.

    Attributes
    ----------
    target_ : float
    model_ : sklearn.decomposition.PCA

    Notes
    -----
    Equal to scanpy 1.11 (``normalize_total``, ``log1p``, ``pca``) to 2e-5 and up to the signs of the components. It has
    no ``loglik``: the size factor is computed from the counts whose probability would be asked for, so that a density
    of the normalised values is none of the counts.

    Examples
    --------
    >>> from baselines.log_pca import LogNormalPCA
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> pca = LogNormalPCA(n_latent=2).fit(counts)
    >>> pca.latent(counts).shape, pca.impute(counts).shape
    ((40, 2), (40, 12))
    """

    def __init__(self, n_latent=10, target=None, random_state=0):
        self.n_latent = n_latent
        self.target = target
        self.random_state = random_state

    def check_parameters(self):
        """Raise ValueError where ``target`` is not positive."""
        check_target(self.target)

    def fit(self, X, batch=None):
        """Fit to counts (n_cells, n_genes); batch labels are not used."""
        self.check_parameters()
        check_n_latent(self, X.shape)
        self.target_ = float(np.median(library_sizes(X))) if self.target is None else float(self.target)
        Y, _ = log_normalised(X, self.target_)
        self.model_ = PCA(n_components=self.n_latent, random_state=self.random_state).fit(Y)
        return self

    def latent(self, X, batch=None):
        """Return the principal components, (n_cells, n_latent)."""
        return self.model_.transform(log_normalised(X, self.target_)[0])

    def impute(self, X, batch=None):
        """Return the counts that the components stand for, (n_cells, n_genes); values below zero become zero."""
        Y, factors = log_normalised(X, self.target_)
        reconstruction = self.model_.inverse_transform(self.model_.transform(Y))
        return np.maximum(np.expm1(reconstruction), 0.0) * factors[:, None]
