"""Which groups are compared: those of the data, those that are named, or the two largest types."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from experiments.differential import OF_THE_PAPER
from experiments.loop.paths import ROOT
from experiments.tasks.groups import bulk, chosen, pair
from experiments.tasks.skipped import NotApplicable


def cells(sizes, comparisons=None, **columns):
    label = np.repeat(list(sizes), list(sizes.values()))
    uns = {"comparisons": comparisons} if comparisons else {}
    obs = pd.DataFrame({"label": pd.Categorical(label)}, index=[f"c{i}" for i in range(len(label))])
    var = pd.DataFrame(columns, index=["g0", "g1", "g2"])
    return ad.AnnData(np.ones((len(label), 3), np.float32), obs=obs, var=var, uns=uns)


SIZES = {"a": 2, "b": 5, "c against d": 3, "d": 1}


def test_the_usual_comparisons_give_way_to_those_of_the_data():
    assert chosen(cells(SIZES), ["BDC", "CD"], OF_THE_PAPER) == ["b against c against d"]
    assert chosen(cells(SIZES, {"X": ["a", "b"]}), ["BDC", "CD"], OF_THE_PAPER) == ["X"]
    both = {"CD": ["a", "b"], "BDC": ["d", "b"], "BDC2": ["d", "b"]}
    assert chosen(cells(SIZES, both), ["BDC", "CD"], OF_THE_PAPER) == ["BDC", "CD"]
    assert chosen(cells(SIZES, {"CD": ["a", "b"]}), ["BDC", "CD"], OF_THE_PAPER) == ["CD"]


def test_what_is_asked_for_is_compared_or_refused():
    assert chosen(cells(SIZES), ["d against a"], OF_THE_PAPER) == ["d against a"]
    assert pair(cells(SIZES), "d against a") == ["d", "a"]
    assert pair(cells(SIZES), "a against c against d") == ["a", "c against d"]
    assert pair(cells(SIZES, {"a against b": ["d", "a"]}), "a against b") == ["d", "a"]  # the data have the say
    for wrong in ("X", "a against a", "a against e", "a"):
        with pytest.raises(NotApplicable, match="b against c against d") as refusal:
            chosen(cells(SIZES, {"CD": ["a", "b"]}), ["CD", wrong], OF_THE_PAPER)
        assert repr(wrong) in str(refusal.value)


def test_data_with_fewer_than_two_types_are_refused():
    with pytest.raises(NotApplicable, match="The data have 1 cell type and a comparison needs two"):
        chosen(cells({"a": 3}), ["BDC", "CD"], OF_THE_PAPER)
    bare = ad.AnnData(np.ones((2, 3), np.float32))
    with pytest.raises(NotApplicable, match=r"The data have no cell types .*dataset\.label_key"):
        chosen(bare, ["BDC", "CD"], OF_THE_PAPER)


def reference(adjusted, fold=(1.0, -1.0, 2.0)):
    columns = {"X_adj.P.Val": list(adjusted), "X_logFC": list(fold), "X_P.Value": list(adjusted)}
    return cells(SIZES, **columns)


def test_a_gene_is_measured_where_it_has_a_p_value_and_a_change():
    adjusted, fold = bulk(reference([0.1, np.nan, 0.3], [1.0, 2.0, np.inf]), "X")
    np.testing.assert_array_equal(adjusted, [0.1, np.nan, np.nan])
    np.testing.assert_array_equal(fold, [1.0, np.nan, np.nan])
    assert bulk(reference([np.nan] * 3), "X") is None
    assert bulk(reference([0.1, 0.2, 0.3]), "Y") is None


def test_a_reference_that_is_none_is_refused():
    with pytest.raises(ValueError, match="values that are no p-values"):
        bulk(reference([0.1, 2.0, 0.3]), "X")
    with pytest.raises(ValueError, match="is not numbers"):
        bulk(reference(["0.1", "low", "0.3"]), "X")
    partly = reference([0.1, 0.2, 0.3])
    del partly.var["X_logFC"]
    with pytest.raises(ValueError, match="lacks the column X_logFC"):
        bulk(partly, "X")


def test_the_usual_comparisons_are_those_of_the_configuration():
    assert f"axes: {{comparison: [{', '.join(OF_THE_PAPER)}]}}" in (ROOT / "conf/exp/differential.yaml").read_text()
