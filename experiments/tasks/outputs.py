"""What fitted methods return, checked once more: a class need not be a `Method` to be one."""

import numpy as np

from baselines.answers import check_answer


def check_latent(latent, *, n_cells):
    """Return ``latent`` as (n_cells, n_latent) of float64; ValueError where it is not one finite vector per cell."""
    return check_answer("latent", latent, (n_cells, None)).astype(np.float64, copy=False)


def check_imputed(imputed, *, shape, method=None):
    """Return ``imputed`` as an array of ``shape`` (n_cells, n_genes); ValueError where it is not, or no counts.

    How low a count may come down is said by ``method`` (`baselines.base.Method.lowest_count`).
    """
    return check_answer("impute", imputed, shape, getattr(method, "lowest_count", 0.0))
