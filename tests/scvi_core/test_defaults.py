"""What a program has set for all of PyTorch reaches neither a fit nor an answer."""

import numpy as np
import pytest
import torch

from scvi_core import SCVI

X = np.random.default_rng(0).poisson(2.0, size=(40, 6)) + (np.arange(6) == 0)
GROUPS = np.arange(40) < 20, np.arange(40) >= 20


def everything(engine, folder):
    """A fit and all answers."""
    model = SCVI(n_hidden=4, n_latent=2, n_epochs=2, engine=engine, early_stopping="patience").fit(X)
    model.save(folder / "model")
    model = SCVI.load(folder / "model")
    yield from (model.latent(X), model.impute(X), model.loglik(X), model.loglik(X, n_samples=2), model.library_size(X))
    yield from (*model.marginal_loglik(X, n_samples=4), model.sample(X), model.sample_prior(4))
    yield model.compare(X, *GROUPS, n_pairs=4).to_numpy()
    yield model.tune_encoder(X, n_epochs=1).latent(X)


class Double:
    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *error):
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("engine", ["plain", "auto"])
@pytest.mark.parametrize(
    "setting",
    [Double, torch.no_grad, torch.inference_mode, lambda: torch.device("meta"), lambda: torch.autocast("cpu")],
)
def test_settings_of_the_program(tmp_path, engine, setting):
    expected = list(everything(engine, tmp_path))
    with setting():
        before = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()
        found = list(everything(engine, tmp_path))
        assert (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()) == before
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_fit_that_fails_leaves_the_settings():
    def fail(epoch):
        assert torch.get_default_dtype() == torch.float32
        raise KeyboardInterrupt

    with Double(), pytest.raises(KeyboardInterrupt):
        SCVI(kl_schedule=fail).fit(X)
    with Double():
        with pytest.raises(ValueError, match="lr"):
            SCVI(lr=-1).fit(X)
        assert torch.get_default_dtype() == torch.float64
