"""What holds for every input, not for the chosen few: the corruption, the split, the metrics, the record store."""

import json
import math
import tempfile
import warnings

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from experiments.loop.job import Job, Seeds
from experiments.loop.store import Store
from experiments.metrics.batch import batch_entropy
from experiments.metrics.clustering import ari, asw, nmi
from experiments.metrics.differential import adjusted, auroc
from experiments.metrics.imputation import median_l1
from experiments.metrics.integration import nearest
from experiments.metrics.neighbours import fold_enrichment, graph_spearman, neighbour_graph
from experiments.metrics.posterior import coverage, crps
from experiments.metrics.technical import binomial_zero, hypergeometric_zero
from experiments.tasks.corrupt import corrupt
from experiments.tasks.split import train_test

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31 - 1)
matrices = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 2**31 - 1)
)
kinds = st.sampled_from(
    [("uniform", {"zero_probability": p}) for p in (0, 0.9, 1)] + [("binomial", {"rate": p}) for p in (0, 0.2, 1)]
)


# ---- corruption ------------------------------------------------------------------------------------------------


@few
@given(matrices, kinds, st.floats(0, 1), seeds)
def test_a_corruption_only_takes_away_and_says_where(dense, kind, fraction, seed):
    X = sp.csr_matrix(dense)
    kind, setting = kind
    hidden = corrupt(X, kind=kind, rng=np.random.default_rng(seed), fraction=fraction, **setting)
    again = corrupt(X, kind=kind, rng=np.random.default_rng(seed), fraction=fraction, **setting)
    after = hidden.X.toarray()
    np.testing.assert_array_equal(X.toarray(), dense)  # untouched
    np.testing.assert_array_equal(after, again.X.toarray())
    assert hidden.original.size == int(fraction * X.nnz)
    assert (after >= 0).all()
    assert (after <= dense).all()
    touched = np.zeros(dense.shape, dtype=bool)
    touched[hidden.rows, hidden.columns] = True
    assert touched.sum() == hidden.original.size  # no entry is chosen twice
    np.testing.assert_array_equal(after[~touched], dense[~touched])
    np.testing.assert_array_equal(dense[hidden.rows, hidden.columns], hidden.original)
    np.testing.assert_array_equal(after[hidden.rows, hidden.columns], hidden.corrupted)
    assert hidden.X.data.all()
    if setting in ({"zero_probability": 1}, {"rate": 0}):
        assert not hidden.corrupted.any()
    if setting in ({"zero_probability": 0}, {"rate": 1}):
        np.testing.assert_array_equal(hidden.corrupted, hidden.original)
    if kind == "uniform":
        assert ((hidden.corrupted == 0) | (hidden.corrupted == hidden.original)).all()


# ---- split -----------------------------------------------------------------------------------------------------


@few
@given(st.integers(4, 300), st.floats(0.3, 0.7), st.floats(0.3, 0.3), seeds, seeds)
@example(4, 0.6, 0.3, 0, 1)
def test_a_split_is_disjoint_of_the_stated_sizes_and_the_seed_alone(n_cells, train_share, test_share, seed, other):
    protocol = {"split": {"train": train_share, "test": test_share, "random_state": None}}
    adata = ad.AnnData(sp.csr_matrix((n_cells, 1), dtype=np.int32))
    train, test = train_test(adata, protocol, Seeds(seed, other, other))
    assert np.intersect1d(train, test).size == 0
    assert np.unique(np.concatenate([train, test])).size == train.size + test.size
    assert {*train, *test} <= set(range(n_cells))
    assert abs(train.size - train_share * n_cells) <= 1
    assert abs(test.size - test_share * n_cells) <= 1
    for same, again in zip((train, test), train_test(adata, protocol, Seeds(seed, 0, 0)), strict=True):
        np.testing.assert_array_equal(same, again)


@few
@given(st.text(max_size=8), st.text(max_size=8), seeds, st.dictionaries(st.text(max_size=5), st.integers()))
def test_split_and_corruption_seeds_know_data_axes_and_seed_and_no_method(name, method, seed, parameters):
    def cell(method, parameters, seed=seed):
        config = {"_target_": "baselines.pca.PCA"} | parameters
        rest = {"experiment": "e", "module": "m", "dataset_hash": "d", "protocol": {}, "axes": {"a": 1}}
        return Job(dataset={"name": name}, method=method, config=config, seed=seed, **rest).seeds

    assert cell(method, parameters) == cell("pca", {})
    assert all(0 <= value < 2**31 for value in cell(method, parameters))
    assert len({cell("pca", {}).split, cell("pca", {}, seed + 1).split}) == 2


