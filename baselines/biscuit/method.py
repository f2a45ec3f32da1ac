"""BISCUIT: clustering and imputation with scalings of every cell (Prabhakaran et al. 2016; Azizi et al. 2017)."""

import numpy as np
from scipy.linalg import eigh
from sklearn.cluster import KMeans
from tqdm import tqdm

from ..shared.transductive import Transductive
from . import program
from .gibbs import Prior, State, expected_moments, log_density, merge_start, sweep

BETA_SHAPE, BETA_RATE = 5.0, 4.0  # prior of the variance scalings: mean 1, standard deviation 0.58
KNOWN = {"scalings": ("posterior", "authors"), "imputation": ("transform", "mean", "authors")}
WITHIN = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # shares of the variance within clusters, one of which a block takes


class BISCUIT(Transductive):
    """Dirichlet process mixture of Gaussians on log(1 + counts), with a scaling of mean and variance for every cell.

    The model and its Gibbs sampler are in `baselines.biscuit.gibbs`. As in the authors' program the genes are ordered
    by the Fiedler vector of their covariance and cut into blocks, every block is fitted on its own, and the blocks are
    merged: k-means on the rows of the co-clustering matrix, averaged over the blocks with the standard deviation of
    each as its weight, gives as many clusters as the richest block has; the scalings are averaged.

    Parameters
    ----------
    n_iterations : int
        Gibbs sweeps per block; the scalings are averaged over the second half, the labels are those of the last. The
        paper's code runs 50.
    block_size : int
        Largest number of genes in a block: 50 in the authors' program, 31 in the paper's run on CORTEX.
    concentration : float
        Of the Dirichlet process; the paper's code sets 0.001.
    scalings : "posterior" or "authors"
        How the scalings of a cell are drawn: from their posterior, or as the authors' program does, which leaves them
        near one whatever the data (`baselines.biscuit.program`); the clusters are then those of unscaled cells.
    imputation : "transform", "mean" or "authors"
        What ``impute`` returns. "transform" sends the distribution of a cluster to the one with unit scalings, on
        log(1 + counts), and so leaves a zero nearly zero; "authors" is this map as it stands in their program, on
        log(counts + 0.1), where a value may be as low as -0.1; "mean" is the mean of the model.
    n_start : int
        Clusters of the k-means with which a block starts, before the greedy merging.
    random_state : int
    verbose : bool
        Show a progress bar over the sweeps, with the number of clusters of the block.

    Attributes
    ----------
    labels_ : ndarray of int, shape (n_cells,)
    alpha_, beta_ : ndarray, shape (n_cells,)
        Scalings of the mean and of the variance of log expression. Their priors have mean 1, which fixes what the
        likelihood leaves open: the scale of each cluster.
    means_ : ndarray, shape (n_clusters, n_genes)
        Mean of log(1 + counts) in the clusters at alpha = 1; with ``scalings="authors"`` the mean of the unscaled cells
        times the median of their alpha, as there.
    blocks_ : list of ndarray
        Columns of the genes in each block.
    block_labels_ : ndarray of int, shape (n_blocks, n_cells)
        Labels before merging.

    Notes
    -----
    Differences from the authors' program, which recovers neither clusters (adjusted Rand index 0.1 to 0.31) nor
    scalings (correlation below 0.1) of the simulated data in tests/golden: the
    conditionals are exact (there: a diagonal covariance, sums divided by d^2, scalings clipped to their starting
    range); the prior of the moments is centred on the depth-normalised block, and its one free number, the share of the
    variance within clusters, maximises the probability of the start (there: constants; in the paper: a further layer of
    priors); a block starts from k-means, merged while that raises the posterior, in place of two alternating clusters;
    no gene is dropped when the last block is incomplete; after merging, the moments are posterior means in place of one
    random draw around an average, and every cell moves once to the cluster in which all its blocks together are most
    probable; the logarithm is log(1 + x) throughout (there the map uses log(x + 0.1)). ``scalings`` and ``imputation``
    take the program's own for two of these. Batches are not modelled: ``batch`` is ignored.

    Here the clusters and alpha of those data are recovered (adjusted Rand index and correlation above 0.95).

    Cost
    ----
    n^0.3 from 1000 to 4000 cells, G^1.0 (1000 × 100, 20 sweeps: 1.8 s; 2,253 × 558, 50 sweeps in blocks of 31: 21 s);
    the ordering of the genes is G^3

    References
    ----------
    Prabhakaran, Azizi, Carr and Pe'er, ICML 2016; Azizi, Prabhakaran, Carr and Pe'er, Genomics and Computational
    Biology 3:e46 (2017).

    Examples
    --------
    >>> from baselines.biscuit import BISCUIT
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> biscuit = BISCUIT(n_iterations=4, block_size=12).fit(counts)
    >>> biscuit.impute(counts).shape, biscuit.clusters(counts).shape
    ((40, 12), (40,))
    """

    def __init__(
        self,
        n_iterations=50,
        block_size=50,
        concentration=0.001,
        scalings="posterior",
        imputation="transform",
        n_start=20,
        random_state=0,
        verbose=False,
    ):
        self.n_iterations = n_iterations
        self.block_size = block_size
        self.concentration = concentration
        self.scalings = scalings
        self.imputation = imputation
        self.n_start = n_start
        self.random_state = random_state
        self.verbose = verbose

    @property
    def lowest_count(self):
        """The map of the authors' program is not limited at zero: a count may come down to -0.1."""
        return -program.FLOOR if self.imputation == "authors" else 0.0

    def fit(self, X, batch=None):
        """Sample all blocks for counts ``X`` (n_cells, n_genes) and merge them; ``batch`` is not used."""
        for name, known in KNOWN.items():
            if getattr(self, name) not in known:
                choices = " or ".join(map(repr, known))
                raise ValueError(f"{name}={getattr(self, name)!r} is not known: choose {choices}.")
        for name in ("n_iterations", "block_size", "n_start"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is too small: choose at least 1.")
        self._remember(X, batch)
        rng = np.random.default_rng(self.random_state)
        x = np.log1p(X.toarray().astype(np.float64))
        depth = x.sum(axis=1)
        start = depth / depth.mean() if self.scalings == "posterior" else np.ones(len(x))

        self.blocks_ = np.array_split(fiedler_order(X), -(-x.shape[1] // self.block_size))
        with tqdm(total=len(self.blocks_) * self.n_iterations, disable=not self.verbose, desc="BISCUIT") as bar:
            fits = [self._fit_block(rng, x[:, genes], start, bar) for genes in self.blocks_]

        priors, fits, scalings = zip(*fits, strict=True)
        self.block_labels_ = np.array([fit.z for fit in fits])
        self.labels_ = self.block_labels_[0]
        if len(fits) > 1:
            weights = np.array([x[:, genes].std() for genes in self.blocks_])
            self.labels_ = merge_labels(self.block_labels_, weights, seed=int(rng.integers(2**31)))
            _, score = _merged_moments(x, self.blocks_, priors, fits, self.labels_)
            self.labels_ = np.unique(score.argmax(axis=1), return_inverse=True)[1]
        self.means_, _ = _merged_moments(x, self.blocks_, priors, fits, self.labels_)
        self.alpha_, self.beta_ = np.mean(scalings, axis=0)
        if self.scalings == "authors":
            self.means_ *= [[np.median(self.alpha_[self.labels_ == k])] for k in range(len(self.means_))]
        return self

    def clusters(self, X, batch=None):
        """Return the labels of the fitted cells, (n_cells,)."""
        self._recall(X, batch)
        return self.labels_.copy()

    def impute(self, X, batch=None):
        """Return imputed counts of the fitted cells, (n_cells, n_genes); see ``imputation``."""
        counts = self._recall(X, batch)
        if self.imputation == "authors":
            y = self._unscaled(np.log(counts.toarray() + program.FLOOR))
            return np.exp(y, out=y) - program.FLOOR
        if self.imputation == "mean":
            y = self.alpha_[:, None] * self.means_[self.labels_]
        else:
            y = self._unscaled(np.log1p(counts.toarray().astype(np.float64)))
        return np.maximum(np.expm1(y, out=y), 0.0, out=y)

    def _unscaled(self, y):
        """Log expression y (n_cells, n_genes), changed in place: the distribution of a cluster at unit scalings.

        With the medians A and B of its scalings and its mean m it is y / sqrt(B) + (1 - A / sqrt(B)) m.
        """
        for k, mean in enumerate(self.means_):
            own = self.labels_ == k
            root = np.sqrt(np.median(self.beta_[own]))
            y[own] = y[own] / root + (1 - np.median(self.alpha_[own]) / root) * mean
        return y

    def _fit_block(self, rng, x, start, bar):
        """Return the prior, the labels of the last sweep with the scalings they are drawn at, and the cells' scalings.

        From the posterior, either are the averages over the second half of the sweeps.
        """
        normal, ones = x / start[:, None], np.ones(len(x))
        n_start = min(self.n_start, len(np.unique(normal, axis=0)))
        z = KMeans(n_start, n_init=1, random_state=int(rng.integers(2**31))).fit_predict(normal)
        priors = [data_prior(normal, start, share, self.concentration) for share in WITHIN]
        starts = [merge_start(x, z, start, ones, prior) for prior in priors]
        best = int(np.argmax([score for _, score in starts]))  # the prior and the labels that explain the block best
        prior, state = priors[best], State(starts[best][0], start, ones)

        alpha, beta = np.zeros(len(x)), np.zeros(len(x))
        kept = range(self.n_iterations // 2, self.n_iterations)
        for iteration in range(self.n_iterations):
            state, moments = sweep(rng, x, state, prior, scalings=self.scalings == "posterior")
            if iteration in kept:
                alpha += state.alpha / len(kept)
                beta += state.beta / len(kept)
            bar.set_postfix(clusters=len(moments), refresh=False)
            bar.update()
        if self.scalings == "authors":
            return prior, state, program.draw_scalings(rng, x, state.z, moments)
        return prior, State(state.z, alpha, beta), (alpha, beta)


def data_prior(normal, start, share, concentration):
    """Return the prior of a block under which a share of each gene's variance lies within the clusters.

    Parameters
    ----------
    normal : array, shape (n_cells, d)
        Log expression over the starting scalings ``start`` (n_cells,).
    share : float
        The expectation of Sigma is ``share`` times the diagonal matrix of the variances, with the weight of d cells,
        and kappa spreads the means so that the variances add up.
    concentration : float
    """
    d = normal.shape[1]
    variance = np.maximum(normal.var(axis=0), 0.01)  # a floor for genes that are the same in every cell
    return Prior(
        mean=normal.mean(axis=0),
        kappa=share / (1 - share),
        scale=np.diag(d * share * variance),
        df=2.0 * d + 1,
        alpha_mean=1.0,
        alpha_var=max(start.var(), 0.01),
        beta_shape=BETA_SHAPE,
        beta_rate=BETA_RATE,
        concentration=concentration,
    )


def fiedler_order(counts):
    """Return the genes in the order of the Fiedler vector of the Laplacian whose weights are their covariances."""
    n, n_genes = counts.shape
    mean = np.asarray(counts.mean(axis=0))
    covariance = ((counts.T.astype(np.float64) @ counts).toarray() - n * mean.T * mean) / max(n - 1, 1)
    if n_genes < 3:
        return np.arange(n_genes)
    np.fill_diagonal(covariance, 0.0)
    laplacian = np.diag(covariance.sum(axis=0)) - covariance
    vector = eigh(laplacian, subset_by_index=[1, 1])[1][:, 0]
    return np.argsort(-vector * np.sign(vector[np.abs(vector).argmax()]), kind="stable")


def merge_labels(block_labels, weights, seed):
    """Cluster the rows of the weighted mean co-clustering matrix by k-means.

    Parameters
    ----------
    block_labels : array of int, shape (n_blocks, n_cells)
    weights : array, shape (n_blocks,)
    seed : int

    Returns
    -------
    array of int, shape (n_cells,)
        As many clusters as the block with the most.

    Notes
    -----
    The matrix (n_cells, n_cells) is F F' with the weighted indicators F (n_cells, n_labels) of all blocks, so that its
    rows are as far from each other as the rows of F (F'F)^(1/2), which are short. The authors' program sets the
    diagonal of the matrix to zero; here a cell shares its own cluster.
    """
    indicators = np.concatenate(
        [np.sqrt(w) * np.eye(z.max() + 1)[z] for z, w in zip(block_labels, weights, strict=True)], axis=1
    )
    values, vectors = np.linalg.eigh(indicators.T @ indicators)
    rows = indicators @ (vectors * np.sqrt(np.maximum(values, 0.0)))
    z = KMeans(block_labels.max() + 1, n_init=10, random_state=seed).fit_predict(rows)
    return np.unique(z, return_inverse=True)[1]


def _merged_moments(x, blocks, priors, fits, z):
    """Return the means (n_clusters, n_genes) given the labels ``z``, and how probable each cluster is for each cell.

    The second array (n_cells, n_clusters) sums the log-densities of the blocks, each at its own scalings, and adds the
    log of the size of the cluster.
    """
    sizes = np.bincount(z)
    means, score = np.empty((len(sizes), x.shape[1])), np.tile(np.log(sizes), (len(x), 1))
    for genes, prior, fit in zip(blocks, priors, fits, strict=True):
        block = x[:, genes]
        for k in range(len(sizes)):
            own = z == k
            moments = expected_moments(block[own], fit.alpha[own], fit.beta[own], prior)
            means[k, genes] = moments.mean
            score[:, k] += log_density(block, fit.alpha, fit.beta, moments)
    return means, score
