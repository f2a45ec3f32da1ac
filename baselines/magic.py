"""MAGIC: imputation by diffusion over a graph of similar cells (van Dijk et al. 2018; paper, sections 2.4, 4.6)."""

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches

from .shared.transductive import Transductive

GENE_BLOCK = 512  # genes smoothed at a time: bounds the memory beside the result


class MAGIC(Transductive):
    """MAGIC as the paper ran it: the release of January 2018 on raw counts, without library-size normalisation.

    Cells are joined to their ``k`` nearest neighbours in the space of the first principal components; the counts take
    ``t`` steps of the random walk on that graph; each gene is then stretched back to its former upper percentile.

    Parameters
    ----------
    n_pca_components : int
        Principal components of the raw counts; fewer where the matrix has fewer.
    t : int
        Steps of the walk.
    k : int
        Nearest neighbours, the cell itself among them.
    ka : int
        The distance to the ``ka``-th other neighbour is the unit of length of a cell.
    epsilon : float
        Width of the kernel exp(-distance / epsilon²).
    rescale_percent : float
        Percentile of each gene that is kept; 0 leaves the smoothed counts as they are.
    random_state : int
        Seed of the starting vector of the iterative PCA.

    Attributes
    ----------
    transitions_ : scipy.sparse.csr_matrix, shape (n_cells, n_cells)
        The Markov matrix T.

    Notes
    -----
    The defaults are the parameters of the paper's code. Two differences from the original program: its PCA was
    randomised and unseeded, ours is exact to the precision of the solver; identical cells are neighbours at distance
    zero, where the original dropped such pairs (its sparse sum forgets stored zeros).

    Given its Markov matrix, equal to the program (KrishnaswamyLab/MAGIC of January 2018) to 1e-11; every cell weighs
    itself once, where rounding gave some twice.

    Cost
    ----
    n^1.2 G^1 (10,000 × 715: 3 s)

    Examples
    --------
    >>> from baselines.magic import MAGIC
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> MAGIC(n_pca_components=5, k=10, ka=4).fit(counts).impute(counts).shape
    (40, 12)
    """

    def __init__(self, n_pca_components=20, t=6, k=30, ka=10, epsilon=1.0, rescale_percent=99.0, random_state=0):
        self.n_pca_components = n_pca_components
        self.t = t
        self.k = k
        self.ka = ka
        self.epsilon = epsilon
        self.rescale_percent = rescale_percent
        self.random_state = random_state

    def fit(self, X, batch=None):
        """Build the graph of the cells of ``X``, counts (n_cells, n_genes); batch labels are not used."""
        if min(X.shape) < 3:
            raise ValueError(
                f"MAGIC needs at least 3 cells and 3 genes for its graph, not {X.shape[0]} × {X.shape[1]}: "
                "pass more of them."
            )
        n_components = min(self.n_pca_components, min(X.shape) - 1)
        pca = PCA(n_components=n_components, svd_solver="arpack", random_state=self.random_state)
        self.transitions_ = markov_matrix(
            pca.fit_transform(X.astype(np.float64)), k=self.k, ka=self.ka, epsilon=self.epsilon
        )
        self._remember(X, batch)
        return self

    def impute(self, X, batch=None):
        """Return the smoothed counts, (n_cells, n_genes), on the scale of ``X``: the matrix given to ``fit``."""
        counts = self._recall(X).tocsc()
        imputed = np.empty(counts.shape)
        for genes in gen_batches(counts.shape[1], GENE_BLOCK):
            observed = counts[:, genes].toarray().astype(np.float64)
            imputed[:, genes] = diffuse(self.transitions_, observed, self.t)
            if self.rescale_percent:
                imputed[:, genes] = rescale(imputed[:, genes], observed, self.rescale_percent)
        return imputed


def markov_matrix(points, *, k, ka, epsilon):
    """Return the transition matrix of the walk between ``points`` (n_cells, n_dimensions), CSR (n_cells, n_cells).

    The distances of a cell to its neighbours are divided by the distance to its ``ka``-th other neighbour; the two
    directions of a mutual pair are added, a one-way pair counts once; the affinity is exp(-distance / epsilon²), 1 on
    the diagonal; rows are normalised.
    """
    n_cells = points.shape[0]
    n_others = min(k, n_cells) - 1
    distance, neighbor = NearestNeighbors(n_neighbors=n_others).fit(points).kneighbors()  # without the cell itself
    unit = distance[:, min(ka, n_others) - 1][:, None]
    distance = np.divide(distance, unit, out=np.zeros_like(distance), where=unit > 0)

    cell = np.arange(n_cells)
    source, target = np.repeat(cell, n_others), neighbor.ravel()
    rows = np.concatenate([source, target, cell])
    columns = np.concatenate([target, source, cell])
    values = np.concatenate([distance.ravel(), distance.ravel(), np.zeros(n_cells)])
    affinity = sp.coo_matrix((values, (rows, columns)), shape=(n_cells, n_cells)).tocsr()  # adds what meets
    affinity.data = np.exp(-affinity.data / epsilon**2)
    return normalize(affinity, norm="l1", copy=False)


def diffuse(transitions, values, t):
    """Return T^t ``values`` (n_cells, n_genes) after ``t`` products, without ever forming T^t."""
    for _ in range(t):
        values = transitions @ values
    return values


def rescale(imputed, observed, percent):
    """Return ``imputed`` with every gene stretched so that its percentile is that of ``observed``.

    Where a percentile is 0 the largest value takes its place; a gene without counts stays 0.
    """

    def upper(values):
        percentile = np.percentile(values, percent, axis=0)
        return np.where(percentile == 0, values.max(axis=0), percentile)

    before, after = upper(observed), upper(imputed)
    return imputed * np.divide(before, after, out=np.ones_like(before), where=after > 0)
