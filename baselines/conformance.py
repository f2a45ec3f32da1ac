"""What a method has to do to be in the suite, as scikit-learn's check_estimator has it for every estimator.

One set of checks: ``tests/baselines/test_conformance.py`` asks them of every row of ``conf/method/``, ``python -m
experiments.check_method NAME`` of a class of the user's own. A check that is not passed raises `Wrong` with one
sentence: what was asked, what came, how to mend it.
"""

import functools
import inspect
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from scvi_core.data.counts import InvalidCounts

from .answers import check_answer, check_table
from .base import ANSWERS, Skip

QUICK = {"n_epochs": 3, "n_iterations": 20, "max_iter": 3}  # where there is such a parameter: the interface is checked
ASKED = ("latent", "impute", "loglik", "correct")  # about counts alone, without further choices
N_CELLS, N_GENES = 200, 50


class Wrong(AssertionError):
    """A check that is not passed, in one sentence."""


def example(seed=0):
    """200 cells × 50 genes of three kinds and two batches; gene 7 has no counts, every cell has some.

    Returns
    -------
    X : scipy.sparse.csr_matrix, shape (200, 50), int32
    batch : numpy.ndarray of str, shape (200,)
    """
    rng = np.random.default_rng(seed)
    kind, batch = rng.integers(3, size=N_CELLS), np.repeat(["a", "b"], N_CELLS // 2)
    size = rng.gamma(1, 3, size=(3, N_GENES))[kind] * rng.gamma(5, 0.2, size=(N_CELLS, 1))
    X = rng.poisson(size * np.where(batch == "a", 1, 1.5)[:, None]).astype(np.int32)
    X[rng.random(X.shape) < 0.2] = 0
    X[:, 7] = 0
    X[:, 0] += 1
    return sp.csr_matrix(X), batch


def quick(cls, parameters):
    """An unfitted method with its parameters, those of `QUICK` made small, and with a seed, as in a job."""
    if "random_state" in inspect.signature(cls).parameters:
        parameters = {"random_state": 0} | parameters
    method = cls(**parameters)
    return method.set_params(**{name: value for name, value in QUICK.items() if name in method.get_params()})


class Subject:
    """A method under test, with the example counts and what it says of them once fitted.

    Parameters
    ----------
    method : Method
        Unfitted; it is copied for every check.
    """

    def __init__(self, method):
        self.method = method
        self.X, self.batch = example()

    def fitted(self, X, batch, what):
        """A copy fitted to counts; ``what`` says for the sentence what is asked."""
        copy = self.copy()
        with self.asked(f"fit() on {what}"):
            fitted = copy.fit(X, batch=batch)
        if fitted is not copy:
            raise Wrong(f"fit() has to return the method and returned {_kind(fitted)}: end it with `return self`.")
        return fitted

    def copy(self):
        """An unfitted copy, as scikit-learn makes it: from the constructor arguments alone."""
        try:
            return clone(self.method)
        except Exception as error:
            raise Wrong(
                f"A copy made of the constructor arguments was asked for and {_said(error)}: __init__ stores its "
                "arguments as they are, each under its own name, and does nothing else."
            ) from error

    @functools.cached_property
    def trained(self):
        """Fitted to the example counts."""
        return self.fitted(self.X, self.batch, f"{N_CELLS} cells × {N_GENES} genes in two batches")

    @functools.cached_property
    def found(self):
        """What `trained` says of the example counts: {name: array}."""
        return self.answers(self.trained, self.X, self.batch) | self.marginal(self.trained, self.X, self.batch)

    def answers(self, fitted, X, batch):
        """Everything that a fitted method can say about counts without choices of the caller's."""
        found = {}
        for name in ASKED:
            if hasattr(fitted, name):
                found[name] = self._answer(fitted, name, X, batch)
        if hasattr(fitted, "sample"):
            found["sample"] = self._answer(fitted, "sample", X, batch, n_samples=2)
            if len(found["sample"]) != 2:
                raise Wrong(f"sample(X, n_samples=2) returned {len(found['sample'])} draws: return n_samples of them.")
        return found

    def repeats(self, name):
        """Whether a second copy, fitted to the same counts, answers the same."""
        again = self.answers(self.fitted(self.X, self.batch, "the same cells again"), self.X, self.batch)
        return np.array_equal(again[name], self.found[name])

    def marginal(self, fitted, X, batch):
        """The same of the marginal likelihood: seconds for scVI, however few the draws."""
        if not hasattr(fitted, "marginal_loglik"):
            return {}
        with self.asked("marginal_loglik(X, n_samples=3)"):
            answer = fitted.marginal_loglik(X, batch=batch, n_samples=3)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise Wrong(f"marginal_loglik() returned {_kind(answer)}: return two arrays, (loglik, standard_error).")
        names = ("marginal_loglik", "standard_error")
        return {name: _held("marginal_loglik", part, X.shape) for name, part in zip(names, answer, strict=True)}

    def _answer(self, fitted, name, X, batch, **options):
        with self.asked(f"{name}(X, batch=batch)"):
            answer = getattr(fitted, name)(X, batch=batch, **options)
        return _held(name, answer, X.shape, getattr(fitted, "lowest_count", 0.0))

    @contextmanager
    def asked(self, what):
        """Turn whatever the code of the method raises into a sentence that says where."""
        try:
            yield
        except Exception as error:
            if isinstance(error, Wrong) or getattr(error, "skip", False):
                raise
            at = _place(error, type(self.method))
            raise Wrong(f"{what} was asked and {_said(error)}: mend it at {at}.") from error


def it_can_do_something(subject):
    """It has an answer of the suite, and a copy of it has its parameters."""
    named = [*ANSWERS, "compare"]
    if not any(hasattr(subject.method, name) for name in named if name not in ("clusters", "embed")):
        raise Wrong(
            f"A method answers at least one question and {type(subject.method).__name__} answers none: define one of "
            f"{', '.join(named[:-3])} or compare (baselines/base.py describes them)."
        )
    before, after = subject.method.get_params(), subject.copy().get_params()
    changed = [name for name in before if repr(before[name]) != repr(after.get(name))]
    if changed:
        raise Wrong(
            f"A copy has to have the same {changed[0]} and has {after.get(changed[0])!r} for {before[changed[0]]!r}: "
            f"write self.{changed[0]} = {changed[0]} in __init__ and change it nowhere."
        )


def shapes_and_finite_values(subject):
    """What it answers are dense arrays of finite numbers of the shapes that baselines/base.py describes."""
    return subject.found


def the_storage_of_the_counts_does_not_matter(subject):
    """64-bit integers, a matrix by columns and a dense array give the same; what is the caller's stays as it was."""
    X, batch = subject.X, subject.batch
    forms = {
        "64-bit integers": X.astype(np.int64),
        "a matrix stored by columns (CSC)": X.tocsc(),
        "a dense array of floats": X.toarray().astype(np.float32),
    }
    for form, given in forms.items():
        before = given.copy()
        found = subject.answers(subject.fitted(given, batch, form), given, batch)
        if np.abs(before - given).max() != 0:
            raise Wrong(f"The counts are the caller's and were changed ({form}): work on a copy, X = X.copy().")
        for name, value in found.items():
            if not np.allclose(value, subject.found[name], rtol=1e-6, atol=1e-8):
                if not subject.repeats(name):
                    raise Skip(f"{name}() of the same counts in the same form differs already")
                raise Wrong(
                    f"{name}() of the same counts as {form} has to be the same and differs by up to "
                    f"{_apart(value, subject.found[name])}: let nothing depend on the type or order of X; inherit from "
                    "baselines.base.Method, which hands on a CSR matrix of integers."
                )


def same_seed_same_answer_and_a_refit_forgets(subject):
    """Fitted again after other cells, with the same random_state, it says the same to the last digit."""
    X, batch = subject.X, subject.batch
    state = np.random.get_state()  # noqa: NPY002 -- global state must not matter
    try:
        np.random.seed(99)  # noqa: NPY002
        other = subject.fitted(X[::-1][:150], batch[::-1][:150], "150 of the cells")
        with subject.asked("a second fit()"):
            other.fit(X, batch=batch)
        again = subject.answers(other, X, batch) | subject.marginal(other, X, batch)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    for name, value in subject.found.items():
        if not np.array_equal(value, again[name]):
            raise Wrong(
                f"{name}() after a second fit to the same cells has to be equal and differs by up to "
                f"{_apart(value, again[name])}: draw from np.random.default_rng(self.random_state), with random_state "
                "a constructor argument, and let fit() begin anew."
            )


def one_batch_will_do(subject):
    """It can be fitted without batches, and to cells of one."""
    if hasattr(subject.method, "correct"):
        raise Skip("a batch correction needs two batches")
    for what, given in {"cells without batches": None, "cells of one batch": np.zeros(N_CELLS, dtype=int)}.items():
        subject.answers(subject.fitted(subject.X, given, what), subject.X, given)


def compare_returns_one_row_per_gene(subject):
    """Two groups of cells give a data frame with a score and a log fold change for every gene."""
    if not hasattr(subject.method, "compare"):
        raise Skip("it does not compare groups")
    first, second = np.arange(N_CELLS) % 3 == 0, np.arange(N_CELLS) % 3 == 1  # both batches in both groups
    with subject.asked("compare(X, group_a, group_b)"):
        table = subject.trained.compare(subject.X, first, second, batch=subject.batch)
    try:
        check_table(table, N_GENES)
    except ValueError as error:
        raise Wrong(str(error)) from error
    if "pvalue" in table:
        p = table["pvalue"].dropna()
        if not ((p >= 0) & (p <= 1)).all():
            raise Wrong(
                f"compare() has to return p-values from 0 to 1 and returned {p.min():g} to {p.max():g}: put other "
                "scores into the column score."
            )


def what_was_not_fitted_is_said(subject):
    """No answer before `fit`, and none about a matrix with another number of genes."""
    X, batch = subject.X, subject.batch
    if not set(vars(subject.trained)) - set(vars(subject.method)) - {"n_features_in_"}:
        raise Skip("nothing is kept from the fit")
    for name in ASKED:
        if hasattr(subject.method, name):
            asked = f"{name}() before fit()"
            _refuses(asked, lambda name=name: getattr(subject.copy(), name)(X, batch=batch), NotFittedError, "")
            fewer = f"{name}() about {N_GENES - 1} genes after a fit to {N_GENES}"
            other = f"{N_GENES - 1} genes"
            _refuses(fewer, lambda name=name: getattr(subject.trained, name)(X[:, 1:], batch=batch), ValueError, other)


def what_is_not_a_count_is_refused(subject):
    """A value that is no integer is refused in a sentence that says where it stands."""
    X = subject.X.toarray().astype(float)
    X[3, 4] = 0.5
    copy = subject.copy()
    _refuses("fit() on counts of which one is 0.5", lambda: copy.fit(X, batch=subject.batch), InvalidCounts, "row 3")


CHECKS = {
    check.__name__.replace("_", " "): check
    for check in (
        it_can_do_something,
        shapes_and_finite_values,
        same_seed_same_answer_and_a_refit_forgets,
        the_storage_of_the_counts_does_not_matter,
        one_batch_will_do,
        compare_returns_one_row_per_gene,
        what_was_not_fitted_is_said,
        what_is_not_a_count_is_refused,
    )
}


def outcomes(method):
    """Ask every check of an unfitted method.

    Yields
    ------
    check : str
        Its name.
    status : {"passed", "failed", "left out"}
    sentence : str
        Why it failed or was left out.
    """
    subject, seen = Subject(method), set()
    for name, check in CHECKS.items():
        try:
            check(subject)
        except Wrong as error:
            said = str(error)
            yield name, "failed", said if said not in seen else "the same again."
            seen.add(said)
        except Exception as error:
            if not getattr(error, "skip", False):
                raise
            yield name, "left out", str(error)
        else:
            yield name, "passed", ""


def _held(name, answer, shape, lowest_count=0.0):
    """An answer as an array; `Wrong` in the words of `baselines.answers` where it is not what is asked."""
    try:
        return check_answer(name, answer, shape, lowest_count)
    except ValueError as error:
        raise Wrong(str(error)) from error


def _refuses(asked, question, expected, words):
    """`Wrong` unless ``question()`` raises ``expected`` with these words."""
    advice = f"inherit from baselines.base.Method, or raise {expected.__name__}"
    advice += f' that says "{words}".' if words else "."
    try:
        question()
    except expected as error:
        if words not in str(error):
            raise Wrong(f"{asked} has to be refused with {words!r} and {_said(error)}: {advice}") from error
    except Exception as error:
        if getattr(error, "skip", False):
            raise
        raise Wrong(f"{asked} has to be refused with {expected.__name__} and {_said(error)}: {advice}") from error
    else:
        raise Wrong(f"{asked} has to be refused and was answered: {advice}")


def _said(error):
    return f"{type(error).__name__} came ({' '.join(str(error).split()) or 'without a word'})"


def _place(error, cls):
    """Where in the user's own file an error comes from; else where it was raised."""
    own = Path(getattr(sys.modules.get(cls.__module__), "__file__", "") or "")
    frames = traceback.extract_tb(error.__traceback__)
    frame = ([frame for frame in frames if Path(frame.filename) == own] or frames)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def _kind(answer):
    return "None" if answer is None else f"a {type(answer).__name__}"


def _apart(one, other):
    if np.shape(one) != np.shape(other):
        return f"its shape, {np.shape(one)} and {np.shape(other)}"
    return f"{np.abs(np.asarray(one, float) - np.asarray(other, float)).max():.2g}"
