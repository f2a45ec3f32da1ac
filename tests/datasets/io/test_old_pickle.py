"""The restricted reader of the authors' metadata pickles."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from datasets.base import InvalidDataset
from datasets.io.old_pickle import read_metadata

DATA = Path(os.environ.get("SCVI_REPRO_DATA", "/nowhere")) / "raw"


def test_frames_and_arrays_come_back(tmp_path, raw):
    path = raw.old_pickle(
        tmp_path / "x.pickle",
        {
            "qc": (
                ["a", "b", "c"],
                ["r1", "r2"],
                [(["c", "a"], np.array([[1, 2], [3, 4]])), (["b"], np.array([[0.5, 1.5]]))],
            ),
            "clusters": np.array([3, 1]),
        },
    )
    content = read_metadata(path)
    assert list(content["qc"].columns) == ["a", "b", "c"]
    assert list(content["qc"].index) == ["r1", "r2"]
    assert content["qc"].loc["r2"].tolist() == [4, 1.5, 2]
    assert content["qc"]["a"].dtype.kind == "i"
    np.testing.assert_array_equal(content["clusters"], [3, 1])


class _Malicious:
    def __reduce__(self):
        return os.system, ("echo run",)


@pytest.mark.parametrize("content", [_Malicious(), {"clusters": _Malicious()}, {"f": eval}, {"path": Path("x")}])
def test_anything_else_is_refused_before_it_runs(tmp_path, content, monkeypatch):
    (tmp_path / "x.pickle").write_bytes(pickle.dumps(content))
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("the pickle ran a command"))
    with pytest.raises(InvalidDataset, match="is refused: the pickle asks for"):
        read_metadata(tmp_path / "x.pickle")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is not a whole pickle"), (b"<html></html>", "is not a whole pickle"), (pickle.dumps([1]), "holds a list")],
)
def test_damaged_and_foreign_files(tmp_path, content, message):
    (tmp_path / "x.pickle").write_bytes(content)
    with pytest.raises(InvalidDataset, match=message):
        read_metadata(tmp_path / "x.pickle")


def test_the_authors_files():
    if not (DATA / "pbmc_metadata.pickle").exists():
        pytest.skip("pbmc_metadata.pickle is not in $SCVI_REPRO_DATA/raw")
    pbmc = read_metadata(DATA / "pbmc_metadata.pickle")
    assert pbmc["raw_qc"].shape == (12039, 9)
    assert np.bincount(pbmc["clusters"]).tolist() == [1625, 2237, 5024, 1452, 339, 351, 88, 459, 464]  # Table 4
    assert pbmc["design"]["batchpbmc4k"].tolist() == [0] * 8030 + [1] * 4009
    # The quality metrics of CellRanger, in two tables of their own, say which cell a barcode is in each batch.
    for rows, table in ((slice(0, 8030), "molecule_qc_8k.txt"), (slice(8030, None), "molecule_qc_4k.txt")):
        lines = [line.split("\t") for line in (DATA / table).read_text().splitlines()]
        reference = {line[0]: [float(value) for value in line[1:]] for line in lines[1:]}
        expected = [reference[name.split("-")[0]] for name in pbmc["barcodes"].index[rows]]
        np.testing.assert_allclose(pbmc["raw_qc"].to_numpy()[rows], expected, rtol=1e-9)
    assert read_metadata(DATA / "brain_small_metadata.pickle")["clusters"].shape == (9128, 1)
    assert read_metadata(DATA / "random_metadata.pickle")["ydata"].shape == (1897, 2)
