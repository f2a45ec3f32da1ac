"""What methods return is checked before it is scored."""

import numpy as np
import pytest

from experiments.tasks.outputs import check_imputed, check_latent


def test_what_is_sound_is_returned():
    latent, imputed = np.arange(6).reshape(3, 2), np.ones((3, 4), dtype=np.float32)
    np.testing.assert_array_equal(check_latent(latent, n_cells=3), latent)
    assert check_latent(latent, n_cells=3).dtype == np.float64
    assert check_imputed(imputed, shape=(3, 4)) is imputed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_not_finite_is_named(value):
    latent = np.zeros((3, 2))
    latent[[1, 2], [1, 0]] = value
    said = rf"latent\(\) returned {value} for cell 1 and dimension 1 \(values that are not finite: 2\)"
    with pytest.raises(ValueError, match=said):
        check_latent(latent, n_cells=3)
    with pytest.raises(ValueError, match=rf"impute\(\) returned {value} for cell 1 and gene 1"):
        check_imputed(latent, shape=(3, 2))


@pytest.mark.parametrize("shape", [(2, 3), (3,), (3, 2, 1)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"latent\(\) returned shape .* for 3 cells"):
        check_latent(np.zeros(shape), n_cells=3)
    with pytest.raises(ValueError, match=r"impute\(\) returned shape .* for 3 cells × 2 genes"):
        check_imputed(np.zeros(shape), shape=(3, 2))
