"""Latent spaces as the experiments on them need them: fitted, checked, laid out in the plane."""

import numpy as np
from sklearn.manifold import TSNE

from .outputs import check_latent


def fit_latent(method, X, *, batch=None, n_labels=None, **others):
    """Fit ``method`` to counts ``X`` and return the latent space of the same cells, (n_cells, n_latent) of float64.

    Parameters
    ----------
    method : Method
        Where its parameter ``n_clusters`` is "labels" (SIMLR), it is set to ``n_labels``: the paper hands it the
        number of cell types, and lets it estimate the number where there are none (section 4.6).
    X : sparse matrix, shape (n_cells, n_genes)
    batch : array of labels, shape (n_cells,), optional
    n_labels : int, optional
    **others
        More arguments of the method's ``fit``.

    Raises
    ------
    ValueError
        The latent space is not one finite vector per cell.
    """
    if getattr(method, "n_clusters", None) == "labels":
        method.set_params(n_clusters=n_labels)
    return check_latent(method.fit(X, batch=batch, **others).latent(X, batch=batch), n_cells=X.shape[0])


def plane(latent, seed):
    """Return t-SNE coordinates, (n_cells, 2) of float32: scikit-learn's, perplexity 30 as in the paper (section 4.6).

    Below 91 cells the perplexity is a third of the neighbours there are.
    """
    perplexity = min(30.0, (latent.shape[0] - 1) / 3)
    return TSNE(perplexity=perplexity, random_state=seed).fit_transform(latent).astype(np.float32)
