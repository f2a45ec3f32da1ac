"""The interface that every method of the suite shares."""

import contextlib
import functools
import inspect
from abc import ABC, abstractmethod

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from scvi_core.data.counts import InvalidCounts, check_batch, check_counts

from .answers import check_answer, check_table

__all__ = ["Method", "Skip", "check_batch", "check_counts"]
# What a fitted method is asked about counts; `compare` is not among them, it fits the two groups that it is given.
ANSWERS = ("latent", "impute", "loglik", "marginal_loglik", "sample", "correct", "clusters", "embed")


class Skip(RuntimeError):
    """There is nothing to compute here, and why: the row is recorded as skipped, it has not failed.

    Examples
    --------
    >>> from baselines.base import Skip
    >>> raise Skip("The data have no second batch.")
    Traceback (most recent call last):
    baselines.base.Skip: The data have no second batch.
    """

    skip = True


class Method(BaseEstimator, ABC):
    """A method of the benchmark: a scikit-learn estimator on raw counts.

    ``__init__`` only stores its parameters; fitted state ends in an underscore. Stochastic methods take
    ``random_state`` and use no global random state.

    What a subclass defines is called with checked arguments: ``X`` is a CSR matrix of integer counts without stored
    zeros and empty cells, to be read and not changed, ``batch`` an array of labels or None. A question before `fit`, or
    about another number of genes, is refused before it gets there. What it answers is checked as well: dense arrays of
    finite real numbers of the shapes below (`baselines.answers`), and ``fit`` returns the method itself.

    A class may have ``check_parameters()``, which raises ValueError where a parameter will not do; a run asks it before
    anything is read.

    A capability is a method that is defined; what a method cannot do is left out, not stubbed:

    ``latent(X, batch=None)``
        (n_cells, n_latent) representation of the cells.
    ``impute(X, batch=None)``
        (n_cells, n_genes) expected counts, on the scale of ``X``, none below ``lowest_count``.
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

    Examples
    --------
    >>> import numpy as np
    >>> from baselines.base import Method
    >>> class Shares(Method):
    ...     def fit(self, X, batch=None):
    ...         self.share_ = np.asarray(X.sum(axis=0)).ravel() / X.sum()
    ...         return self
    ...
    ...     def impute(self, X, batch=None):
    ...         return np.asarray(X.sum(axis=1)).reshape(-1, 1) * self.share_
    >>> counts = np.array([[1, 0, 5], [3, 3, 0]])
    >>> Shares().fit(counts).impute(counts)
    array([[2. , 1.5, 2.5],
           [2. , 1.5, 2.5]])
    >>> Shares().fit(counts).impute(counts[:, :2])
    Traceback (most recent call last):
    scvi_core.data.counts.InvalidCounts: There are 2 genes and the model was fitted to 3: pass the same genes.
    """

    lowest_count = 0.0  # what an imputed count may come down to; below zero where the original of a method goes there

    @abstractmethod
    def fit(self, X, batch=None):
        """Fit to raw counts ``X`` (n_cells, n_genes), CSR or dense, with one batch label per cell; return self."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name in ("fit", *ANSWERS):
            if name in vars(cls):
                setattr(cls, name, _checked(vars(cls)[name]))
        if "compare" in vars(cls):
            cls.compare = _with_checked_table(cls.compare)


def _with_checked_table(compare):
    @functools.wraps(compare)
    def checked(self, X, *arguments, **keywords):
        return check_table(compare(self, X, *arguments, **keywords), None if X is None else X.shape[1])

    return checked


def _checked(function):
    """``fit``, or an answer of a fitted method, that sees the arguments and returns what is described in `Method`."""
    signature, fits = inspect.signature(function), function.__name__ == "fit"
    counts = list(signature.parameters)[1]

    @functools.wraps(function)
    def checked(self, *arguments, **keywords):
        given = signature.bind(self, *arguments, **keywords)
        if not fits:
            check_is_fitted(self, "n_features_in_")
        with _counts(given.arguments[counts]) as X:
            if not fits and X.shape[1] != self.n_features_in_:
                known = f"the model was fitted to {self.n_features_in_}"
                raise InvalidCounts(f"There are {X.shape[1]} genes and {known}: pass the same genes.")
            given.arguments[counts] = X
            if given.arguments.get("batch") is not None:
                given.arguments["batch"] = check_batch(given.arguments["batch"], X.shape[0])
            if not fits:
                return _answer(self, function.__name__, function(*given.args, **given.kwargs), X.shape)
            self.n_features_in_ = X.shape[1]  # so that a fit may ask its own answers
            try:
                if (fitted := function(*given.args, **given.kwargs)) is not self:
                    raise ValueError(f"fit() returned {type(fitted).__name__}: end it with `return self`.")
                return self
            except BaseException:
                vars(self).pop("n_features_in_", None)  # half fitted is not fitted
                raise

    return checked


def _answer(method, name, answer, shape):
    if name != "marginal_loglik":
        return check_answer(name, answer, shape, method.lowest_count)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise ValueError(f"{name}() returned {type(answer).__name__}: return two arrays, (loglik, standard_error).")
    return tuple(check_answer(name, part, shape) for part in answer)


@contextlib.contextmanager
def _counts(X):
    """Counts, checked once: as long as a call lasts, what it hands on to other methods is known by a mark."""
    if getattr(X, "is_checked", False):
        yield X
        return
    counts = check_counts(X)
    if counts is X:  # on disk: it is the caller's and gets no mark
        yield X
        return
    counts.is_checked = True
    try:
        yield counts
    finally:
        del counts.is_checked
