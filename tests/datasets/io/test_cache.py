"""The copy of parsed counts."""

import numpy as np
import pytest
import scipy.sparse as sp

from datasets.io.cache import remembered

COUNTS = sp.csr_matrix([[1, 0, 2], [0, 3, 0]])


def build(names=("a", "b", "c")):
    return {"counts": COUNTS, "genes": np.array(names)}


def test_it_is_built_once_and_comes_back_the_same(tmp_path):
    remembered("x", tmp_path, build)
    again = remembered("x", tmp_path, lambda: pytest.fail("built again"))
    np.testing.assert_array_equal(again["counts"].toarray(), COUNTS.toarray())
    assert again["counts"].format == "csr"
    assert list(again["genes"]) == ["a", "b", "c"]


def test_another_name_is_another_copy(tmp_path):
    remembered("x", tmp_path, build)
    assert list(remembered("y", tmp_path, lambda: build(["d", "e", "f"]))["genes"]) == ["d", "e", "f"]


def test_a_damaged_copy_is_made_again(tmp_path):
    remembered("x", tmp_path, build)
    (copy,) = (tmp_path / "cache").iterdir()
    copy.write_bytes(copy.read_bytes()[:100])
    assert list(remembered("x", tmp_path, build)["genes"]) == ["a", "b", "c"]
    assert list(remembered("x", tmp_path, lambda: pytest.fail("built again"))["genes"]) == ["a", "b", "c"]
