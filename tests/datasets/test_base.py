"""The contract of a dataset and its content hash."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import datasets
from datasets.base import InvalidDataset, check_dataset, content_hash, make_dataset
from scvi_core.data.counts import InvalidCounts

SOURCE = {"name": "toy", "origin": "Made by a test.", "sha256": "0" * 64, "steps": ["drawn"]}
COUNTS = np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [0, 1, 1]])


def toy(X=COUNTS, **changes):
    arguments = {
        "cells": ["a", "b", "c", "d"],
        "genes": ["g1", "g2", "g3"],
        "source": SOURCE,
        "obs": {"label": ["T", "B", "T", "B"], "batch": [1, 1, 2, 2]},
        "obsm": {"protein": np.eye(4)},
    }
    return make_dataset(X, **(arguments | changes))


def test_the_package_is_ours_and_not_the_one_on_pypi():
    assert datasets.__file__.endswith("datasets/__init__.py")
    assert hasattr(datasets.base, "check_dataset")


def test_what_is_assembled_obeys_the_contract():
    adata = toy(COUNTS.astype(float))
    assert adata.X.format == "csr"
    assert adata.X.dtype == np.int32
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS)
    assert list(adata.obs["label"].cat.categories) == ["B", "T"]
    assert list(adata.obs["batch"].cat.categories) == ["1", "2"]
    assert adata.uns["source"] == SOURCE
    assert check_dataset(adata) is adata


def test_unused_levels_go():
    adata = toy(obs={"label": pd.Categorical(["T", "B", "T", "B"], categories=["B", "NK", "T"])})
    assert list(adata.obs["label"].cat.categories) == ["B", "T"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": COUNTS - 1}, r"negative at cell 'a' \(row 0\), gene 'g2'"),
        ({"X": COUNTS + 0.5}, r"not an integer at cell 'a' \(row 0\), gene 'g1'"),
        ({"X": np.where(COUNTS == 3, np.nan, COUNTS)}, r"NaN at cell 'b' \(row 1\), gene 'g2'"),
        ({"X": COUNTS * [[1], [1], [0], [1]]}, r"No gene is counted in cell 'c' \(row 2\)"),
        ({"genes": ["g1", "g2", "g1"]}, "gene name 'g1' appears twice"),
        ({"cells": ["a", "b", "c"]}, "3 cell names for 4 cells"),
        ({"obs": {"label": ["T", None, "T", "B"]}}, r"label of cell 'b' \(row 1\) is missing"),
        ({"obsm": {"protein": np.diag([1, 1, np.inf, 1])}}, r"protein.* of cell 'c' \(row 2\) is not finite"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change, message):
    with pytest.raises(InvalidCounts, match=message):
        toy(**change)


def test_cells_without_counts_are_dropped_on_demand_and_that_is_said():
    adata = toy(COUNTS * [[1], [1], [0], [1]], drop_empty_cells=True)
    assert list(adata.obs_names) == ["a", "b", "d"]
    assert adata.obsm["protein"].shape == (3, 4)
    assert adata.uns["source"]["steps"] == ["drawn", "dropped 1 cells without counts"]


def test_the_check_refuses_what_a_loader_might_return():
    with pytest.raises(InvalidDataset, match="must return an AnnData"):
        check_dataset(COUNTS)
    with pytest.raises(InvalidDataset, match="not CSR int32"):
        check_dataset(ad.AnnData(sp.csc_matrix(COUNTS)))
    adata = toy()
    del adata.uns["source"]
    with pytest.raises(InvalidDataset, match=r"uns\['source'\] is missing"):
        check_dataset(adata)
    adata = toy()
    adata.uns["source"] = {**SOURCE, "steps": "drawn"}
    with pytest.raises(InvalidDataset, match="not a list"):
        check_dataset(adata)
    adata = toy()
    adata.obs["label"] = adata.obs["label"].cat.add_categories("NK")
    with pytest.raises(InvalidDataset, match="levels without cells"):
        check_dataset(adata)


def test_a_count_far_down_is_named_with_its_row():
    adata = toy(np.ones((25_000, 2), dtype=int), cells=range(25_000), genes="ab", obs=None, obsm=None)
    adata.X[20_007, 1] = -1
    with pytest.raises(InvalidCounts, match=r"negative at cell '20007' \(row 20007\), gene 'b' \(column 1\)"):
        check_dataset(adata)


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a\\b", "a\nb", ""])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(InvalidDataset, match="cannot be part of a file name: use letters"):
        toy(source={**SOURCE, "name": name})
    assert toy(source={**SOURCE, "name": "standin my-cells.v2 (β)"})


def test_a_split_says_train_or_test():
    assert check_dataset(toy(obs={"split": ["train", "train", "test", "test"]}))
    with pytest.raises(InvalidDataset, match="holds 'valid'"):
        toy(obs={"split": ["train", "train", "valid", "test"]})


def test_comparisons_are_of_labels_and_have_references():
    references = {f"CD_{part}": [0.1, 0.2, 0.3] for part in ("logFC", "P.Value", "adj.P.Val")}
    adata = toy(var=references)
    adata.uns["comparisons"] = {"CD": ["T", "B"]}
    assert check_dataset(adata)
    adata.uns["comparisons"] = {"CD": ["T", "NK"]}
    with pytest.raises(InvalidDataset, match="CD names 'NK', which is not a label: the labels are B, T"):
        check_dataset(adata)
    for groups in (["T"], ["T", "T"], ["T", "B", "T"]):
        adata.uns["comparisons"] = {"CD": groups}
        with pytest.raises(InvalidDataset, match=r"comparison CD is \['T'.*: name two different labels"):
            check_dataset(adata)
    adata.uns["comparisons"] = {"BDC": ["T", "B"]}
    with pytest.raises(InvalidDataset, match="no var column 'BDC_logFC'"):
        check_dataset(adata)


def test_the_hash_ignores_how_the_counts_are_stored():
    reference = content_hash(toy())
    assert content_hash(toy(sp.csc_matrix(COUNTS.astype(np.float32)))) == reference
    stored = toy()
    stored.X = stored.X.astype(np.int64)
    stored.X.indices[:2] = stored.X.indices[:2][::-1].copy()  # the two entries of the first cell, swapped
    stored.X.data[:2] = stored.X.data[:2][::-1].copy()
    stored.X.has_sorted_indices = False
    assert content_hash(stored) == reference
    assert content_hash(toy(source={**SOURCE, "origin": "Somewhere else."})) == reference


def test_the_hash_survives_a_file(tmp_path):
    adata = toy()
    adata.write_h5ad(tmp_path / "toy.h5ad")
    assert content_hash(ad.read_h5ad(tmp_path / "toy.h5ad")) == content_hash(adata)


@pytest.mark.parametrize(
    "change",
    [
        {"X": COUNTS + np.eye(4, 3, dtype=int)},
        {"X": COUNTS[:, [1, 0, 2]]},
        {"genes": ["g1", "g2", "g4"]},
        {"cells": ["a", "b", "c", "e"]},
        {"obs": {"label": ["T", "B", "T", "T"], "batch": [1, 1, 2, 2]}},
        {"obs": {"label": ["T", "B", "T", "B"], "batch": [1, 2, 2, 2]}},
        {"obsm": {"protein": 2 * np.eye(4)}},
        {"var": {"is_marker": [True, False, False]}},
    ],
)
def test_the_hash_sees_every_change(change):
    assert content_hash(toy(**change)) != content_hash(toy())


def test_a_frame_is_taken_as_it_stands_and_a_source_may_be_short():
    frame = pd.DataFrame({"label": ["a", "b"], "depth": [1.5, 2.5]}, index=["no", "cells"])
    adata = make_dataset(
        [[1, 0], [0, 2]], cells=["x", "y"], genes=["g", "h"], obs=frame, source={"name": "n", "origin": "Made here."}
    )
    assert adata.obs["label"].tolist() == ["a", "b"]
    assert adata.obs["depth"].tolist() == [1.5, 2.5]
    assert adata.uns["source"] == {"name": "n", "origin": "Made here.", "sha256": {}, "steps": []}


def test_the_hash_knows_which_labels_are_compared():
    bulk = {f"TB_{part}": [0.1, 0.2, 0.3] for part in ("logFC", "P.Value", "adj.P.Val")}
    hashes = set()
    for comparisons in ({}, {"TB": ["T", "B"]}, {"TB": ["B", "T"]}, {"TB": np.array(["T", "B"])}):
        adata = toy(var=bulk)
        adata.uns["comparisons"] = comparisons
        hashes.add(content_hash(adata))
    assert len(hashes) == 3
