"""Scores of a latent space and of a clustering against known labels (paper, section 4.7)."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

N_STARTS = 200  # of k-means (section 4.7)


def asw(*, latent, labels):
    """Average silhouette width (ASW): mean over cells of (b − a) / max(a, b), Euclidean.

    a is the mean distance of a cell to the others of its label, b the smallest mean distance to the cells of another
    label. The labels are the true ones (or batches), not clusters.
    """
    return float(silhouette_score(np.asarray(latent, dtype=np.float64), np.asarray(labels)))


def ari(*, labels, clusters):
    """Adjusted Rand index: pairs of cells that both partitions keep together, corrected for chance; 1 at best."""
    return float(adjusted_rand_score(np.asarray(labels), np.asarray(clusters)))


def nmi(*, labels, clusters):
    """Normalised mutual information I / √(H H): the geometric mean of the paper's formula, 0 to 1."""
    return float(normalized_mutual_info_score(np.asarray(labels), np.asarray(clusters), average_method="geometric"))


def can_be_scored(labels):
    """Whether clusters can be held against ``labels``: there are two or more, and fewer than cells."""
    return 1 < np.unique(labels).size < len(labels)


def label_scores(*, latent, labels, seed, n_starts=N_STARTS):
    """``asw`` of the labels in the latent space; ``ari`` and ``nmi`` of k-means with as many clusters as labels.

    Parameters
    ----------
    latent : array, shape (n_cells, n_latent)
    labels : array, shape (n_cells,)
    seed : int
        Of the ``n_starts`` of k-means, of which the one with the smallest inertia counts.

    Raises
    ------
    ValueError
        There is a single label, or one for every cell.
    """
    n_labels = np.unique(labels).size
    if not can_be_scored(labels):
        raise ValueError(
            f"{n_labels} labels on {len(labels)} cells: clusters need from 2 labels to one less than cells."
        )
    clusters = KMeans(n_labels, n_init=n_starts, random_state=seed).fit_predict(latent)
    return {
        "asw": asw(latent=latent, labels=labels),
        "ari": ari(labels=labels, clusters=clusters),
        "nmi": nmi(labels=labels, clusters=clusters),
    }
