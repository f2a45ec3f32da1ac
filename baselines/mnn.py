"""Batch correction by mutual nearest neighbours (Haghverdi et al. 2018), as in the published version of the paper.

Written after the behaviour of ``mnnCorrect`` of the R package scran 1.8.4, the release of the time.
"""

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches
from tqdm import tqdm

from .base import check_batch
from .shared.transductive import Transductive

CELL_BLOCK = 256  # cells corrected at a time: memory beside the matrix is a few CELL_BLOCK × n_cells arrays


class MNN(Transductive):
    """Correction of log(1 + counts) by mutual nearest neighbours.

    Every cell becomes a vector of length one. Batches are merged one after another into the first: pairs of cells that
    are among each other's ``n_neighbors`` nearest across the two sides span correction vectors; each cell of the
    incoming batch moves by the kernel-weighted mean of the vectors of its batch, lengthened where the batch would
    otherwise stop short of its place within the reference.

    Parameters
    ----------
    n_neighbors : int
        Nearest neighbours on each side (``k`` of mnnCorrect); fewer where a batch has fewer cells.
    sigma : float
        Width of the kernel exp(-squared distance / sigma) between cells of length one.
    adjust_variance : bool
        Lengthen the correction vectors (``var.adj`` of mnnCorrect).
    n_latent : int
        Principal components of the corrected matrix that ``latent`` returns; the paper uses 10.
    random_state : int
        Seed of the randomised PCA, which scikit-learn takes on large matrices.
    verbose : bool
        Show a progress bar over the cells.

    Attributes
    ----------
    corrected_ : ndarray, shape (n_cells, n_genes)
    batches_ : ndarray
        Batch labels in the order of merging (sorted); the first is the reference and stays as it is.
    pairs_ : list of ndarray, shape (n_pairs, 2)
        Per merge, the rows of the mutual neighbours: reference side, incoming side.

    Notes
    -----
    The defaults are the call of the paper's code. Equal to scran to 1e-12; ``subset.row``, ``svd.dim`` and the
    diagnostics of angles are left out, the paper does not use them.

    Cost
    ----
    n^1.8 G^0.8 (10,000 × 715: 10 s; the paper's code took 4 h on RETINA)

    Examples
    --------
    >>> from baselines.mnn import MNN
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> batch = np.repeat(["a", "b"], 20)
    >>> mnn = MNN(n_neighbors=5, n_latent=2).fit(counts, batch)
    >>> mnn.latent(counts, batch).shape, mnn.correct(counts, batch).shape
    ((40, 2), (40, 12))
    """

    def __init__(self, n_neighbors=20, sigma=0.1, adjust_variance=True, n_latent=10, random_state=0, verbose=False):
        self.n_neighbors = n_neighbors
        self.sigma = sigma
        self.adjust_variance = adjust_variance
        self.n_latent = n_latent
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, batch=None):
        """Correct counts ``X`` (n_cells, n_genes) for ``batch`` (n_cells,); a single batch is left as it is."""
        batch = check_batch(batch, X.shape[0])
        if not 1 <= self.n_latent <= min(X.shape):
            raise ValueError(
                f"MNN cannot give n_latent={self.n_latent} components of {X.shape[0]} cells × {X.shape[1]} "
                f"genes: choose 1 to {min(X.shape)}."
            )
        corrected = normalize(np.log1p(X.toarray()))  # cosine normalisation: every cell of length one
        self.batches_ = np.unique(batch)
        merged, self.pairs_ = np.flatnonzero(batch == self.batches_[0]), []
        for label in self.batches_[1:]:
            incoming = np.flatnonzero(batch == label)
            reference, target = corrected[merged], corrected[incoming]
            first, second = mutual_neighbors(reference, target, self.n_neighbors)
            shift = smoothed_shift(reference[first] - target[second], second, target, self.sigma)
            if self.adjust_variance:
                shift *= stretch(reference, target, shift, self.sigma, verbose=self.verbose)[:, None]
            corrected[incoming] = target + shift
            self.pairs_.append(np.column_stack([merged[first], incoming[second]]))
            merged = np.concatenate([merged, incoming])
        self.corrected_ = corrected
        self._remember(X, batch)
        return self

    def correct(self, X, batch):
        """Return the corrected values, (n_cells, n_genes): log(1 + counts) on the scale of cells of length one."""
        self._recall(X, batch)
        return self.corrected_.copy()

    def latent(self, X, batch=None):
        """Return the first ``n_latent`` principal components of the corrected matrix, (n_cells, n_latent)."""
        self._recall(X, batch)
        return PCA(self.n_latent, random_state=self.random_state).fit_transform(self.corrected_)


