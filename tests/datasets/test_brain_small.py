"""BRAIN-SMALL on a small archive and metadata pickle in the formats of the originals."""

import numpy as np
import pytest

from datasets import brain_small
from datasets.base import InvalidDataset, check_dataset

CELLS = ["AAAA-1", "CCCC-1", "GGGG-1"]
GENES = ["ENSMUSG1", "ENSMUSG2", "ENSMUSG3"]
COUNTS = np.array([[1, 0, 5], [1, 0, 90], [1, 9, 0]])
QC = ["num_umi", "mapped_reads"]


@pytest.fixture
def folder(tmp_path, raw):
    raw.tenx_archive(tmp_path / "neuron.tar.gz", COUNTS, CELLS, GENES, ["A", "B", "C"], genome="mm10")
    _metadata(tmp_path, raw, ["GGGG-1", "AAAA-1", "CCCC-1"])
    return tmp_path


def _metadata(folder, raw, names):
    n = len(names)
    raw.old_pickle(
        folder / "metadata.pickle",
        {
            "raw_qc": (QC, names, [(QC, np.arange(2.0 * n).reshape(2, n))]),
            "clusters": (["Cluster"], names, [(["Cluster"], np.arange(10, 10 + n)[None])]),
        },
    )


def _files(folder, raw):
    return {"counts": raw.file(folder / "neuron.tar.gz"), "metadata": raw.file(folder / "metadata.pickle")}


def test_metadata_find_their_cells_and_genes_are_chosen_by_spread(folder, raw):
    adata = check_dataset(brain_small.load(path=folder, data_dir=folder, files=_files(folder, raw), n_genes=2))
    assert list(adata.obs_names) == CELLS  # the order of the matrix: the authors' split depends on it
    assert list(adata.obs["label"]) == ["11", "12", "10"]
    assert list(adata.obs["qc_mapped_reads"]) == [4, 5, 3]
    assert list(adata.var_names) == ["ENSMUSG3", "ENSMUSG2"]
    assert list(adata.var["symbol"]) == ["C", "B"]
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS[:, [2, 1]])


@pytest.mark.parametrize("names", [["AAAA-1", "CCCC-1"], ["AAAA-1", "CCCC-1", "TTTT-1"]])
def test_metadata_of_other_cells_are_refused(folder, raw, names):
    _metadata(folder, raw, names)
    with pytest.raises(InvalidDataset, match="not the filtered matrix of neuron_9k"):
        brain_small.load(path=folder, data_dir=folder, files=_files(folder, raw), n_genes=2)


def test_an_archive_that_is_a_web_page(folder, raw):
    (folder / "neuron.tar.gz").write_text("<html>Sign in</html>")
    with pytest.raises(InvalidDataset, match=r"neuron\.tar\.gz is a web page"):
        brain_small.load(path=folder, data_dir=folder, files=_files(folder, raw))
