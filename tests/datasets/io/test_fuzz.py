"""Files of counts damaged at random: a dataset that obeys the contract or one sentence, soon, and nothing else."""

import time
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets import h5ad
from datasets.base import check_dataset
from scvi_core.data.counts import InvalidCounts

COUNTS = np.array([[1, 0, 20], [0, 3, 0], [4, 0, 9], [0, 0, 1]])
CELLS = ["AAAC-1", "AAAG-1", "AAAT-1", "AACC-1"]
IDS = ["ENSG1", "ENSG2", "ENSG3"]
SECONDS = 20  # no damage to a file of kilobytes may cost more


@pytest.fixture(scope="module")
def formats():
    """Writers of one small file in every format: (folder, the fixture ``raw``) -> path."""

    def anndata(folder, raw):
        obs = pd.DataFrame({"type": pd.Categorical(list("abab"))}, index=CELLS)
        ad.AnnData(sp.csr_matrix(COUNTS), obs=obs, var=pd.DataFrame(index=IDS)).write_h5ad(folder / "x.h5ad")
        return folder / "x.h5ad"

    def text(folder, raw):
        lines = [",".join(["cell", *IDS])]
        lines += [",".join([cell, *map(str, row)]) for cell, row in zip(CELLS, COUNTS, strict=True)]
        (folder / "x.csv").write_text("\n".join(lines) + "\n")
        return folder / "x.csv"

    def mtx(folder, raw):
        for name, content in raw.tenx_parts(COUNTS, CELLS, IDS, IDS).items():
            (folder / name).write_bytes(content)
        return folder / "matrix.mtx"

    kinds = ["Gene Expression"] * 3
    return {
        "h5ad": anndata,
        "csv": text,
        "mtx": mtx,
        "10x h5": lambda folder, raw: raw.tenx_h5(folder / "x.h5", COUNTS, CELLS, IDS, IDS, kinds=kinds),
        "10x h5, older": lambda folder, raw: raw.tenx_h5(folder / "x.h5", COUNTS, CELLS, IDS, IDS),
        "10x tar.gz": lambda folder, raw: raw.tenx_archive(folder / "x.tar.gz", COUNTS, CELLS, IDS, IDS),
        "loom": lambda folder, raw: raw.loom(folder / "x.loom", COUNTS, CELLS, IDS),
    }


hows = st.sampled_from(["overwrite", "insert", "delete", "flip"])
edits = st.lists(st.tuples(st.floats(0, 1), hows, st.binary(min_size=1, max_size=8)), min_size=1, max_size=4)


def damaged(content, edits, share_kept):
    """Bytes overwritten, put in, taken out or turned at places given as shares of the length; the end cut off."""
    content = bytearray(content)
    for place, how, new in edits:
        start = int(place * len(content))
        if how == "overwrite":
            content[start : start + len(new)] = new
        elif how == "insert":
            content[start:start] = new
        elif how == "delete":
            del content[start : start + len(new)]
        elif start < len(content):
            content[start] ^= 1 << new[0] % 8
    return bytes(content[: round(share_kept * len(content))])


@pytest.mark.parametrize("kind", ["csv", "mtx", "10x tar.gz", "10x h5", "10x h5, older", "h5ad", "loom"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=edits, share_kept=st.just(1.0) | st.floats(0, 1))
def test_a_damaged_file_is_read_or_refused_in_one_sentence(tmp_path, raw, formats, kind, edits, share_kept):
    path = formats[kind](tmp_path, raw)
    path.write_bytes(damaged(path.read_bytes(), edits, share_kept))
    started, said = time.monotonic(), None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # those of the libraries are for programmers
            check_dataset(h5ad.load(tmp_path if kind == "mtx" else path, name="x"))
    except InvalidCounts as error:
        said = str(error)
    assert time.monotonic() - started < SECONDS
    if said is not None:
        assert "\n" not in said
        assert said.endswith(".")
        assert 20 < len(said) < 1000
