"""Harmony and Scanorama against direct calls of their packages (tests/golden/batch_rows.npz), and by purpose."""

import sys
from pathlib import Path

import numpy as np
import pytest

from baselines.base import Skip
from baselines.harmony import Harmony
from baselines.log_pca import LogNormalPCA
from baselines.scanorama import Scanorama

FOLDER = Path(__file__).parents[1] / "golden"
GOLDEN, DATA = np.load(FOLDER / "batch_rows.npz"), np.load(FOLDER / "scanpy_rows.npz")
COUNTS, BATCH, KIND = DATA["counts"], DATA["batch"], DATA["kind"]
PACKAGES = {"harmonypy": Harmony, "scanorama": Scanorama}


def up_to_signs(ours, theirs, atol):
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours * signs, theirs, atol=atol)


def fitted(package, *arguments, **parameters):
    pytest.importorskip(package, reason=f"{package} is not installed")
    return PACKAGES[package](**parameters).fit(*arguments)


def test_harmony_equals_its_package():
    """Single precision: its soft clusters carry rounding on."""
    up_to_signs(fitted("harmonypy", COUNTS, BATCH, n_latent=5).latent(COUNTS), GOLDEN["harmony"], 1e-2)


def test_scanorama_equals_its_package():
    method = fitted("scanorama", COUNTS, BATCH, n_latent=5)
    up_to_signs(method.latent(COUNTS), GOLDEN["scanorama_latent"], 1e-4)
    np.testing.assert_allclose(method.correct(COUNTS, BATCH), GOLDEN["scanorama_corrected"], atol=1e-4)


@pytest.mark.parametrize("package", PACKAGES)
def test_batches_come_together_and_kinds_stay_apart(package):
    """Distance between the means of the batches, and of the kinds, over the spread within a kind."""

    def apart(latent, label):
        centres = np.array([latent[label == name].mean(axis=0) for name in np.unique(label)])
        return np.linalg.norm(np.diff(centres, axis=0), axis=1).mean() / latent.std(axis=0).mean()

    before = LogNormalPCA(n_latent=5).fit(COUNTS).latent(COUNTS)
    after = fitted(package, COUNTS, BATCH, n_latent=5).latent(COUNTS)
    assert apart(after, BATCH) < 0.6 * apart(before, BATCH)
    assert apart(after, KIND) > 0.8 * apart(before, KIND)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_order_of_the_cells_does_not_matter_to_their_rows(package):
    """Batches that alternate: every row is that of its cell."""
    order = np.argsort(np.arange(len(BATCH)) % 75, kind="stable")
    method = fitted(package, COUNTS, BATCH, n_latent=5)
    mixed = PACKAGES[package](n_latent=5).fit(COUNTS[order], BATCH[order])
    latents = method.latent(COUNTS)[order], mixed.latent(COUNTS[order])
    distances = [np.linalg.norm(x[:, None] - x, axis=2) for x in latents]
    assert np.corrcoef(distances[0].ravel(), distances[1].ravel())[0, 1] > 0.95


def test_one_batch_is_left_as_it_is():
    components = LogNormalPCA(n_latent=5).fit(COUNTS).latent(COUNTS)
    np.testing.assert_allclose(fitted("harmonypy", COUNTS, n_latent=5).latent(COUNTS), components)


def test_scanorama_leaves_the_global_random_state():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    fitted("scanorama", COUNTS, BATCH, n_latent=5)
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.parametrize(("package", "extra"), [("harmonypy", "harmony"), ("scanorama", "scanorama")])
def test_without_its_package_it_is_skipped(monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Skip, match=rf'{extra.title()} needs the extra "{extra}": pip install "\.\[{extra}\]"') as error:
        PACKAGES[package]().fit(COUNTS, BATCH)
    assert error.value.skip


@pytest.mark.parametrize("package", PACKAGES)
def test_other_cells_are_refused(package):
    method = fitted(package, COUNTS, BATCH, n_latent=5)
    with pytest.raises(ValueError, match="has no map to cells it was not fitted to"):
        method.latent(COUNTS[::-1])
