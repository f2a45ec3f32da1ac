"""Counts on disk: the same answers as in memory, without holding the files."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scvi_core import SCVI, InvalidCounts, StoredCounts
from scvi_core.data import minibatch
from scvi_core.data.counts import check_counts
from scvi_core.data.minibatch import Cells

ROOT = Path(__file__).parents[2]
BATCH = np.arange(600) % 2


def counts(n_cells=600, n_genes=12):
    rng = np.random.default_rng(0)
    rate = np.exp(rng.normal(0, 1, (n_cells, 1)) * rng.normal(0, 1, n_genes))
    x = rng.poisson(rate)
    x[:, 0] += x.sum(axis=1) == 0
    return sp.csr_matrix(x.astype(np.int32))


def write(folder, X, dtype=np.int32):
    np.save(folder / "data.npy", X.data.astype(dtype))
    np.save(folder / "indices.npy", X.indices)
    np.save(folder / "indptr.npy", X.indptr.astype(np.int64))
    (folder / "about.json").write_text(json.dumps({"shape": X.shape}))
    return StoredCounts.open(folder)


def mapped(folder, X):
    data, indices = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("data", "indices"))
    return sp.csr_matrix((data, indices, X.indptr), shape=X.shape, copy=False)


@pytest.mark.parametrize(
    "rows",
    [
        slice(None),
        slice(7, 19),
        slice(5, 5),
        np.array([3, 4, 5, 2, 590, 591, 0]),
        np.array([8, 8, 7]),
        np.array([], dtype=int),
        np.arange(600) % 5 == 0,
    ],
    ids=["all", "slice", "empty slice", "runs", "twice", "none", "mask"],
)
def test_rows_are_those_of_the_matrix(tmp_path, rows):
    X = counts()
    stored = write(tmp_path, X)
    for ours in (stored, StoredCounts.of_mapped(mapped(tmp_path, X))):
        taken = ours[rows]
        assert taken.shape == X[rows].shape
        np.testing.assert_array_equal(taken.toarray(), X[rows].toarray())
        np.testing.assert_array_equal(taken.indptr, X[rows].indptr)
        np.testing.assert_array_equal(taken[::-1].toarray(), X[rows][::-1].toarray())  # rows of rows
        taken.read_ahead()


def test_a_part_of_a_mapped_file_is_found_in_the_file(tmp_path):
    X = counts()
    whole = write(tmp_path, X) and mapped(tmp_path, X)
    start = int(X.indptr[100])
    part = sp.csr_matrix((whole.data[start:], whole.indices[start:], X.indptr[100:] - start), shape=(500, 12))
    np.testing.assert_array_equal(StoredCounts.of_mapped(part).toarray(), X[100:].toarray())


def test_what_is_not_a_file_is_not_read_from_one(tmp_path):
    X = counts()
    write(tmp_path, X)
    changed = np.load(tmp_path / "data.npy", mmap_mode="c")  # changes stay in memory
    changed[0] += 1
    indices = np.load(tmp_path / "indices.npy", mmap_mode="r")
    assert StoredCounts.of_mapped(sp.csr_matrix((changed, indices, X.indptr), shape=X.shape, copy=False)) is None
    assert StoredCounts.of_mapped(X) is None


def test_damage_is_noticed(tmp_path):
    X = counts()
    stored = write(tmp_path, X)
    assert check_counts(stored) is stored
    with open(tmp_path / "data.npy", "r+b") as file:
        file.truncate(2000)
    with pytest.raises(EOFError, match=r"data\.npy ends early"):
        stored.tocsr()


@pytest.mark.parametrize("change", ["int64", "unsorted", "stored zero", "column"])
def test_what_is_not_clean_is_refused(tmp_path, change):
    X = counts()
    place = int(X.indptr[300])
    if change == "unsorted":
        X.indices[place : place + 2] = X.indices[place : place + 2][::-1].copy()
    elif change == "stored zero":
        X.data[place] = 0
    elif change == "column":
        X.indices[X.indptr[301] - 1] = 12
    stored = write(tmp_path, X, np.int64 if change == "int64" else np.int32)
    with pytest.raises(InvalidCounts, match="on disk are not 32-bit integers"):
        check_counts(stored)


def test_the_place_of_a_bad_count_is_named(tmp_path):
    X = counts()
    X.data[X.indptr[400]] = -3
    with pytest.raises(InvalidCounts, match="negative at cell in row 400, gene in column"):
        SCVI().fit(write(tmp_path, X))


@pytest.mark.parametrize("sampling", ["shuffle", "blocks", "replacement", "slices"])
@pytest.mark.parametrize("engine", ["plain", "fused"])
def test_training_from_disk_is_training_from_memory(tmp_path, engine, sampling):
    """To the bit; a mapped matrix is read like a store."""
    X = counts()
    model = SCVI(n_epochs=3, n_hidden=16, n_latent=2, engine=engine, sampling=sampling)
    stored = write(tmp_path, X)
    ends = []
    for each in (X, stored, mapped(tmp_path, X)):
        fitted = model.fit(each, BATCH)
        assert fitted.engine_ == engine
        ends.append((fitted.history_["loss"].to_numpy(), *(p.detach().clone() for p in fitted.network_.parameters())))
    for other in ends[1:]:
        for ours, theirs in zip(ends[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_every_question_is_answered_from_disk_as_from_memory(tmp_path):
    X = counts()
    stored = write(tmp_path, X)
    held_out = {"early_stopping": "patience", "n_epochs": 4}
    model = SCVI(n_hidden=16, n_latent=2, **held_out).fit(X, BATCH)
    from_disk = SCVI(n_hidden=16, n_latent=2, sampling="shuffle", **held_out).fit(stored, BATCH)
    np.testing.assert_array_equal(model.history_["validation_loss"], from_disk.history_["validation_loss"])
    group = np.arange(600) < 250
    questions = {
        "latent": lambda X: model.latent(X, BATCH),
        "impute": lambda X: model.impute(X, BATCH),
        "normalized": lambda X: model.normalized(X, BATCH, decode_batch="all"),
        "dropout": lambda X: model.dropout_probability(X, BATCH),
        "library": lambda X: model.library_size(X, BATCH),
        "bound": lambda X: model.loglik(X, BATCH),
        "loglik": lambda X: model.loglik(X, BATCH, n_samples=3),
        "sample": lambda X: model.sample(X[:20], 2, BATCH[:20]),
        "compare": lambda X: model.compare(X, group, ~group, BATCH).to_numpy(),
        "tuned": lambda X: model.tune_encoder(X, BATCH, n_epochs=1).latent(X, BATCH),
    }
    for name, ask in questions.items():
        np.testing.assert_array_equal(ask(stored), ask(X), err_msg=name)


@pytest.mark.parametrize("question", ["latent", "impute", "normalized"])
def test_answers_are_written_where_they_are_wanted(tmp_path, question):
    X = counts()
    model = SCVI(n_epochs=1, n_hidden=8, n_latent=3).fit(X)
    expected = getattr(model, question)(X)
    out = np.lib.format.open_memmap(tmp_path / "out.npy", mode="w+", dtype=np.float32, shape=expected.shape)
    assert getattr(model, question)(X, out=out) is out
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    with pytest.raises(ValueError, match=r"out has shape \(600, 2\): the answer has \(600,"):
        getattr(model, question)(X, out=np.empty((600, 2)))


def test_cells_of_a_buffer_are_held_and_others_are_read(tmp_path):
    X = counts()
    cells = Cells(write(tmp_path, X), BATCH)
    for n_seen, rows in enumerate(cells.minibatches("blocks", 50, torch.Generator().manual_seed(0))):
        held, owners, where = cells.find(rows)
        np.testing.assert_array_equal(held[where.numpy()].toarray(), X[rows.numpy()].toarray())
        np.testing.assert_array_equal(owners[where], rows)
        if n_seen < 11:  # the last ones are a buffer of their own
            assert held.shape[0] == 550
            other = torch.tensor([rows[0], *({*range(600)} - {*owners.tolist()})])
            np.testing.assert_array_equal(cells.take(other)[0], X[other.numpy()].toarray())
            assert cells.find(rows)[0] is held


@pytest.mark.parametrize("n_cells", [2, 128, 130])
def test_fewer_cells_than_a_buffer_holds(tmp_path, n_cells):
    stored = write(tmp_path, counts(n_cells))
    seen = torch.cat(list(Cells(stored, BATCH[:n_cells]).minibatches("blocks", 128, torch.Generator())))
    assert sorted(seen.tolist()) == list(range(n_cells))


def test_cells_of_a_chunk_are_read_in_one_go(tmp_path, monkeypatch):
    from scvi_core.data.on_disk import Column

    calls, read = [], Column.read
    monkeypatch.setattr(Column, "read", lambda self, start, out: calls.append(start) or read(self, start, out))
    cells = Cells(write(tmp_path, counts()), BATCH)
    assert len(list(cells.chunks())) == 1
    assert calls == [0, 0]  # counts and columns


LIMITED = """
import functools
import resource
import sys