# ---- metrics ---------------------------------------------------------------------------------------------------

labellings = st.integers(2, 40).flatmap(lambda n: st.tuples(*[hnp.arrays(np.int64, n, elements=st.integers(0, 4))] * 2))


@few
@given(labellings, st.permutations(range(5)))
def test_clusterings_are_compared_without_regard_to_names_and_order(two, names):
    first, second = two
    renamed = np.array(names)[second]
    for score in (ari, nmi):
        value = score(labels=first, clusters=second)
        assert value <= 1 + 1e-12
        assert value >= (-1 if score is ari else -1e-12)
        assert value == pytest.approx(score(labels=second, clusters=first), abs=1e-12)
        assert value == pytest.approx(score(labels=first, clusters=renamed), abs=1e-12)
        assert score(labels=first, clusters=first) == pytest.approx(1)


@few
@given(seeds, st.integers(3, 20), st.floats(0.01, 100), st.integers(0, 3))
def test_the_silhouette_is_bounded_and_blind_to_scale_place_and_rotation(seed, n, scale, k):
    rng = np.random.default_rng(seed)
    latent, labels = rng.normal(size=(n, 3)), np.arange(n) % 2
    value = asw(latent=latent, labels=labels)
    assert -1 <= value <= 1
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert asw(latent=scale * latent @ turn + 5, labels=labels) == pytest.approx(value, abs=1e-6)
    order = rng.permutation(n)
    assert asw(latent=latent[order], labels=labels[order]) == pytest.approx(value, abs=1e-9)


@few
@given(seeds, st.integers(2, 4))
def test_the_entropy_of_mixing_lies_between_zero_and_the_log_of_the_batches(seed, n_batches):
    rng = np.random.default_rng(seed)
    latent, batch = rng.normal(size=(60, 2)), rng.integers(n_batches, size=60)

    def mixing(latent):
        near, rng = nearest(latent, 10), np.random.default_rng(0)
        return batch_entropy(neighbours=near, batch=batch, n_draws=3, n_cells=20, rng=rng)

    value = mixing(latent)
    assert 0 <= value <= math.log(n_batches) + 1e-12
    apart = latent + 1e3 * batch[:, None]
    if np.bincount(batch).min() > 10:
        assert mixing(apart) == 0


finite = st.floats(-1e6, 1e6)
scored = st.integers(1, 50).flatmap(lambda n: st.tuples(*[hnp.arrays(np.float64, n, elements=finite)] * 2))


@few
@given(scored)
def test_the_imputation_error_is_a_distance(two):
    original, imputed = two
    value = median_l1(original=original, imputed=imputed)
    assert 0 <= value <= np.abs(original - imputed).max()
    assert value == median_l1(original=imputed, imputed=original)
    assert median_l1(original=original, imputed=original) == 0
    assert np.sum(np.abs(original - imputed) <= value) >= original.size / 2


@few
@given(hnp.arrays(np.float64, st.integers(2, 40), elements=st.integers(-20, 20)), seeds)
def test_the_area_under_the_curve_is_a_share_of_pairs(score, seed):
    positive = np.random.default_rng(seed).random(score.size) < 0.5
    assume(0 < positive.sum() < positive.size)
    value = auroc(score=score, positive=positive)
    pairs = np.sign(score[positive][:, None] - score[~positive][None, :])
    assert value == pytest.approx((pairs.mean() + 1) / 2, abs=1e-12)
    assert auroc(score=-score, positive=positive) == pytest.approx(1 - value, abs=1e-12)
    assert auroc(score=np.exp(score), positive=positive) == pytest.approx(value, abs=1e-12)  # ranks only


@few
@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)))
def test_adjusted_pvalues_are_no_smaller_and_keep_the_order(pvalue):
    found = np.asarray(adjusted(pvalue=pvalue))
    assert (found >= pvalue - 1e-15).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(pvalue, kind="stable")]) >= -1e-15).all()


