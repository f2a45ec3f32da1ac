"""Controls: what a score is worth. A method that does not beat them has imputed, or represented, nothing."""

import numpy as np
import pandas as pd
from scipy.stats import nbinom

from .base import Method, Skip, check_batch
from .shared.groups import compared_cells, scores


class Identity(Method):
    """Negative control: imputes what it was given.

    Examples
    --------
    >>> import numpy as np
    >>> from baselines.controls import Identity
    >>> counts = np.array([[1, 0, 5], [3, 2, 0]])
    >>> (Identity().fit(counts).impute(counts) == counts).all().item()
    True
    """

    def fit(self, X, batch=None):
        return self

    def impute(self, X, batch=None):
        """Return ``X`` itself, dense, (n_cells, n_genes)."""
        return X.toarray()


class Raw(Method):
    """The counts themselves as latent space.

    Examples
    --------
    >>> import numpy as np
    >>> from baselines.controls import Raw
    >>> counts = np.array([[1, 0, 5], [3, 2, 0]])
    >>> (Raw().fit(counts).latent(counts) == counts).all().item()
    True
    """

    def fit(self, X, batch=None):
        return self

    def latent(self, X, batch=None):
        """Return ``X`` itself, dense, (n_cells, n_genes)."""
        return X.toarray()


class GeneMean(Method):
    """Negative control: imputes the mean count of each gene over the training cells.

    Examples
    --------
    >>> import numpy as np
    >>> from baselines.controls import GeneMean
    >>> counts = np.array([[1, 0, 5], [3, 2, 0]])
    >>> GeneMean().fit(counts).impute(counts)
    array([[2. , 1. , 2.5],
           [2. , 1. , 2.5]])
    """

    def fit(self, X, batch=None):
        self.mean_ = np.asarray(X.mean(axis=0)).ravel()  # (genes,)
        return self

    def impute(self, X, batch=None):
        """Return the gene means for every cell of ``X``, (n_cells, n_genes)."""
        return np.tile(self.mean_, (X.shape[0], 1))


class IndependentGenes(Method):
    """Negative control: a negative binomial for each gene, the same for every cell; nothing links genes or cells.

    Mean and variance are those of the training cells. A gene without counts there has a mean of half a count over all
    of them; one that varies less than a Poisson variable is taken for one.

    Examples
    --------
    >>> from baselines.controls import IndependentGenes
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> model = IndependentGenes().fit(counts)
    >>> model.loglik(counts).shape, model.sample(counts, 3).shape
    ((40,), (3, 40, 12))
    """

    def fit(self, X, batch=None):
        X = X.astype(np.float64)
        mean = np.asarray(X.mean(axis=0)).ravel()
        variance = np.asarray(X.multiply(X).mean(axis=0)).ravel() - mean**2
        self.mean_ = np.maximum(mean, 0.5 / X.shape[0])
        self.theta_ = self.mean_**2 / np.maximum(variance - self.mean_, 1e-6 * self.mean_**2)  # (genes,)
        return self

    def loglik(self, X, batch=None):
        """Return log p(counts), (n_cells,) nats, exact."""
        return self._distribution().logpmf(X.toarray()).sum(axis=1)

    def marginal_loglik(self, X, batch=None, n_samples=None, random_state=None):
        """Return `loglik`, there being nothing to integrate out, and zeros."""
        loglik = self.loglik(X)
        return loglik, np.zeros_like(loglik)

    def sample(self, X, n_samples=1, batch=None, random_state=0):
        """Return draws that know nothing of the cells, (n_samples, n_cells, n_genes) int64."""
        rng = np.random.default_rng(random_state)
        return self._distribution().rvs(size=(n_samples, *X.shape), random_state=rng)

    def _distribution(self):
        return nbinom(self.theta_, self.theta_ / (self.theta_ + self.mean_))


class RandomLatent(Method):
    """Negative control: a latent space that knows nothing, standard normal draws.

    Parameters
    ----------
    n_latent : int
    random_state : int

    Examples
    --------
    >>> import numpy as np
    >>> from baselines.controls import RandomLatent
    >>> counts = np.array([[1, 0, 5], [3, 2, 0]])
    >>> RandomLatent(n_latent=4).fit(counts).latent(counts).shape
    (2, 4)
    """

    def __init__(self, n_latent=10, random_state=0):
        self.n_latent = n_latent
        self.random_state = random_state

    def fit(self, X, batch=None):
        if self.n_latent < 1:
            raise ValueError(f"RandomLatent cannot give n_latent={self.n_latent} coordinates: choose at least 1.")
        return self

    def latent(self, X, batch=None):
        """Return independent N(0, 1) draws, (n_cells, n_latent)."""
        return np.random.default_rng(self.random_state).standard_normal((X.shape[0], self.n_latent))


