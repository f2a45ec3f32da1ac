"""ALRA against its steps written out in R and against another program (tests/golden/alra.npz), and by its purpose."""

from pathlib import Path

import numpy as np
import pytest

from baselines.alra import ALRA, chosen_rank
from baselines.controls import GeneMean

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "alra.npz")
COUNTS = GOLDEN["counts"].astype(int)
LIBRARY = COUNTS.sum(axis=1, keepdims=True)
OBSERVED = np.log1p(COUNTS / LIBRARY * 1e4)


def imputed(**parameters):
    """On the log scale."""
    return np.log1p(ALRA(**parameters).fit(COUNTS).impute(COUNTS) / LIBRARY * 1e4)


@pytest.mark.parametrize(("case", "parameters"), [("r_rank4", {"rank": 4, "n_power": 200}), ("r_chosen", {})])
def test_equals_its_steps_in_r(case, parameters):
    """With a gene of no count, of one and of three among the genes."""
    np.testing.assert_allclose(imputed(**parameters), GOLDEN[case], rtol=2e-6, atol=2e-6)


def test_the_rank_is_that_of_r():
    assert ALRA().fit(COUNTS).rank_ == GOLDEN["rank"]


def test_equals_the_program_halra():
    """It takes standard deviations about n, R and we about n - 1: with that undone, what both kept is the same."""
    ours, theirs = imputed(rank=4, n_power=200), GOLDEN["halra_rank4"].astype(float)
    s, d, V = np.linalg.svd(OBSERVED, full_matrices=False)
    low_rank = (s[:, :4] * d[:4]) @ V[:4]
    kept = low_rank > np.abs(np.quantile(low_rank, 0.001, axis=0))
    several = ((OBSERVED > 0).sum(axis=0) > 1) & (kept.sum(axis=0) > 1)  # of one value R has no deviation
    n, n_observed = kept.sum(axis=0)[several], (OBSERVED > 0).sum(axis=0)[several]
    mean = OBSERVED.sum(axis=0)[several] / n_observed
    as_theirs = mean + (ours[:, several] - mean) * np.sqrt((1 - 1 / n_observed) / (1 - 1 / n))
    both = kept[:, several] & (ours[:, several] > 0.2) & (theirs[:, several] > 0.2)  # neither put back nor cut off
    assert both.mean() > 0.8
    np.testing.assert_allclose(as_theirs[both], theirs[:, several][both], atol=2e-5)


def test_the_rank_is_the_last_outstanding_gap():
    values = np.concatenate([[300.0, 200, 150], np.linspace(40, 20, 97) + 0.01 * np.sin(np.arange(97))])
    assert chosen_rank(values, 6) == 3
    with pytest.raises(ValueError, match=r"No singular value stands out.*name one \(rank=10\)"):
        chosen_rank(values[3:], 6)


def test_zeros_of_biology_stay_and_hidden_counts_come_back():
    """Two kinds of cells: half of the genes are silent in each, and of the expressed counts a tenth is hidden."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=300)
    mean = rng.gamma(4, 1.5, size=150) * np.where(np.arange(150)[None] % 2 == kind[:, None], 1, 0)
    X = rng.poisson(mean)
    rows, columns = np.nonzero(X)
    hidden = rng.choice(rows.size, rows.size // 10, replace=False)
    at = rows[hidden], columns[hidden]
    corrupted = X.copy()
    corrupted[at] = 0
    method = ALRA().fit(corrupted)
    found = method.impute(corrupted)
    assert (found[mean == 0] == 0).mean() > 0.95
    assert (found[at] > 0).mean() > 0.95
    error = np.median(np.abs(found[at] - X[at]))
    assert error < 0.75 * np.median(np.abs(GeneMean().fit(corrupted).impute(corrupted)[at] - X[at]))


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="ALRA cannot give rank=81 to 150 cells × 80 genes: choose 1 to 80, or null"):
        ALRA(rank=81).fit(COUNTS)
    with pytest.raises(ValueError, match="ALRA has no map to cells it was not fitted to"):
        ALRA(rank=3).fit(COUNTS).impute(COUNTS[::-1])
