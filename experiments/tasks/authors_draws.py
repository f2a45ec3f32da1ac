"""Posterior draws as the authors' notebooks made them for Fig 7 (CORTEX-scVI, CORTEX-prepro)."""

import copy

import numpy as np


def authors_draws(method, X, n_samples, batch, rng):
    """Draws (n_samples, n_cells, n_genes) of a fitted method, each with the slip of its notebook.

    scVI: every gene has the dispersion of the first one, and nothing drops out. FA and ZIFA: around the posterior mean
    of z there is one noise vector per draw, the same for all cells, and values below zero counts stay; the SD of ZIFA's
    noise is the root of the SD. Methods that the authors did not draw from keep their own ``sample``.
    """
    if hasattr(method, "network_") and hasattr(method.network_, "log_theta"):
        slipped = copy.deepcopy(method)
        theta = slipped.network_.log_theta.data
        theta[:] = theta[..., :1].clone()
        return slipped.sample(X, n_samples, batch=batch, dropout=False)
    if hasattr(method, "decay_"):  # ZIFA
        mean, sd = method.latent(X) @ method.loadings_.T + method.mean_, np.sqrt(method.noise_sd_)
    elif hasattr(getattr(method, "model_", None), "noise_variance_"):  # FA
        model = method.model_
        mean, sd = method.latent(X) @ model.components_ + model.mean_, np.sqrt(model.noise_variance_)
    else:
        return method.sample(X, n_samples, batch=batch)
    draws = np.empty((n_samples, *mean.shape))
    for draw in draws:
        draw[:] = mean + rng.normal(scale=sd, size=mean.shape[1])
        if hasattr(method, "decay_"):
            draw[rng.random(mean.shape) < np.exp(-method.decay_ * draw**2)] = 0.0
        np.expm1(draw, out=draw)
    return draws
