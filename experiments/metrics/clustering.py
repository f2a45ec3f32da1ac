"""Scores of a latent space and of a clustering against known labels (paper, section 4.7)."""

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score


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
