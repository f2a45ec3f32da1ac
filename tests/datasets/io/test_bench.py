"""The benchmark of the conversion runs and says what it measured; what it measured is no test."""

import h5py
import numpy as np

from datasets.io import bench, formats


def test_it_runs(tmp_path, capsys):
    bench.main(
        ["--cells", "300", "--genes", "200", "--values-per-cell", "40", "--selected", "20", "--folder", str(tmp_path)]
    )
    out = capsys.readouterr().out
    assert "300 cells x 200 genes" in out
    assert "decompression alone" in out
    assert "peak memory" in out
    assert list(tmp_path.iterdir()) == []


def test_the_file_it_writes_is_a_10x_file(tmp_path):
    n_values = bench.write_10x(tmp_path / "x.h5", 500, 300, 60)
    table = formats.read(tmp_path / "x.h5")
    assert table.X.shape == (500, 300)
    assert table.X.nnz == n_values
    assert abs(n_values / 500 - 60) < 3
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.diff(file["mm10/indptr"][:]).min() > 0
