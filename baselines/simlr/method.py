"""SIMLR for many cells: a cell-cell similarity of multiple kernels with as many blocks as clusters.

Wang et al. 2017, in the large-scale form of the R package SIMLR 1.38.0 (``SIMLR_Large_Scale``); paper, section 4.6.
"""

from numbers import Integral

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors, sort_graph_by_row_values
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches
from tqdm import tqdm

from ..shared.transductive import Transductive
from .kernels import NeighborKernels
from .n_clusters import estimate_n_clusters

N_ITERATIONS = 5
BETA = 0.8  # share of the new estimate in every update; also the diffusion of the eigenvalues
CELL_BLOCK = 1024


class SIMLR(Transductive):
    """Large-scale SIMLR on log(1 + counts).

    Parameters
    ----------
    n_clusters : int or None
        Blocks of the similarity and columns of the latent space; the paper takes the number of cell types. None
        estimates it (``baselines.simlr.n_clusters``: smallest K1 among 2 to 20), as the paper does for HEMATO and the
        random data; that needs memory for four n_cells × n_cells matrices.
    n_neighbors : int
        ``k`` of the paper's call; twice as many neighbours are kept per cell, the cell itself included.
    n_components : int
        Principal components in which neighbours are sought (``kk``).
    random_state : int
        Seed of the random projection, k-means and t-SNE.
    verbose : bool
        Show a progress bar over the iterations.

    Attributes
    ----------
    latent_ : ndarray, shape (n_cells, n_clusters)
        The matrix F, what the paper clusters and scores; rows sum to at most 1 in absolute value.
    similarity_ : scipy.sparse.csr_matrix, shape (n_cells, n_cells)
        S on the neighbours of each cell, rows sum to 1; not symmetric.
    kernel_weights_ : ndarray, shape (n_kernels,)
    n_clusters_ : int

    Notes
    -----
    Neighbours are exact (the original: Annoy). The sign of an eigenvector is arbitrary, yet the original mixes each F
    with the one before, so that its result hangs on signs the solver happened to choose; here the entry of largest
    magnitude is positive at first, and later eigenvectors point the way of the previous F.

    Given neighbours and signs, equal to the package to 1e-10 (S, F, kernel weights, K1 and K2); the signs alone move
    single entries of S, by up to 0.3 where types overlap, and hardly where they lie apart.

    Cost
    ----
    n^0.9 to 10,000 cells, n^1.4 to 30,000, G^0 (10,000 × 715: 11 s, 0.4 GB; 30,000: 50 s); embed n^1.3 (10,000: 79 s);
    estimate of the number of clusters n^2.5 (3,000: 11 s; 10,000: 200 s, 4 n² numbers)

    Examples
    --------
    >>> from baselines.simlr import SIMLR
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> mean = rng.gamma(1, 4, size=(2, 30))  # of two types
    >>> counts = rng.poisson(mean[np.arange(80) % 2]) + 1
    >>> simlr = SIMLR(n_clusters=2, n_neighbors=10, n_components=5).fit(counts)
    >>> simlr.latent(counts).shape
    (80, 2)
    >>> clusters = simlr.clusters(counts)
    >>> [len(set(clusters[start::2])) for start in (0, 1)]  # each type is in one cluster
    [1, 1]
    """

    def __init__(
        self, n_clusters: int | str | None = 10, n_neighbors=30, n_components=200, random_state=0, verbose=False
    ):
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.n_components = n_components
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, batch=None):
        """Learn similarity and latent space of counts ``X`` (n_cells, n_genes); batch labels are not used."""
        n_cells = X.shape[0]
        if n_cells <= 2 * self.n_neighbors:
            raise ValueError(
                f"SIMLR with n_neighbors={self.n_neighbors} needs more than {2 * self.n_neighbors} cells, "
                f"not {n_cells}: lower n_neighbors."
            )
        log_counts = X.astype(np.float64).log1p()
        n_clusters = self.n_clusters
        if n_clusters is None:
            n_clusters = int(estimate_n_clusters(log_counts, verbose=self.verbose)["K1"].idxmin())
        if not (isinstance(n_clusters, Integral) and 1 <= n_clusters < n_cells):
            raise ValueError(
                f"SIMLR cannot find n_clusters={n_clusters} blocks in {n_cells} cells: choose 1 to {n_cells - 1}."
            )
        rng = np.random.default_rng(self.random_state)
        features = fast_pca(log_counts, self.n_components, rng)
        distance, neighbor = nearest_neighbors(features, 2 * self.n_neighbors)
        similarity, latent, weights = learn_similarity(
            distance, neighbor, n_clusters, self.n_neighbors, verbose=self.verbose
        )
        self.similarity_, self.latent_, self.kernel_weights_ = _on_cells(similarity, neighbor), latent, weights
        self.n_clusters_ = n_clusters
        self._remember(X, batch)
        return self

    def latent(self, X, batch=None):
        """Return F, (n_cells, n_clusters), of the matrix given to ``fit``."""
        self._recall(X)
        return self.latent_.copy()

    def clusters(self, X, batch=None):
        """Return labels (n_cells,) of k-means on F, the best of 200 starts as in the original."""
        self._recall(X)
        return KMeans(self.n_clusters_, n_init=200, random_state=self.random_state).fit_predict(self.latent_)

    def embed(self, X, batch=None):
        """Return a 2-d t-SNE of the similarity, (n_cells, 2).

        A neighbour has affinity S_ij^b, with b per cell such that all cells have the same perplexity, a third of the
        number of neighbours; the original takes b = 1 whatever the perplexity, and 300 iterations for our 1000.
        """
        self._recall(X)
        graph = self.similarity_.copy()
        graph.data = np.sqrt(-np.log(np.clip(graph.data, 1e-12, 1.0)))  # t-SNE squares: exp(-b d²) = S^b
        graph.setdiag(0.0)
        graph = sort_graph_by_row_values(graph, warn_when_not_sorted=False)
        perplexity = (2 * self.n_neighbors - 2) / 3  # t-SNE asks for 3 × perplexity + 1 neighbours, self not counted
        tsne = TSNE(metric="precomputed", init="random", perplexity=perplexity, random_state=self.random_state)
        return tsne.fit_transform(graph)


