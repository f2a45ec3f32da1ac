"""What makes `SCVI` an estimator of scikit-learn without loading it, which takes a second and 90 MB."""

import inspect
from numbers import Integral, Real


class Estimator:
    """Parameters are the arguments of the constructor, which only stores them; they can be read, set and shown."""

    def get_params(self, deep=True):
        """Return the parameters, a dict; ``deep`` changes nothing, as none of them is an estimator."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters):
        """Set parameters by name and return the estimator; raises ValueError for a name that is not one."""
        known = inspect.signature(type(self)).parameters
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}: it has {', '.join(known)}.")
            setattr(self, name, value)
        return self

    def __repr__(self):
        defaults = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        changed = [f"{name}={v!r}" for name, v in self.get_params().items() if repr(v) != repr(defaults[name])]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self):
        from sklearn.base import BaseEstimator

        return BaseEstimator.__sklearn_tags__(self)

    def _check_fitted(self):
        """Raise scikit-learn's NotFittedError, a ValueError, before `fit`."""
        if not hasattr(self, "network_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit first.")


def check_choice(where, name, value, allowed):
    """Raise ValueError where an option has none of its values."""
    try:
        known = value in allowed
    except (TypeError, ValueError):  # a list, an array
        known = False
    if not known:
        choices = ", ".join(map(repr, allowed))
        raise ValueError(f"{where}({name}={value!r}) is not known: choose one of {choices}.")


def check_integer(where, name, value, smallest):
    """Raise ValueError where a number of something is not an integer from ``smallest`` on."""
    if not (is_number(value, Integral) and value >= smallest):
        raise ValueError(f"{where}({name}={value!r}) will not do: choose an integer of at least {smallest}.")


def is_number(value, kind=Real):
    """Whether a value is a number, Python's or numpy's; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)
