"""BRAIN-LARGE: the streaming conversion against the same done densely in memory."""

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.model_selection import train_test_split

from datasets import brain_large
from datasets.base import InvalidDataset, check_dataset
from datasets.io import stream_10x

N_CELLS, N_GENES = 400, 60


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.3, 1.0, size=N_GENES), size=(N_CELLS, N_GENES))
    X[7] = 0  # a cell without counts, as in the real file
    suffixes = rng.integers(1, 134, size=N_CELLS)
    return X, [f"{i:016d}-{suffix}" for i, suffix in enumerate(suffixes)], suffixes


@pytest.fixture
def path(tmp_path, raw, drawn, monkeypatch):
    monkeypatch.setattr(stream_10x, "BLOCK_VALUES", 500)  # many blocks
    names = [f"G{i}" for i in range(N_GENES)]
    return raw.tenx_h5(tmp_path / "1M.h5", drawn[0], drawn[1], [f"ENSMUS{n}" for n in names], names)


def load(path, **settings):
    settings = {"n_genes": 20, "variance_cells": 100, "n_cells": 50, "n_test": 10} | settings
    files = {"counts": {"name": "1M.h5", "urls": [], "sha256": None}}
    return check_dataset(brain_large.load(path=path, data_dir=path.parent, files=files, **settings))


def top(X, n):
    return np.sort(np.argsort(-X.var(axis=0), kind="stable")[:n])


def test_genes_by_the_variance_of_the_first_cells_or_of_all(path, drawn):
    X, _, _ = drawn
    for variance_cells, over in ((100, X[:100]), (None, X), (10_000, X)):
        adata = load(path, variance_cells=variance_cells)
        assert list(adata.var["symbol"]) == [f"G{i}" for i in top(over, 20)]
        np.testing.assert_array_equal(adata.X.toarray(), X[adata.obs["row"]][:, top(over, 20)])
    assert not np.array_equal(top(X[:100], 20), top(X, 20))  # else the above shows nothing


def test_subsets_are_the_first_cells_of_the_authors_split(path, drawn):
    X, names, _ = drawn
    filled = X[:, top(X[:100], 20)].sum(axis=1) > 0
    train, test = train_test_split(np.arange(N_CELLS), test_size=0.1, random_state=0)
    adata = load(path)
    expected = [row for row in [*train[:50], *test[:10]] if filled[row]]
    assert list(adata.obs["row"]) == expected
    assert list(adata.obs_names) == [names[row] for row in expected]
    assert list(adata.obs["split"]) == ["train" if row in set(train) else "test" for row in expected]
    assert list(load(path, n_cells=30).obs["row"][:20]) == expected[:20]
    assert list(load(path, seed=1).obs["row"]) != expected


def test_everything_stays_on_disk(path, drawn):
    X, _, _ = drawn
    adata = load(path, n_cells=None, n_test=None)
    filled = X[:, top(X[:100], 20)].sum(axis=1) > 0
    np.testing.assert_array_equal(adata.X.toarray(), X[filled][:, top(X[:100], 20)])
    base = adata.X.data
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert (adata.obs["split"] == "test").sum() == sum(
        filled[train_test_split(np.arange(N_CELLS), test_size=0.1, random_state=0)[1]]
    )


def test_the_day_of_the_mouse_is_the_batch(path, drawn):
    adata = load(path)
    assert brain_large.DAY_OF_LIBRARY.sum() == 64  # of 133 libraries, 64 are of the second day
    expected = [brain_large.DAYS[brain_large.DAY_OF_LIBRARY[drawn[2][row] - 1]] for row in adata.obs["row"]]
    assert list(adata.obs["batch"]) == expected


def test_the_file_is_converted_once(path, monkeypatch):
    load(path)
    monkeypatch.setattr(brain_large, "_convert", lambda *_: pytest.fail("converted again"))
    load(path, n_cells=20, seed=3)


def test_unsorted_columns_are_sorted_and_repeated_ones_refused(tmp_path, raw, drawn):
    X, names, _ = drawn
    genes = [f"G{i}" for i in range(N_GENES)]
    path = raw.tenx_h5(tmp_path / "1M.h5", X, names, genes, genes)
    S = sp.csr_matrix(X)
    with h5py.File(path, "a") as file:
        order = np.concatenate([np.arange(a, b)[::-1] for a, b in zip(S.indptr[:-1], S.indptr[1:], strict=True)])
        file["mm10/indices"][:], file["mm10/data"][:] = S.indices[order], S.data[order]
    adata = load(path, n_cells=None, n_test=None)
    np.testing.assert_array_equal(adata.X.toarray(), X[adata.obs["row"]][:, top(X[:100], 20)])
    with h5py.File(path, "a") as file:
        first = S.indptr[30]
        file["mm10/indices"][first : first + 2] = top(X[:100], 20)[3]
    with pytest.raises(InvalidDataset, match="listed twice"):
        load(path, seed=0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda g: g["indices"].write_direct(np.full(g["indices"].shape, N_GENES)), "index outside its 60 genes"),
        (
            lambda g: g["data"].write_direct(np.full(g["data"].shape, -1, dtype=np.int32)),
            "not a positive 32-bit integer",
        ),
        (lambda g: g["indptr"].write_direct(g["indptr"][:][::-1].copy()), r"follow one another|are announced"),
        (lambda g: g["shape"].write_direct(np.array([N_CELLS, N_GENES], dtype=np.int32)), "genes and cells swapped"),
    ],
)
def test_damaged_files_leave_no_store(path, damage, message):
    with h5py.File(path, "a") as file:
        damage(file["mm10"])
    with pytest.raises(InvalidDataset, match=message):
        load(path)
    assert not list((path.parent / "cache").glob("*brain_large*"))


def test_a_truncated_file_and_a_web_page(path):
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InvalidDataset, match=r"1M\.h5 cannot be read"):
        load(path)
    path.write_text("<html>404</html>")
    with pytest.raises(InvalidDataset, match=r"1M\.h5 is a web page"):
        load(path)


def test_too_many_genes(path):
    with pytest.raises(InvalidDataset, match=r"n_genes=61 is asked for .* has 60"):
        load(path, n_genes=61)


def test_barcodes_that_name_no_library_give_no_batch(tmp_path, raw, drawn):
    genes = [f"G{i}" for i in range(N_GENES)]
    names = [f"{i:016d}" + ("-x" if i % 2 else "") for i in range(N_CELLS)]
    adata = load(raw.tenx_h5(tmp_path / "1M.h5", drawn[0], names, genes, genes))
    assert "batch" not in adata.obs