def mutual_neighbors(reference, target, n_neighbors):
    """Return the rows of ``reference`` and of ``target`` that are among each other's nearest neighbours, two arrays."""

    def graph(of, among):
        search = NearestNeighbors(n_neighbors=min(n_neighbors, among.shape[0])).fit(among)
        return search.kneighbors_graph(of)

    return graph(reference, target).multiply(graph(target, reference).T).nonzero()


def smoothed_shift(vectors, owner, target, sigma):
    """Return the correction vector of every cell of ``target``, (n_cells, n_genes).

    Parameters
    ----------
    vectors : ndarray, shape (n_pairs, n_genes)
        Reference minus target of the mutual pairs.
    owner : ndarray of int, shape (n_pairs,)
        The row of ``target`` in each pair; the vectors of one cell are averaged first.
    target : ndarray, shape (n_cells, n_genes)
    sigma : float

    Notes
    -----
    A paired cell weighs exp(-squared distance / sigma), divided by the density of paired cells around it, so that
    crowded regions do not dominate.
    """
    paired, inverse, n_vectors = np.unique(owner, return_inverse=True, return_counts=True)
    mean = np.zeros((paired.size, target.shape[1]))
    np.add.at(mean, inverse, vectors)
    mean /= n_vectors[:, None]
    log_density = logsumexp(-euclidean_distances(target[paired], squared=True) / sigma, axis=1)
    shift = np.empty_like(target)
    for cells in gen_batches(target.shape[0], CELL_BLOCK):
        log_kernel = -euclidean_distances(target[cells], target[paired], squared=True) / sigma
        shift[cells] = softmax(log_kernel - log_density, axis=1) @ mean
    return shift


def stretch(reference, target, shift, sigma, *, verbose=False):
    """Return the factor (n_cells,), at least 1, by which each cell's ``shift`` is lengthened.

    Mutual neighbours sit where two clouds face each other, so the plain shift brings the clouds into contact, not into
    one place. Along its own direction each cell has a rank within ``target``; the factor carries it to the same
    quantile of ``reference``, both distributions weighted by exp(-squared distance from the cell's line / sigma).
    """
    length = np.linalg.norm(shift, axis=1)
    direction = np.divide(shift, length[:, None], out=np.zeros_like(shift), where=length[:, None] > 0)
    factor = np.ones(target.shape[0])
    with tqdm(total=target.shape[0], desc="MNN", unit="cell", disable=not verbose) as progress:
        for cells in gen_batches(target.shape[0], CELL_BLOCK):
            own, line = target[cells], direction[cells]
            start = np.einsum("cg,cg->c", own, line)[:, None]  # (cells, 1), position of the cell on its line
            position, log_weight = _along(line, own, start, target, sigma)
            rows = np.arange(own.shape[0])
            position[rows, rows + cells.start] = start[:, 0]  # the cell itself: exactly on its line, at its place
            log_weight[rows, rows + cells.start] = 0.0
            weight = np.exp(log_weight)
            rank = (weight * (position <= start)).sum(axis=1) / weight.sum(axis=1)
            quantile = _weighted_quantile(*_along(line, own, start, reference, sigma), rank)
            gain = np.divide(quantile - start[:, 0], length[cells], out=np.ones(own.shape[0]), where=length[cells] > 0)
            factor[cells] = np.maximum(gain, 1.0)
            progress.update(own.shape[0])
    return factor


def _along(line, own, start, others, sigma):
    """Return positions of ``others`` along the lines and -(squared distance off) / sigma, both (cells, others)."""
    position = line @ others.T
    off_line = euclidean_distances(own, others, squared=True) - (position - start) ** 2
    return position, -np.maximum(off_line, 0.0) / sigma


def _weighted_quantile(position, log_weight, rank):
    """Return, per row, the first position whose cumulative share of the weights reaches ``rank``."""
    order = np.argsort(position, axis=1)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))  # only shares matter: avoid underflow
    cumulative = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    reached = np.argmax(cumulative >= (rank * cumulative[:, -1])[:, None], axis=1)
    return np.take_along_axis(position, np.take_along_axis(order, reached[:, None], axis=1), axis=1)[:, 0]
