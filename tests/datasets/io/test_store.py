"""The on-disk store."""

import numpy as np
import pytest
import scipy.sparse as sp

from datasets.base import InvalidDataset, content_hash, make_dataset
from datasets.io import store
from datasets.io.store import create_store, open_store

SOURCE = {"name": "toy", "origin": "Drawn.", "sha256": "0", "steps": []}
X = sp.csr_matrix(np.random.default_rng(0).poisson(0.5, size=(50, 20)) + np.eye(50, 20, dtype=int)[::-1])
X = X[np.diff(X.indptr) > 0].tocsr()
N = X.shape[0]
CELLS = [f"cell_{i}" for i in range(N)]
GENES = [f"g{i}" for i in range(20)]


def write(folder, blocks=((0, 7), (7, 8), (8, N))):
    with create_store(folder, 20) as writer:
        for start, stop in blocks:
            part = X[start:stop]
            obs = {"label": np.arange(start, stop) % 3}
            writer.append(part.data, part.indices, part.indptr, CELLS[start:stop], obs)
        writer.close(GENES, SOURCE, var={"length": np.arange(20)}, levels={"label": ["a", "b", "c"]})


def test_what_is_written_is_what_is_read(tmp_path):
    write(tmp_path / "s")
    adata = open_store(tmp_path / "s")
    labels = np.array(["a", "b", "c"])[np.arange(N) % 3]
    expected = make_dataset(
        X, cells=CELLS, genes=GENES, obs={"label": labels}, var={"length": np.arange(20)}, source=SOURCE
    )
    assert content_hash(adata) == content_hash(expected)
    rows = [5, 3, N - 1]
    assert content_hash(open_store(tmp_path / "s", rows)) == content_hash(expected[rows].copy())


def test_the_arrays_are_plain_npy_files(tmp_path):
    write(tmp_path / "s")
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "data.npy"), X.data)
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "indptr.npy"), X.indptr)


def test_more_counts_than_32_bits_can_number(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "INT32_MAX", 100)
    monkeypatch.setattr(store, "COPY_BLOCK", 7)
    monkeypatch.setattr(store.StoreWriter, "append", _append_without_limit)
    write(tmp_path / "s")
    assert np.load(tmp_path / "s" / "indices.npy", mmap_mode="r").dtype == np.int64
    adata = open_store(tmp_path / "s")
    assert adata.X.indices.dtype == adata.X.indptr.dtype
    np.testing.assert_array_equal(adata.X.toarray(), X.toarray())


_append = store.StoreWriter.append


def _append_without_limit(self, data, *rest):
    assert data.max() <= 100  # the limit lowered for this test applies to the counts as well: keep below
    _append(self, data, *rest)


def test_a_store_appears_whole_or_not_at_all(tmp_path):
    def fail():
        with create_store(tmp_path / "s", 20) as writer:
            writer.append(X.data, X.indices, X.indptr, CELLS)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "s")
    before = (tmp_path / "s" / "about.json").stat().st_mtime_ns
    write(tmp_path / "s")  # a second run that made the same: the first one's stays
    assert (tmp_path / "s" / "about.json").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("data", "indptr", "message"),
    [
        ([1, -2, 3], [0, 1, 3], "'cell_1' has a count that is not a positive 32-bit integer"),
        ([1, 2, 2**31], [0, 2, 3], "'cell_1' has a count that is not"),
        ([1, 2, 3], [0, 3, 3], "'cell_1' has no counts"),
    ],
)
def test_what_the_contract_forbids_is_refused(tmp_path, data, indptr, message):
    def fill():
        with create_store(tmp_path / "s", 20) as writer:
            writer.append(np.array(data), np.array([0, 1, 2]), np.array(indptr), CELLS[:2])

    with pytest.raises(InvalidDataset, match=message):
        fill()