import torch

sys.path.insert(0, sys.argv[2])
from scvi_core import SCVI, StoredCounts
from scvi_core.data import minibatch
from scvi_core.bench.counts import simulate

minibatch.in_blocks = functools.partial(minibatch.in_blocks, buffer_size=1024)
torch.set_num_threads(1)
small, _ = simulate(300, 500, 0.5)
SCVI(n_epochs=1, n_hidden=16).fit(small).history_  # all that is loaded at first use is there
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]),) * 2)
X = StoredCounts.open(sys.argv[1])
model = SCVI(n_epochs=1, n_hidden=16, sampling="blocks").fit(X)
print(repr(float(model.history_["loss"][0])), repr(float(model.latent(X[::50]).sum())))
try:
    X.tocsr()
except MemoryError:
    print("limited")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of the address space is Linux's")
def test_training_on_three_times_the_memory(tmp_path, monkeypatch):
    """The address space may grow by a third of what the counts take; the same model comes out as in memory."""
    X = sp.csr_matrix(np.tile(counts(100, 500).toarray() + 1, (250, 1)))  # without zeros: many bytes, few cells
    write(tmp_path, X)
    size = X.data.nbytes + X.indices.nbytes
    call = [sys.executable, "-c", LIMITED, str(tmp_path), str(ROOT), str(size // 3)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(minibatch, "in_blocks", functools.partial(minibatch.in_blocks, buffer_size=1024))
    model = SCVI(n_epochs=1, n_hidden=16, sampling="blocks").fit(X)
    loss, latent = float(model.history_["loss"][0]), float(model.latent(X[::50]).sum())
    assert done.stdout.split() == [repr(loss), repr(latent), "limited"]
