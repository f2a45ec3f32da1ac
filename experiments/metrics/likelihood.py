"""Held-out likelihood of cells."""

import numpy as np


def nats_per_cell(*, loglik):
    """Mean over cells of their log-likelihoods (paper, Table 1), nats."""
    return float(np.mean(np.asarray(loglik, dtype=np.float64)))


def monte_carlo_error(*, standard_error):
    """Standard error of ``nats_per_cell`` of independent estimates with these standard errors, nats."""
    return float(np.linalg.norm(np.asarray(standard_error, dtype=np.float64)) / len(standard_error))
