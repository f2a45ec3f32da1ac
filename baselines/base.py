"""The interface that every method of the suite shares."""

from abc import ABC, abstractmethod

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from scvi_core.data.counts import InvalidCounts, check_batch, check_counts

__all__ = ["Method", "check_batch", "check_counts"]


class Method(BaseEstimator, ABC):
    """A method of the benchmark: a scikit-learn estimator on raw counts.

    ``__init__`` only stores its parameters; fitted state ends in an underscore. Stochastic methods take
    ``random_state`` and use no global random state. A capability is a method that is defined; what a method
    cannot do is left out, not stubbed:

    ``latent(X, batch=None)``
        (n_cells, n_latent) representation of the cells.
    ``impute(X, batch=None)``
        (n_cells, n_genes) expected counts, on the scale of ``X``.
    ``loglik(X, batch=None)``
        (n_cells,) nats per cell, on the count scale whatever the method saw inside (paper, Appendix C).
    ``marginal_loglik(X, batch=None, n_samples=..., random_state=0)``
        ``(loglik, standard_error)``, each (n_cells,) nats: the log-probability of the counts with every latent variable
        of the cell integrated out under its prior and the fitted parameters held fixed, importance-sampled with a
        number of draws that suits the method; the error is zero where nothing is left to integrate. Where a method has
        a density in place of probabilities (PCA, FA, ZIFA), the probability of a count is that of all values that
        round to it. What `loglik` gives is each method's own quantity; these can be set side by side.
    ``sample(X, n_samples, batch=None)``
        (n_samples, n_cells, n_genes) posterior predictive draws.
    ``correct(X, batch)``
        (n_cells, n_genes) values with the batch effect removed.
    ``compare(X, group_a, group_b, batch=None)``
        A data frame with one row per gene: ``score`` (larger is stronger), ``log_fold_change`` (a over b, positive
        where a is higher; log2 unless the method says otherwise), ``pvalue`` where there is one. ``group_a`` and
        ``group_b`` are boolean masks over the cells.
    """

    @abstractmethod
    def fit(self, X, batch=None):
        """Fit to raw counts ``X`` (n_cells, n_genes), CSR or dense, with one batch label per cell; return self."""

    def _with_known_genes(self, X):
        """Return checked counts ``X``; raise where the method is not fitted or was fitted to other genes."""
        check_is_fitted(self, "n_features_in_")
        X = check_counts(X)
        if X.shape[1] != self.n_features_in_:
            raise InvalidCounts(
                f"There are {X.shape[1]} genes and the model was fitted to {self.n_features_in_}: pass the same genes."
            )
        return X
