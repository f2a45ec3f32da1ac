"""ComBat as the R package sva computes it; `baselines.combat` is the same algorithm in Python."""

import numpy as np

from r_env import bridge

from .base import check_batch
from .combat import ComBat
from .shared.normalise import log_normalised

SCRIPT = "combat_r.R"


class ComBatInR(ComBat):
    """``sva::ComBat`` on log counts, and the principal components of what it leaves; parameters as in `ComBat`.

    Examples
    --------
    >>> from baselines.combat_r import ComBatInR
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> batch = np.repeat(["a", "b"], 20)
    >>> ComBatInR(n_latent=2).fit(counts, batch).correct(counts, batch).shape
    (40, 12)
    """

    def fit(self, X, batch=None):
        """Check the counts (n_cells, n_genes) and labels, and that R is there."""
        bridge.require(SCRIPT)
        return super().fit(X, batch)

    def correct(self, X, batch):
        """Return corrected log expression, (n_cells, n_genes), of raw counts ``X`` with one batch label per cell."""
        return combat_in_r(
            log_normalised(X)[0],
            batch=check_batch(batch, X.shape[0]),
            parametric=self.parametric,
            mean_only=self.mean_only,
            reference=self.reference,
        )


def combat_in_r(data, *, batch, covariates=None, parametric=True, mean_only=False, reference=None):
    """Remove batch effects on mean and variance with sva; arguments and result as in :func:`baselines.combat.combat`.

    Raises
    ------
    RUnavailable
        R or sva is not installed.
    """
    data, batch = np.asarray(data, dtype=float), np.asarray(batch).astype(str)
    if len(np.unique(batch)) == 1:
        return data.copy()
    return bridge.call(
        SCRIPT,
        "combat",
        data=data,
        batch=batch,
        covariates=covariates,
        parametric=parametric,
        mean_only=mean_only,
        reference=None if reference is None else str(reference),
    )
