"""Counts with known zero inflation, against the law that they are drawn from."""

import numpy as np
import pytest

from datasets import zero_inflated
from datasets.base import InvalidDataset


@pytest.fixture(scope="module")
def parts():
    adata = zero_inflated.load(lam=[0, 0.01, 50], n_cells=3000)
    return {lam: adata[(adata.obs["lam"] == lam).to_numpy()] for lam in ("0", "0.01", "50")}


def test_the_chance_of_a_zero_is_that_of_the_law(parts):
    """Against lam = 50, where nothing but what is zero already is set to zero: the counts before."""
    before = parts["50"].X.toarray()
    for lam in (0.0, 0.01):
        after = parts[f"{lam:g}"].X.toarray()
        assert ((after == before) | (after == 0)).all()
        for count in (1, 3, 8, 15, 25):
            hit = after[before == count] == 0
            chance = 0.08 * np.exp(-lam * count**2)
            assert abs(hit.mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / hit.size)
        share = (hit := (after == 0) & (before > 0)).mean(axis=1)
        np.testing.assert_allclose(parts[f"{lam:g}"].obs["set_to_zero"], share)
        assert hit.any()


def test_counts_are_poisson_log_normal_in_two_clusters(parts):
    counts, cluster = parts["50"].X.toarray(), parts["50"].obs["label"].to_numpy()
    assert abs((cluster == "A").mean() - 0.7) < 0.03
    for own in "AB":
        X = counts[cluster == own]
        mean, extra = X.mean(axis=0), X.var(axis=0) - X.mean(axis=0)  # of a Poisson law of rate R: E[R] and var[R]
        log_var = np.log1p(extra / mean**2)  # of a log-normal R
        assert 0.1 < np.median(log_var) < 0.7  # 0.1 of its own and three squared loadings of about 0.09
        assert np.log(mean).std() > 0.5
    assert not np.allclose(counts[cluster == "A"].mean(axis=0), counts[cluster == "B"].mean(axis=0), rtol=0.3)


@pytest.mark.parametrize("lam", [[], [0, 0], [-1], [float("nan")]])
def test_parts_that_are_none_are_refused(lam):
    with pytest.raises(InvalidDataset, match=r"dataset.lam=.* give different numbers from 0"):
        zero_inflated.load(lam=lam)