@few
@given(seeds, st.integers(8, 25))
def test_neighbour_graphs_agree_fully_with_themselves(seed, n):
    rng = np.random.default_rng(seed)
    first, second = (neighbour_graph(rng.normal(size=(n, 3)), 3) for _ in range(2))
    assert graph_spearman(first=first, second=first) == pytest.approx(1)
    assert graph_spearman(first=first, second=second) == pytest.approx(graph_spearman(first=second, second=first))
    assert fold_enrichment(first=first, second=second) == pytest.approx(fold_enrichment(first=second, second=first))
    assert fold_enrichment(first=first, second=second) <= fold_enrichment(first=first, second=first) + 1e-9


@few
@given(seeds, st.integers(1, 20), st.integers(2, 10))
def test_posterior_scores_are_bounded_and_zero_for_a_sure_and_true_forecast(seed, n, n_draws):
    rng = np.random.default_rng(seed)
    observed = rng.poisson(5, size=(n, 3))
    draws = rng.poisson(5, size=(n_draws, n, 3))
    assert 0 <= np.mean(coverage(observed=observed, draws=draws)) <= 1
    assert np.mean(crps(observed=observed, draws=draws)) >= -1e-12
    sure = np.broadcast_to(observed, (n_draws, n, 3))
    assert np.mean(coverage(observed=observed, draws=sure)) == 1
    assert np.mean(crps(observed=observed, draws=sure)) == pytest.approx(0, abs=1e-12)


@few
@given(st.floats(1e-4, 0.9), st.integers(1, 50), st.integers(50, 500))
def test_chances_of_a_zero_are_chances_and_fall_with_the_number_drawn(frequency, n_drawn, n_in_cell):
    frequency = np.array([frequency])
    for chance in (
        lambda n: binomial_zero(frequency=frequency, n_drawn=n),
        lambda n: hypergeometric_zero(frequency=frequency, n_drawn=n, n_in_cell=n_in_cell),
    ):
        more, fewer = np.asarray(chance(np.array([n_drawn]))), np.asarray(chance(np.array([max(0, n_drawn - 1)])))
        assert ((more >= 0) & (fewer <= 1 + 1e-12)).all()
        assert (more <= fewer + 1e-12).all()


# ---- store -----------------------------------------------------------------------------------------------------

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
arrays = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    hnp.arrays(st.sampled_from([np.float64, np.int32, np.bool_]), hnp.array_shapes(max_dims=3, max_side=5)),
    max_size=3,
)


@few
@given(st.dictionaries(st.text(max_size=8), plain, max_size=5), arrays)
def test_what_is_written_is_what_is_read(content, given_arrays):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, "e")
        record = content | {"key": "k", "status": "done"}
        store.write(record, given_arrays)
        assert store.is_final("k")
        read = store.read("k")
        found = store.arrays(read)
        assert read.pop("arrays").keys() == given_arrays.keys() == found.keys()
        record.pop("arrays", None)
        assert json.dumps(read, sort_keys=True) == json.dumps(record, sort_keys=True)  # NaN is not itself
        for name, value in found.items():
            assert value.dtype == given_arrays[name].dtype
            np.testing.assert_array_equal(value, given_arrays[name])


def whole_record():
    return {
        "key": "k", "status": "done", "scores": {"x": 1.25, "y": -3}, "facts": {"n": 17},
        "reason": "", "seed": 0, "axes": {"size": "all"}, "seconds": {"total": 2.5}, "label": "Ä",
        "peak_memory_mb": 9.0,
    }  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_damage_to_a_record_raises_or_passes_for_a_result(data):
    """Bytes overwritten, cut, put in, taken out or repeated at random."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, "e")
        store.write(whole_record(), {"a": np.arange(9.0)})
        path = store.path("k", data.draw(st.sampled_from([".json", ".npz"]), label="file"))
        whole = path.read_bytes()
        start = data.draw(st.integers(0, len(whole)), label="from")
        stop = data.draw(st.integers(start, min(len(whole), start + 40)), label="to")
        new = data.draw(st.binary(max_size=40), label="new")
        damaged = whole[:start] + new + whole[stop:]
        path.write_bytes(damaged)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            final, record = store.is_final("k"), store.read("k")
        if record is None:
            assert any("damaged" in str(w.message) for w in caught)
            assert store.path("k", ".json.damaged").exists()
        else:
            digests = {"arrays": record["arrays"]}  # of what `write` was given
            assert record == whole_record() | digests  # only white space or nothing at all has changed
        if final:
            np.testing.assert_array_equal(store.arrays(record)["a"], np.arange(9.0))
        elif record is not None:
            assert any("cannot be read" in str(w.message) for w in caught)
