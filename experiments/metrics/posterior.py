"""How well posterior draws of counts surround the counts (Fig 7)."""

import numpy as np


def coverage(*, observed, draws, level=0.9):
    """Share of observed counts between the percentiles that hold the central ``level`` of their draws.

    ``observed`` is (n,), ``draws`` (n_draws, n). Bounds belong to the interval: of whole numbers it holds ``level`` at
    least.
    """
    tail = 50 * (1 - level)
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    return float(np.mean((observed >= low) & (observed <= high)))


def crps(*, observed, draws):
    """Continuous ranked probability score, mean over entries, in counts: E|X - x| - E|X - X'| / 2 over the draws.

    X and X' are different draws, so that the expected score does not depend on their number.
    """
    draws = np.sort(np.asarray(draws, dtype=np.float64), axis=0)
    n = len(draws)
    weight = 2 * np.arange(1, n + 1) - n - 1
    spread = 2 / (n * (n - 1)) * np.tensordot(weight, draws, axes=1)  # E|X - X'|
    return float(np.mean(np.abs(draws - observed).mean(axis=0) - spread / 2))
