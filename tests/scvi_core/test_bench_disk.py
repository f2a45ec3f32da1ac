"""The benchmark of training from disk: every source is measured, and orders are compared at equal seeds."""

import json

import numpy as np
import pytest

from scvi_core.bench import cpu as bench
from scvi_core.bench import disk as bench_disk


@pytest.fixture
def store(tmp_path):
    X, _ = bench.simulate(1200, 30, 0.4)
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))
    (tmp_path / "about.json").write_text(json.dumps({"shape": X.shape}))
    return tmp_path


def test_simulated_cells_in_order():
    X, batch = bench.simulate(900, 40, 0.4, n_clusters=1, in_order=True)
    assert (np.diff(batch) >= 0).all()
    again, unsorted = bench.simulate(900, 40, 0.4, n_clusters=1)
    np.testing.assert_array_equal(X.toarray(), again[np.argsort(unsorted, kind="stable")].toarray())


def test_every_source_is_measured(store, capsys):
    bench_disk.main(["sources", str(store), "--orders", "shuffle", "16:256", "--seconds", "60"])
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = {(r["source"], r["order"], r["work"]) for r in results}
    sources = [("mapped", "read")] + [(s, w) for s in ("disk", "page cache", "memory") for w in ("read", "train")]
    assert kinds == {(source, order, work) for source, work in sources for order in ("shuffle", "16:256")}
    assert all(r["cells_per_s"] > 0 for r in results)


def test_orders_are_compared_seed_by_seed(capsys):
    sizes = ["--cells", "1500", "--genes", "30", "--epochs", "1", "--seeds", "2"]
    bench_disk.main(["order", *sizes, "--orders", "shuffle", "shuffle", "64:128"])
    first, again, other = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["difference"] == again["difference"] == again["error"] == 0
    assert first["bound"] == again["bound"] != other["bound"]
    assert other["difference"] == pytest.approx(other["bound"] - first["bound"], abs=2e-4)
