"""Scores of the shape of a latent space: clusters that noise does not have, pieces of a graph, a coordinate kept."""

import numpy as np
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import KMeans
from sklearn.metrics import r2_score, silhouette_score
from sklearn.neighbors import NearestNeighbors

N_STARTS, N_DRAWS = 10, 5


def kmeans_asw(*, latent, n_clusters, random_state):
    """Mean silhouette width of the cells in the clusters that k-means finds, between -1 and 1."""
    clusters = KMeans(n_clusters, n_init=N_STARTS, random_state=random_state).fit_predict(latent)
    return float(silhouette_score(latent, clusters))


def cluster_excess(*, latent, n_clusters, random_state):
    """How much better k-means clusters hold together than those of a Gaussian without any, a difference of silhouettes.

    The silhouette of k-means with ``n_clusters`` clusters, minus its mean over ``N_DRAWS`` samples, of as many cells,
    from the Gaussian with the mean and covariance of ``latent`` (the null hypothesis of SigClust, Liu et al. 2008).
    About 0 where the latent space is one cloud; on data without structure, what a method has invented.

    Parameters
    ----------
    latent : array, shape (n_cells, n_latent)
    n_clusters : int
        At least 2.
    random_state : int
    """
    centred = latent - latent.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes * (singular / np.sqrt(len(latent)))[:, None]  # rows: principal axes of SD one
    rng = np.random.default_rng(random_state)
    clouds = (rng.standard_normal((len(latent), len(axes))) @ axes for _ in range(N_DRAWS))
    null = [kmeans_asw(latent=cloud, n_clusters=n_clusters, random_state=random_state) for cloud in clouds]
    own = kmeans_asw(latent=centred, n_clusters=n_clusters, random_state=random_state)
    return float(own - np.mean(null))


def graph_components(*, graph):
    """Number of connected pieces of a neighbour graph: 1 where a continuum stays in one piece."""
    return float(connected_components(graph, directed=False)[0])


def coordinate_r2(*, latent, coordinate, n_neighbors):
    """Share of the variance of a coordinate of the cells that the mean over their nearest neighbours explains.

    1 where neighbours in latent space agree on the coordinate, 0 where their mean says no more than the overall mean;
    a cell is not its own neighbour.
    """
    neighbor = NearestNeighbors(n_neighbors=n_neighbors).fit(latent).kneighbors(return_distance=False)
    return float(r2_score(coordinate, np.asarray(coordinate)[neighbor].mean(axis=1)))