def fast_pca(log_counts, n_components, rng):
    """Return unit-length features of the cells, (n_cells, at most n_components).

    Randomised SVD of the gene-centred matrix in one pass with 2 ``n_components`` test vectors; components are weighted
    by the square root of their singular value, then every cell is scaled to length one. ``log_counts`` stays sparse.
    """
    n_genes = log_counts.shape[1]
    mean = np.asarray(log_counts.mean(axis=0))  # (1, genes)
    test = rng.standard_normal((n_genes, min(2 * n_components, n_genes)))
    basis, _ = np.linalg.qr(log_counts @ test - mean @ test)
    left, singular, _ = np.linalg.svd((log_counts.T @ basis).T - basis.sum(axis=0)[:, None] * mean, full_matrices=False)
    rank = np.count_nonzero(singular > singular[0] * max(log_counts.shape) * np.finfo(float).eps)
    keep = slice(min(n_components, max(rank, 1)))
    return normalize(basis @ left[:, keep] * np.sqrt(singular[keep]))


def nearest_neighbors(features, n_neighbors):
    """Return distances and indices, both (n_cells, n_neighbors), of the nearest cells; each cell is its own first."""
    distance, neighbor = NearestNeighbors(n_neighbors=n_neighbors - 1, algorithm="brute").fit(features).kneighbors()
    cell = np.arange(features.shape[0])[:, None]
    return np.hstack([np.zeros(cell.shape), distance]), np.hstack([cell, neighbor])


