"""Molecular cross-validation of imputed counts (Batson et al. 2019): the third corruption, not in the paper.

Every molecule is either seen or kept back. A method is fitted to those seen, and what it imputes is held against those
kept back. Nothing has to be chosen of which entries are hidden, zeros are scored as well, and a method gains nothing by
returning what it was given: the two parts share the rates and not the noise.

Half of the molecules are seen (``share_seen``); the open benchmark of denoising shows nine of ten. Its squared error of
log-normalised counts favours answers with many zeros where most counts kept back are zero, so it can put the visible
part ahead of the true rates: less with half kept back than with a tenth (tests/experiments/test_denoising.py), but on
very sparse counts all the same. So it is reported, to be read beside the control ``identity``, and ranks nobody. What
ranks is the Poisson loss, which in expectation is least for the true rates at any depth.
"""

import numpy as np

from .metrics.denoising import log_normalised_mse, poisson_loss
from .scores import Score
from .tasks.data import training_cells
from .tasks.hashes import matrix_sha256
from .tasks.molecules import split_molecules
from .tasks.outputs import check_imputed

REQUIRES = "impute"
SCORES = {
    "poisson_loss": Score(
        "Poisson loss of molecules kept back (nats per entry)",
        "lower",
        formula=r"mean over entries of $\hat x - x \log \hat x + \log x!$, $x$ the molecules kept back",
    ),
    "log_normalised_mse": Score(  # no direction: zeros can beat the truth
        "squared error of log-normalised counts",
        formula=r"mean over entries of $(\hat y - y)^2$, $y = \log(1 + 10^4 x / \sum_g x)$ of the molecules kept back",
    ),
}


def evaluate(method, adata, protocol, seeds, *, share_seen):
    """Split the molecules of the training cells, fit to one part, hold what is imputed against the other.

    Imputed counts are on the scale of the part seen; times (1 − share) / share they are on that of the part kept back.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``impute``. In place of the oracle's answer the molecules kept back are scored: what
        no method can reach.
    adata : AnnData
        Counts in ``X``; ``obs["batch"]`` is handed to the method where it is there.
    protocol : mapping
        ``split`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds
    share_seen : float
        Of the molecules, between 0 and 1.

    Returns
    -------
    scores : dict
        ``poisson_loss`` (nats per entry) and ``log_normalised_mse`` (metrics/denoising.py).
    arrays : dict
        None are kept.
    facts : dict
        Sizes, and the hash of the molecules seen: equal for all methods of one seed.
    """
    _, X, batch, _ = training_cells(adata, protocol, seeds)
    seen, kept_back = split_molecules(X, share=share_seen, rng=np.random.default_rng(seeds.corruption))
    alive = np.diff(seen.indptr) > 0  # a cell of which nothing is seen is none: every method is spared it alike
    seen, kept_back = seen[alive], kept_back[alive].toarray()
    batch = None if batch is None else batch[alive]
    if getattr(method, "sees_truth", False):
        expected = kept_back
    else:
        imputed = method.fit(seen, batch=batch).impute(seen, batch=batch)
        expected = check_imputed(imputed, shape=seen.shape, method=method) * ((1 - share_seen) / share_seen)
    scores = {
        "poisson_loss": poisson_loss(observed=kept_back, expected=expected),
        "log_normalised_mse": log_normalised_mse(observed=kept_back, expected=expected),
    }
    facts = {
        "n_cells": int(seen.shape[0]),
        "n_genes": int(seen.shape[1]),
        "n_emptied_cells": int((~alive).sum()),
        "share_of_zeros_kept_back": float(np.mean(kept_back == 0)),
        "seen_sha256": matrix_sha256(seen),
    }
    return scores, {}, facts
