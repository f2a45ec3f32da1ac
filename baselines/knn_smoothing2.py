"""kNN-smoothing 2 (Wagner, Yan and Yanai 2018): the counts of a cell summed with those of its nearest cells."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

from .shared.normalise import library_sizes
from .shared.transductive import Transductive

CELL_BLOCK = 256  # cells whose distances to all others are held at a time


class KNNSmoothing2(Transductive):
    """Counts summed over a cell and its neighbours, which are sought anew among the smoothed cells, more in each step.

    In step t = 1, 2, … every cell is the sum of the observed counts of itself and of its min(2^t - 1, n_neighbors)
    nearest cells. Distances are Euclidean between the first ``n_components`` principal components of the cells smoothed
    so far, scaled to their median total and stabilised by Freeman and Tukey's sqrt(x) + sqrt(x + 1).

    ``impute`` scales the sum to the cell's own library size: sum × library size / total of the sum, so that a cell
    among deeper neighbours keeps its depth. The original returns the sum.

    Parameters
    ----------
    n_neighbors : int
        Neighbours of a cell besides itself in the last step (``k``), fewer than there are cells; 15 is the example of
        the authors' manual.
    n_components : int
        Principal components (``d``); the authors' 10, fewer where there are fewer cells or genes.
    random_state : int
        Seed of the randomised solver that scikit-learn takes on large matrices.

    Attributes
    ----------
    smoothed_ : ndarray, shape (n_cells, n_genes)
        The sums.

    Notes
    -----
    As version 2 of the authors' program: version 1 has no principal components, 2.1 counts the cell itself among the k
    and adds noise to the components before the distances, so that cells that were smoothed alike lie apart. Here
    such a tie goes to the cell that comes first; in version 2 rounding decides. A cell's first neighbour is itself.

    References
    ----------
    Wagner, Yan and Yanai, bioRxiv 217737 (version of April 2018), Algorithm 2.

    Examples
    --------
    >>> from baselines.knn_smoothing2 import KNNSmoothing2
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> imputed = KNNSmoothing2(n_neighbors=7).fit(counts).impute(counts)
    >>> bool(np.allclose(imputed.sum(axis=1), counts.sum(axis=1)))  # a cell keeps its depth
    True
    """

    def __init__(self, n_neighbors=15, n_components=10, random_state=0):
        self.n_neighbors = n_neighbors
        self.n_components = n_components
        self.random_state = random_state

    def check_parameters(self):
        """Raise ValueError where a number is below one."""
        for name in ("n_neighbors", "n_components"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: choose 1 or more.")

    def fit(self, X, batch=None):
        """Smooth the counts ``X`` (n_cells, n_genes); batch labels are not used.

        Raises
        ------
        ValueError
            There are no more cells than neighbours.
        """
        self.check_parameters()
        if self.n_neighbors >= X.shape[0]:
            raise ValueError(
                f"{X.shape[0]} cells do not have n_neighbors={self.n_neighbors} others each: choose 1 to "
                f"{X.shape[0] - 1}."
            )
        counts = X.toarray().astype(np.float64)
        smoothed, first, place = counts, np.arange(len(counts)), np.arange(len(counts))
        for n in schedule(self.n_neighbors):
            index = nearest(self._components(smoothed)[first], place, n)
            smoothed = np.array([counts[cells].sum(axis=0) for cells in index])
            # Cells with the same neighbours are one point from here on: rounding is not to tell them apart.
            _, first, place = np.unique(np.sort(index, axis=1), axis=0, return_index=True, return_inverse=True)
        self.smoothed_ = smoothed
        self._remember(X, batch)
        return self

    def impute(self, X, batch=None):
        """Return the smoothed counts at the depth of each cell, (n_cells, n_genes): for the matrix given to ``fit``."""
        counts = self._recall(X)
        return self.smoothed_ * (library_sizes(counts) / self.smoothed_.sum(axis=1))[:, None]

    def _components(self, smoothed):
        total = smoothed.sum(axis=1, keepdims=True)
        scaled = smoothed * (np.median(total) / total)
        stable = np.sqrt(scaled) + np.sqrt(scaled + 1)
        n_components = min(self.n_components, *stable.shape)
        return PCA(n_components, random_state=self.random_state).fit_transform(stable)


def schedule(n_neighbors):
    """Return the numbers of neighbours of the steps: 1, 3, 7, … and ``n_neighbors`` itself."""
    n_steps = int(np.ceil(np.log2(n_neighbors + 1)))
    return [min(2**step - 1, n_neighbors) for step in range(1, n_steps + 1)]


def nearest(points, place, n_neighbors):
    """Return the rows of each cell, itself first, and its nearest others, (n_cells, 1 + n_neighbors).

    Parameters
    ----------
    points : array (n_points, n_components)
    place : array of int (n_cells,)
        The point of each cell. Cells of one point are equally far from any other to the last bit, and of these the
        first comes first.
    n_neighbors : int
    """
    found = []
    for cells in gen_batches(len(place), CELL_BLOCK):
        distance = euclidean_distances(points[place[cells]], points)[:, place]
        rows = np.arange(len(distance))
        distance[rows, cells.start + rows] = -1  # whatever rounding says, a cell is nearest to itself
        found.append(np.argsort(distance, axis=1, kind="stable")[:, : n_neighbors + 1])
    return np.concatenate(found)