class BatchLatent(Method):
    """Negative control: a latent space that knows the batch of a cell and nothing else.

    Parameters
    ----------
    random_state : int

    Examples
    --------
    >>> import numpy as np
    >>> from baselines.controls import BatchLatent
    >>> counts = np.array([[1, 0, 5], [3, 2, 0]])
    >>> space = BatchLatent().fit(counts, ["a", "b"]).latent(counts, ["a", "b"])
    >>> len(space)
    2
    """

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, batch=None):
        return self

    def latent(self, X, batch=None):
        """Return the indicators of the batches with noise of SD 0.1 on them, (n_cells, n_batches)."""
        labels, code = np.unique(check_batch(batch, X.shape[0]), return_inverse=True)
        noise = np.random.default_rng(self.random_state).standard_normal((X.shape[0], len(labels)))
        return np.eye(len(labels))[code] + 0.1 * noise


class Oracle(Identity, Raw):
    """Positive control: experiments score the truth in its place (counts before corruption, labels, proteins).

    Examples
    --------
    >>> import numpy as np
    >>> from baselines.controls import Oracle
    >>> counts = np.array([[1, 0, 5], [3, 2, 0]])
    >>> (Oracle().fit(counts).latent(counts) == counts).all().item()
    True
    """

    sees_truth = True


class RandomPValues(Method):
    """Negative control: p-values drawn from the uniform distribution, whatever the cells.

    Any shuffled score has the same ranks in distribution; these are calibrated as well.

    Parameters
    ----------
    random_state : int

    Examples
    --------
    >>> from baselines.controls import RandomPValues
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(40, 12))
    >>> counts[:20, 0] += 20  # the first gene differs
    >>> first = np.arange(40) < 20
    >>> table = RandomPValues().fit(counts).compare(counts, first, ~first)
    >>> bool(table["pvalue"].between(0, 1).all())
    True
    """

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, batch=None):
        self.generator_ = np.random.default_rng(self.random_state)
        return self

    def compare(self, X, group_a, group_b, batch=None):
        """Return a new draw of ``score``, ``log_fold_change`` and ``pvalue``, one row per gene."""
        n_genes = compared_cells(X, group_a, group_b, batch).counts.shape[1]
        pvalue = self.generator_.uniform(size=n_genes)
        return pd.DataFrame(
            {"score": scores(pvalue), "log_fold_change": self.generator_.normal(size=n_genes), "pvalue": pvalue}
        )


class BulkReference(Method):
    """Positive control: answers with a bulk study of the same comparison, and looks at no cell.

    With the reference itself it is the truth; with a second, independent study (``study="2"``: ``BDC2`` beside
    ``BDC``) it shows what a perfect method of single cells could reach.

    Parameters
    ----------
    study : str
        What follows the name of the comparison in the names of the columns.

    Examples
    --------
    >>> import pandas as pd
    >>> from baselines.controls import BulkReference
    >>> bulk = pd.DataFrame({"CD_P.Value": [0.5, 0.001], "CD_logFC": [0.1, -2.0]})
    >>> table = BulkReference().compare(None, None, None, bulk=bulk, comparison="CD")
    >>> int(table["score"].argmax())
    1
    """

    sees_truth = True

    def __init__(self, study=""):
        self.study = study

    def fit(self, X, batch=None):
        return self

    def compare(self, X, group_a, group_b, batch=None, *, bulk, comparison):
        """Return the bulk study as a comparison of cells would be.

        Parameters
        ----------
        X, group_a, group_b, batch
            Not used.
        bulk : pandas.DataFrame, one row per gene
            Holds ``{comparison}{study}_P.Value`` and ``{comparison}{study}_logFC``.
        comparison : str

        Raises
        ------
        Skip
            The data carry no such bulk study.
        """
        name = comparison + self.study
        if f"{name}_P.Value" not in bulk:
            raise Skip(f"The data have no bulk study {name} (no column {name}_P.Value in var).")
        pvalue = bulk[f"{name}_P.Value"].to_numpy(dtype=float)
        fold = bulk[f"{name}_logFC"].to_numpy(dtype=float)
        return pd.DataFrame({"score": scores(pvalue), "log_fold_change": fold, "pvalue": pvalue})
