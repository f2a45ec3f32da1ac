"""DCA followed by DESeq2: differential expression on denoised counts (a row of the published version's Fig 5)."""

import numpy as np

from r_env import bridge

from .base import Method
from .dca import DCA
from .deseq2 import SCRIPT, DESeq2
from .shared.groups import compared_cells


class DCADESeq2(Method):
    """DESeq2 on the counts that DCA has denoised, truncated to integers as the authors did.

    DCA is fitted to all cells, DESeq2 to the denoised cells of the two groups.

    Parameters
    ----------
    n_hidden, n_epochs
        Of `DCA`; its other parameters keep their defaults.
    size_factors
        Of `DESeq2`, which runs with the paper's call.
    random_state : int
    verbose : bool

    Attributes
    ----------
    dca_ : DCA

    Cost
    ----
    that of DCA and that of DESeq2

    Examples
    --------
    `compare` is asked as that of `baselines.deseq2.DESeq2`. It needs a denoised matrix whose dispersions differ, which
    a few cells and epochs do not give.

    >>> from baselines.dca_deseq2 import DCADESeq2
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12)) + 1
    >>> method = DCADESeq2(n_hidden=(8, 2, 8), n_epochs=2).fit(counts)
    >>> method.n_features_in_
    12
    """

    def __init__(self, n_hidden=(64, 32, 64), n_epochs=300, size_factors="ratio", random_state=0, verbose=False):
        self.n_hidden = n_hidden
        self.n_epochs = n_epochs
        self.size_factors = size_factors
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, batch=None):
        """Train DCA on the counts (n_cells, n_genes)."""
        bridge.require(SCRIPT)
        dca = DCA(self.n_hidden, self.n_epochs, random_state=self.random_state, verbose=self.verbose)
        self.dca_ = dca.fit(X, batch=batch)
        return self

    def compare(self, X, group_a, group_b, batch=None):
        """Test every gene for a difference between two groups of cells, after denoising them.

        Parameters and the returned table are those of `DESeq2.compare`. Cells that truncation leaves without counts
        are left out of their group.
        """
        cells = compared_cells(X, group_a, group_b, batch)
        denoised = np.floor(self.dca_.impute(cells.counts))
        kept = denoised.any(axis=1)
        denoised, in_a = denoised[kept], cells.in_a[kept]
        labels = None if cells.batch is None else cells.batch[kept]
        return DESeq2(size_factors=self.size_factors).fit(denoised).compare(denoised, in_a, ~in_a, batch=labels)
