"""The estimator's manners, held against scikit-learn's own base class."""

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from scvi_core import SCVI


class Twin(BaseEstimator):
    """The same constructor with scikit-learn's methods."""

    __init__ = SCVI.__init__


def test_parameters_are_those_that_scikit_learn_finds():
    ours, twin = SCVI(n_latent=3, kl_schedule=len), Twin(n_latent=3, kl_schedule=len)
    assert ours.get_params() == twin.get_params()
    assert ours.set_params(lr=0.5, n_layers=2).get_params() == twin.set_params(lr=0.5, n_layers=2).get_params()
    assert clone(ours).get_params() == ours.get_params()
    with pytest.raises(ValueError, match="no parameter 'n_latents'"):
        ours.set_params(n_latents=3)


def test_works_inside_scikit_learn():
    pipeline = make_pipeline(FunctionTransformer(), SCVI()).set_params(scvi__n_latent=4)
    assert pipeline["scvi"].n_latent == 4
    for check in (lambda: check_is_fitted(SCVI()), lambda: SCVI().latent([[1, 2], [3, 4]])):
        with pytest.raises(NotFittedError, match="not fitted"):
            check()


def test_shows_what_differs_from_the_defaults():
    assert repr(SCVI()) == "SCVI()"
    assert repr(SCVI(likelihood="nb", n_latent=5)) == "SCVI(n_latent=5, likelihood='nb')"
