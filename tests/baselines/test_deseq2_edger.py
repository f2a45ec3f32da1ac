"""DESeq2 and edgeR through the bridge, against runs of the R packages themselves (tests/golden/de_r.npz)."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from baselines.deseq2 import DESeq2
from baselines.edger import EdgeR
from r_env import bridge
from scvi_core.data.counts import InvalidCounts

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "de_r.npz")
SINGLE_CELL = DESeq2(test="LRT", size_factors="poscounts", use_t=True, min_mu=1e-6, replace_outliers=False)
CALLS = {
    "deseq2_default": DESeq2(),
    "deseq2_poscounts": DESeq2(size_factors="poscounts"),
    "deseq2_single_cell": SINGLE_CELL,
    "edger_weighted_f": EdgeR(),
    "edger_QLF": EdgeR(test="QLF"),
    "edger_LRT": EdgeR(test="LRT"),
}
needs_r = pytest.mark.r("DESeq2", "edgeR")


@pytest.fixture(scope="module")
def simulated():
    """60 cells × 40 genes; gene 0 differs between the groups, gene 1 between the batches, gene 2 has no counts."""
    rng = np.random.default_rng(3)
    group, batch = np.arange(60) % 2 == 0, np.where(np.arange(60) % 3 == rng.integers(0, 3, 60), "x", "y")
    mean = np.full((60, 40), 8.0)
    mean[group, 0] *= 3
    mean[:, 1] = np.where(batch == "x", 40, 4)
    mean[:, 2] = 0
    return rng.negative_binomial(5, 5 / (5 + mean)), group, batch


@needs_r
@pytest.mark.parametrize("call", CALLS)
def test_equals_the_r_package(call):
    group = GOLDEN["group"]
    table = CALLS[call].compare(GOLDEN["counts"], group, ~group)
    np.testing.assert_allclose(table["pvalue"], GOLDEN[f"{call}__pvalue"], rtol=1e-8, atol=0)
    for name in ("log_fold_change", "statistic"):
        np.testing.assert_allclose(table[name], GOLDEN[f"{call}__{name}"], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(table["score"], -np.log(table["pvalue"]), rtol=1e-12, atol=1e-12)


@needs_r
@pytest.mark.parametrize("method", [SINGLE_CELL, EdgeR(), EdgeR("QLF")], ids=["deseq2", "weighted_f", "qlf"])
def test_groups_batches_and_formats(method, simulated):
    counts, group, _ = simulated
    table = method.compare(counts, group, ~group)
    assert table["score"].idxmax() == 0
    assert table["log_fold_change"][0] == pytest.approx(np.log2(3), abs=0.5)

    other_way = method.compare(sp.csc_matrix(counts.astype(float)), ~group, group)
    np.testing.assert_allclose(other_way["pvalue"], table["pvalue"], rtol=1e-5)
    np.testing.assert_allclose(other_way["log_fold_change"], -table["log_fold_change"], rtol=1e-4, atol=1e-4)

    # Cells of neither group do not count, and the order of the cells does not matter.
    shuffled = np.random.default_rng(0).permutation(90)
    more = np.vstack([counts, np.full((30, 40), 99)])[shuffled]
    in_a, in_b = (np.append(mask, np.zeros(30, dtype=bool))[shuffled] for mask in (group, ~group))
    np.testing.assert_allclose(method.compare(more, in_a, in_b)["pvalue"], table["pvalue"], rtol=1e-5)


@needs_r
@pytest.mark.parametrize("method", [SINGLE_CELL, EdgeR(), EdgeR("QLF")], ids=["deseq2", "weighted_f", "qlf"])
def test_a_batch_enters_the_design(method, simulated):
    """Groups that share the batches unevenly: the batch gene differs only as long as the batches are not told."""
    counts, _, batch = simulated
    in_x = np.flatnonzero(batch == "x")
    group = np.ones(60, dtype=bool)
    group[in_x[:-3]] = False
    group[np.flatnonzero(batch == "y")[:5]] = False
    told, untold = (method.compare(counts, group, ~group, batch=given) for given in (batch, None))
    assert untold["pvalue"][1] < 1e-4
    assert told["pvalue"][1] > 0.05


@needs_r
def test_a_gene_without_counts(simulated):
    counts, group, _ = simulated
    assert SINGLE_CELL.compare(counts, group, ~group).loc[2, ["score", "pvalue"]].isna().all()
    assert EdgeR().compare(counts, group, ~group)["pvalue"][2] == 1


@needs_r
def test_ratio_size_factors_need_a_gene_without_zeros():
    counts = np.random.default_rng(0).poisson(5, size=(20, 10))
    counts[np.arange(10), np.arange(10)] = 0
    group = np.arange(20) % 2 == 0
    with pytest.raises(bridge.RError, match="every gene contains at least one zero"):
        DESeq2().compare(counts, group, ~group)


@pytest.mark.parametrize("method", [DESeq2(), EdgeR()], ids=["deseq2", "edger"])
def test_bad_groups_are_refused_before_r_is_asked(method, simulated):
    counts, group, _ = simulated
    with pytest.raises(ValueError, match="The cell in row 0 is in both groups"):
        method.compare(counts, group, np.ones(60, dtype=bool))
    with pytest.raises(ValueError, match="group_b is empty"):
        method.compare(counts, group, np.zeros(60, dtype=bool))
    with pytest.raises(ValueError, match="group_a has shape"):
        method.compare(counts, np.flatnonzero(group), ~group)
    with pytest.raises(ValueError, match="The batches determine the group"):
        method.compare(counts, group, ~group, batch=np.where(group, "x", "y"))
    empty = counts.copy()
    empty[4] = 0
    with pytest.raises(InvalidCounts, match="compared cell in row 4"):
        method.compare(empty, group, ~group)
