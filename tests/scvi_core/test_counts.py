"""Checks of counts that are mapped from a file: the same answers as in memory, without holding the file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from scvi_core.data import counts
from scvi_core.data.counts import InvalidCounts, check_counts

ROOT = Path(__file__).parents[2]


@pytest.fixture
def X(monkeypatch):
    monkeypatch.setattr(counts, "BLOCK", 20)  # many blocks
    dense = np.random.default_rng(0).poisson(0.4, size=(60, 9)) + np.eye(60, 9, dtype=int)
    dense[:, 3] += dense.sum(axis=1) == 0
    return sp.csr_matrix(dense.astype(np.int32))


def mapped(folder, X, mode="r"):
    """The same matrix with its arrays in files."""
    parts = []
    for name in ("data", "indices"):
        np.save(folder / f"{name}.npy", getattr(X, name))
        parts.append(np.load(folder / f"{name}.npy", mmap_mode=mode))
    return sp.csr_matrix((*parts, X.indptr), shape=X.shape, copy=False)


def is_mapped(array):
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap)


def test_clean_counts_stay_on_disk(tmp_path, X):
    checked = check_counts(mapped(tmp_path, X))
    assert is_mapped(checked.data)
    assert is_mapped(checked.indices)
    assert checked.has_canonical_format
    np.testing.assert_array_equal(checked.toarray(), X.toarray())
    np.testing.assert_array_equal(checked[[50, 3]].toarray(), X[[50, 3]].toarray())


def test_counts_in_memory_are_copied(X):
    checked = check_counts(X)
    assert not np.shares_memory(checked.data, X.data)
    checked.data[:] = 0
    assert X.data.all()


@pytest.mark.parametrize("change", ["float", "int64", "unsorted", "stored zero", "duplicate"])
def test_what_is_not_clean_is_copied_and_cleaned(tmp_path, X, change):
    expected = X.toarray()
    changed = X.copy()
    row = int(np.flatnonzero(np.diff(X.indptr) > 2)[-1])
    start = X.indptr[row]
    if change == "float":
        changed = X.astype(np.float32)
    elif change == "int64":
        changed = X.astype(np.int64)
    elif change == "unsorted":
        for part in (changed.data, changed.indices):
            part[start : start + 2] = part[start : start + 2][::-1].copy()
    elif change == "stored zero":
        changed.data[start] = 0
        expected[row, X.indices[start]] = 0
    else:
        changed.indices[start + 1] = changed.indices[start]
        expected[row, X.indices[start]] += X.data[start + 1]
        expected[row, X.indices[start + 1]] = 0
    on_disk = mapped(tmp_path, changed)
    checked = check_counts(on_disk)
    assert not is_mapped(checked.data)
    assert checked.dtype == np.int32
    assert checked.has_canonical_format
    np.testing.assert_array_equal(checked.toarray(), expected)
    np.testing.assert_array_equal(on_disk.indices, changed.indices)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(-1, np.int32), (-1, np.float64), (np.nan, np.float64), (np.inf, np.float64), (1.5, np.float64)],
)
def test_the_place_of_a_bad_count_is_the_one_in_the_whole(tmp_path, X, value, dtype):
    bad = X.astype(dtype)
    bad.data[-5] = value
    messages = []
    for matrix in (bad, mapped(tmp_path, bad)):
        with pytest.raises(InvalidCounts) as error:
            check_counts(matrix, cells=[f"c{i}" for i in range(60)])
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert "cell 'c5" in messages[0]


def test_empty_cells_are_counted_in_the_whole(tmp_path, X):
    kept = X.toarray()
    kept[[7, 30, 55]] = 0
    on_disk = mapped(tmp_path, sp.csr_matrix(kept.astype(np.int32)))
    with pytest.raises(InvalidCounts, match="row 7 and 2 more"):
        check_counts(on_disk)
    assert check_counts(on_disk, allow_empty_cells=True).shape == (60, 9)


MEMORY = """
import resource
import sys

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, sys.argv[2])
from scvi_core.data import counts

counts.BLOCK = 1 << 18
parts = [np.load(f"{sys.argv[1]}/{name}.npy", mmap_mode="r") for name in ("data", "indices")]
indptr = np.arange(0, len(parts[0]) + 1, 100, dtype=np.int32)
X = sp.csr_matrix((*parts, indptr), shape=(len(indptr) - 1, 100), copy=False)
limit = int(sys.argv[3]) << 20
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + limit, used + limit))
assert counts.check_counts(X).data.base is not None
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of the address space is Linux's")
def test_a_file_is_checked_in_less_memory_than_it_takes(tmp_path):
    """80 MB on disk, 40 MB to spare: a copy does not fit."""
    values = 10_000_000
    np.save(tmp_path / "data.npy", np.ones(values, dtype=np.int32))
    np.save(tmp_path / "indices.npy", np.tile(np.arange(100, dtype=np.int32), values // 100))

    def run(spare):
        call = [sys.executable, "-c", MEMORY, str(tmp_path), str(ROOT), str(spare)]
        return subprocess.run(call, capture_output=True, text=True, check=False)

    done = run(40)
    assert done.returncode == 0, done.stderr
    assert run(2).returncode != 0  # the limit is one
