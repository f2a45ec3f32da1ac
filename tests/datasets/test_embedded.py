"""The counts that come with the package: whole, exact, and refused where they are damaged."""

import re
import shutil

import numpy as np
import pytest

from datasets import embedded, h5ad, presets
from datasets.base import InvalidDataset, content_hash, sha256_of
from datasets.embedded import make_standins, write
from datasets.io.fetch import data_folder

FILES = sorted(path.name for path in embedded.HERE.glob("*.npz"))
BULK = ["CD_logFC", "CD_P.Value", "CD_adj.P.Val"]
# Those that are files; standin/zi_synthetic is drawn.
STANDINS = [
    name for name in presets.names() if name.startswith("standin/") and presets.preset(name)["source"] != "simulated"
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the smallest file and the digests, in place of the folder."""
    smallest = min(embedded.HERE.glob("*.npz"), key=lambda path: path.stat().st_size)
    for path in (smallest, embedded.HERE / "SHA256SUMS"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(embedded, "HERE", tmp_path)
    return tmp_path / smallest.name


def test_every_file_has_its_digest_a_row_in_the_readme_and_a_preset():
    sums = dict(reversed(line.split()) for line in (embedded.HERE / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: sha256_of(embedded.HERE / name) for name in FILES}
    readme = (embedded.HERE / "README.md").read_text()
    assert set(re.findall(r"^\| `(\w+\.npz)` \|", readme, re.MULTILINE)) == set(FILES)
    assert {presets.preset(name)["loader"]["file"] for name in STANDINS} | {"cortex.npz"} == set(FILES)
    assert sum((embedded.HERE / name).stat().st_size for name in FILES) < 15e6


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:999] + b"x" + data[1000:], lambda data: b""]
)
def test_a_damaged_file_is_refused_in_a_sentence(folder, damage):
    folder.write_bytes(damage(folder.read_bytes()))
    with pytest.raises(InvalidDataset, match=rf"{folder.name} is damaged .*git checkout -- {folder.name}.*install"):
        embedded.read(folder.name)


def test_a_missing_file_is_named(folder):
    folder.unlink()
    with pytest.raises(InvalidDataset, match=rf"{folder.name} is missing: restore it"):
        embedded.read(folder.name)


@pytest.mark.parametrize(("key", "value"), [("cells", 7161), ("genes", 999), ("labels", 8), ("batches", 2)])
def test_what_the_yaml_expects_is_held_against_the_file(key, value):
    arguments = presets.preset("standin/retina")["loader"]
    del arguments["_target_"]
    embedded.load(**arguments)
    arguments["expect"][key] = value
    with pytest.raises(InvalidDataset, match=rf"retina.npz does not hold .* where it has {value}\)"):
        embedded.load(**arguments)


def test_what_is_written_is_read_back_and_twice_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "HERE", tmp_path)
    monkeypatch.setattr(embedded, "HERE", tmp_path)
    adata = presets.load("simulated", n_cells=60, n_genes=30)
    adata.X.data[7] = 70_000  # beyond 16 bits
    arrays = write.arrays_of(adata, ["label", "batch", "qc_num_umi"], BULK, ["protein"])
    digests = []
    for _ in range(2):
        write.write("x.npz", arrays)
        digests.append(sha256_of(tmp_path / "x.npz"))
    assert digests[0] == digests[1]
    assert write.same("x.npz", arrays)
    (tmp_path / "SHA256SUMS").write_text(f"{digests[0]}  x.npz\n")
    back = embedded.load("x.npz", "x", "A test.", comparisons={"CD": list(adata.obs["label"].cat.categories[:2])})
    np.testing.assert_array_equal(back.X.toarray(), adata.X.toarray())
    assert list(back.obs["label"]) == list(adata.obs["label"])
    np.testing.assert_array_equal(back.obsm["protein"], adata.obsm["protein"])
    np.testing.assert_array_equal(back.var[BULK], adata.var[BULK])
    arrays["counts"][0, 0] += 1
    assert not write.same("x.npz", arrays)


@pytest.mark.parametrize("name", STANDINS)
def test_a_stand_in_is_what_its_source_is_cut_to(name):
    """The cut, read as a user's own file would be, has the same counts, names and annotations as what is embedded."""
    short = name.removeprefix("standin/")
    path = data_folder() / make_standins.CUTS[short][0]
    if not path.exists():
        pytest.skip(f"{path.name} is not in $SCVI_REPRO_DATA")
    stored = presets.load(name)
    stored.uns.pop("comparisons", None)
    assert content_hash(make_standins.cut(short)) == content_hash(stored)
    assert h5ad.load(path, n_genes=5, drop_empty_cells=True).n_vars == 5