def learn_similarity(distance, neighbor, n_clusters, n_neighbors, *, orient=None, verbose=False):
    """Return similarity (n_cells, 2 n_neighbors), latent space F (n_cells, n_clusters) and kernel weights.

    Parameters
    ----------
    distance, neighbor : ndarray, shape (n_cells, 2 n_neighbors)
        Nearest neighbours, the cell itself first.
    n_clusters, n_neighbors : int
    orient : callable, optional
        Fixes the signs of eigenvectors: (vectors, previous F or None) -> vectors.
    """
    orient = orient or orient_eigenvectors
    kernels = NeighborKernels(distance**2, neighbor, n_neighbors)
    weights = np.full(kernels.n_kernels, 1 / kernels.n_kernels)
    kernel_distance = kernels.combine(weights)
    near = kernel_distance[:, 1 : n_neighbors + 2]  # the nearest others
    radius = np.mean(n_neighbors * near[:, -1] - near[:, :-1].sum(axis=1)) / 2
    pull = max(radius, 0.0)  # weight of the distances in F
    similarity = _rows_to_one(kernel_distance.max() - kernel_distance)
    latent = _block_coordinates(similarity, neighbor, n_clusters, orient, None)

    for _ in tqdm(range(N_ITERATIONS), desc="SIMLR", disable=not verbose):
        latent_distance = _latent_distance(latent, neighbor)
        projected = project_on_simplex(-(kernel_distance + pull * latent_distance) / (2 * radius))
        similarity = (1 - BETA) * similarity + BETA * projected
        latent = (1 - BETA) * latent + BETA * _block_coordinates(similarity, neighbor, n_clusters, orient, latent)
        weights = (1 - BETA) * weights + BETA * weights_of_entropy(kernels.scores(similarity))
        weights /= weights.sum()
        kernel_distance = kernels.combine(weights)
        pull *= 1.5
        radius /= 1.01
    return similarity, latent, weights


def orient_eigenvectors(vectors, previous):
    """Return ``vectors`` (n_cells, n_clusters) with signs fixed: along ``previous``, else largest entry positive."""
    if previous is None:
        sign = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    else:
        sign = np.sign(np.einsum("cf,cf->f", vectors, previous))
    return vectors * np.where(sign == 0, 1.0, sign)


def project_on_simplex(points):
    """Return the nearest point of the probability simplex to each row of ``points`` (Euclidean)."""
    descending = -np.sort(-points, axis=1)
    excess = np.cumsum(descending, axis=1) - 1
    count = np.arange(1, points.shape[1] + 1)
    support = np.count_nonzero(descending * count > excess, axis=1)  # the condition holds for a first stretch only
    threshold = excess[np.arange(len(points)), support - 1] / support
    return np.maximum(points - threshold[:, None], 0.0)


def weights_of_entropy(scores, perplexity=20):
    """Return weights ∝ exp(-b score) of perplexity 20 over the kernels, b by bisection to 1e-4 in the entropy."""
    span = scores.max() - scores.min()
    scores = (scores - scores.min()) / (span + np.finfo(float).eps)
    low, high, b = 0.0, np.inf, 1 / scores.size
    for _ in range(31):
        weights = np.exp(-b * scores)
        weights /= weights.sum()
        entropy = -np.sum(weights * np.log(np.maximum(weights, np.finfo(float).tiny)))
        if abs(entropy - np.log(perplexity)) <= 1e-4:
            break
        low, high = (b, high) if entropy > np.log(perplexity) else (low, b)
        b = 2 * b if np.isinf(high) else (low + high) / 2
    return weights


def _block_coordinates(similarity, neighbor, n_clusters, orient, previous):
    """Leading eigenvectors of S + S', scaled by their diffused eigenvalues, rows of L1 norm one: (cells, clusters)."""
    matrix = _on_cells(similarity, neighbor)
    start = np.random.default_rng(0).uniform(size=matrix.shape[0])  # the answer does not depend on it
    values, vectors = eigsh(matrix + matrix.T, k=n_clusters, which="LM", v0=start)
    order = np.argsort(-np.abs(values))
    values, vectors = values[order] / values.max(), orient(vectors[:, order], previous)
    return _rows_to_one(vectors * ((1 - BETA) * values / (1 - BETA * values**2)))


def _on_cells(values, neighbor):
    """Spread ``values`` (n_cells, n_neighbors) over an n_cells × n_cells CSR matrix."""
    n_cells, n_neighbors = neighbor.shape
    indptr = np.arange(0, n_cells * n_neighbors + 1, n_neighbors)
    matrix = sp.csr_matrix((values.ravel(), neighbor.ravel(), indptr), shape=(n_cells, n_cells), copy=True)
    matrix.sort_indices()
    return matrix


def _latent_distance(latent, neighbor):
    """Squared distances in F between neighbours, (n_cells, n_neighbors), in blocks of cells."""
    squared = np.empty(neighbor.shape)
    for cells in gen_batches(neighbor.shape[0], CELL_BLOCK):
        squared[cells] = np.square(latent[cells, None, :] - latent[neighbor[cells]]).sum(axis=2)
    return squared


def _rows_to_one(values):
    norm = np.abs(values).sum(axis=1, keepdims=True)
    return values / np.where(norm > 0, norm, 1.0)
