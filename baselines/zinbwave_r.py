"""ZINB-WaVE as its authors' R package fits it; `baselines.zinbwave` is the same model in Python."""

import numpy as np
from scipy.special import logsumexp

from r_env import bridge

from .base import check_batch, check_counts
from .zinbwave import ZINBWaVE

SCRIPT = "zinbwave_r.R"


class ZINBWaVEInR(ZINBWaVE):
    """The Bioconductor package zinbwave: ``zinbModel``, ``zinbInitialize``, ``zinbOptimize``.

    Parameters and attributes are those of `ZINBWaVE`; ``objective_`` holds the final value alone, and ``random_state``
    seeds the package's random start. The package has no step for further cells: what is asked of any cells (`latent`,
    `impute`, `loglik`) is answered as in `ZINBWaVE`, from the genes' parameters that the package found.
    """

    def fit(self, X, batch=None):
        """Fit to counts ``X`` (n_cells, n_genes); genes without counts, an error in the package, are left out of it.

        Raises
        ------
        RUnavailable
            R or zinbwave is not installed.
        """
        bridge.require(SCRIPT)
        X = check_counts(X)
        check_batch(batch, X.shape[0])
        expressed = np.flatnonzero(X.getnnz(axis=0))
        found = bridge.call(
            SCRIPT,
            "fit",
            counts=X[:, expressed],
            n_latent=self.n_latent,
            max_iter=self.max_iter,
            tol=self.tol,
            seed=self.random_state,
        )
        half_a_count = np.log(0.5) - logsumexp(found["gamma_mu"])  # as in ZINBWaVE, over all cells
        for name in ("beta_mu", "beta_pi", "alpha_mu", "alpha_pi"):
            of_genes = np.full((X.shape[1], *found[name].shape[1:]), half_a_count if name == "beta_mu" else 0.0)
            of_genes[expressed] = found[name]
            setattr(self, f"{name}_", of_genes)
        self.W_, self.gamma_mu_, self.gamma_pi_ = found["W"], found["gamma_mu"], found["gamma_pi"]
        self.zeta_ = float(found["zeta"][0])
        self.objective_ = [float(found["objective"][0])]
        self.weight_W_ = len(expressed) / X.shape[0]
        return self
