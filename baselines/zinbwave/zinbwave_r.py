"""ZINB-WaVE as its authors' R package fits it; `baselines.zinbwave` is the same model in Python."""

import torch

from r_env import bridge

from .fit import Parameters
from .method import ZINBWaVE

SCRIPT = "zinbwave_r.R"


class ZINBWaVEInR(ZINBWaVE):
    """The Bioconductor package zinbwave: ``zinbModel``, ``zinbInitialize``, ``zinbOptimize``.

    Parameters and attributes are those of `ZINBWaVE`; ``objective_`` holds the final value alone, and ``random_state``
    seeds the package's random start. The package has no step for further cells: what is asked of any cells (`latent`,
    `impute`, `loglik`) is answered as in `ZINBWaVE`, from the genes' parameters that the package found.

    Cost
    ----
    200 × 50, 10 factors: about 4 s a sweep

    Examples
    --------
    >>> from baselines.zinbwave import ZINBWaVEInR
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> ZINBWaVEInR(n_latent=2, max_iter=2).fit(counts).latent(counts).shape
    (40, 2)
    """

    def fit(self, X, batch=None):
        """Fit to counts ``X`` (n_cells, n_genes); genes without counts, an error in the package, are left out of it.

        Raises
        ------
        RUnavailable
            R or zinbwave is not installed.
        """
        bridge.require(SCRIPT)
        return super().fit(X, batch)

    def _optimise(self, X):
        found = bridge.call(
            SCRIPT,
            "fit",
            counts=X,
            n_latent=self.n_latent,
            max_iter=self.max_iter,
            tol=self.tol,
            seed=self.random_state,
        )
        objective, zeta = (float(found.pop(name)[0]) for name in ("objective", "zeta"))
        return Parameters(zeta=zeta, **{name: torch.from_numpy(value) for name, value in found.items()}), [objective]
