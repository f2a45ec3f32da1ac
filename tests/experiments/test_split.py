"""The split into training and test cells."""

import anndata as ad
import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from experiments.loop.job import Seeds
from experiments.tasks.hashes import array_sha256
from experiments.tasks.split import train_test

SEEDS = Seeds(5, 6, 7)


def data(**obs):
    return ad.AnnData(np.zeros((100, 1)), obs=obs)


def protocol(train=0.6, test=0.3, random_state=None):
    return {"split": {"train": train, "test": test, "random_state": random_state}}


def test_sizes_are_the_shares_and_no_cell_is_on_both_sides():
    train, test = train_test(data(), protocol(), SEEDS)
    assert (train.size, test.size) == (60, 30)
    assert np.intersect1d(train, test).size == 0
    assert np.unique(np.concatenate([train, test])).size == 90


def test_the_seed_draws_the_split_unless_the_protocol_fixes_it():
    first, again, other = (train_test(data(), protocol(), seeds)[0] for seeds in (SEEDS, SEEDS, Seeds(8, 6, 7)))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first, train_test(data(), protocol(), Seeds(5, 0, 0))[0])
    fixed = [train_test(data(), protocol(0.75, 0.25, 0), seeds) for seeds in (SEEDS, Seeds(8, 6, 7))]
    for train, test in fixed:  # the notebooks call train_test_split(X, random_state=0)
        expected = train_test_split(np.arange(100), random_state=0)
        np.testing.assert_array_equal(train, expected[0])
        np.testing.assert_array_equal(test, expected[1])


def test_without_test_cells_all_train_in_their_order():
    train, test = train_test(data(), protocol(1.0, 0), SEEDS)
    np.testing.assert_array_equal(train, np.arange(100))
    assert test.size == 0


def test_a_split_that_is_part_of_the_data_is_taken_as_it_is():
    side = np.where(np.arange(100) % 7 == 3, "test", "train")
    for seeds in (SEEDS, Seeds(8, 6, 7)):
        train, test = train_test(data(split=side), protocol(), seeds)
        np.testing.assert_array_equal(test, np.arange(3, 100, 7))
        np.testing.assert_array_equal(train, np.setdiff1d(np.arange(100), test))


@pytest.mark.parametrize(("side", "said"), [("valid", "holds 'valid'"), ("train", "100 training and 0 test cells")])
def test_a_given_split_that_cannot_be_used_is_said(side, said):
    with pytest.raises(ValueError, match=said):
        train_test(data(split=[side] * 100), protocol(), SEEDS)


@pytest.mark.parametrize(("train", "test"), [(-1, 0.25), (0.6, 0.6), ("most", 0.25), (0.001, 0.25)])
def test_shares_that_divide_nothing_are_said(train, test):
    with pytest.raises(ValueError, match=rf"train={train} and .*test={test} do not divide 100 cells: give shares"):
        train_test(data(), protocol(train, test), SEEDS)


def test_the_hash_tells_rows_apart_and_not_their_type():
    rows = np.array([3, 1, 2])
    assert array_sha256(rows) == array_sha256(rows.astype(np.int32))
    assert array_sha256(rows) != array_sha256(rows[::-1])
