"""Columns by their names, tables of labels joined to the counts, and truth values."""

import numpy as np
import pandas as pd
import pytest

from datasets.base import InvalidDataset
from datasets.io.annotations import join, kept
from datasets.io.formats import Table

CELLS = ["AAAC-1", "AAAG-1", "AAAT-1"]


def joined(tmp_path, cells, text):
    (tmp_path / "labels.csv").write_text(text)
    return list(join(Table(X=None, cells=np.array(cells), genes=None), tmp_path / "labels.csv", ["type"])["type"])


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (CELLS, "cell,type\nAAAT-1,c\nAAAC-1,a\nAAAG-1,b\nother-1,d\n"),
        (CELLS, "cell,type\nAAAT,c\nAAAC,a\nAAAG,b\n"),
        (["AAAC", "AAAG", "AAAT"], "cell,type\nAAAT-1,c\nAAAC-1,a\nAAAG-1,b\n"),
        (
            CELLS,
            "cell,type,the kind of it\nAAAT-1,c,a very odd one\nAAAC-1,a,a very odd one\nAAAG-1,b,a rather odd one\n",
        ),
        (["007", "7", "1e5"], "cell,type\n1e5,c\n007,a\n7,b\n"),
        (CELLS, "\ufefftype\n'AAAT-1',c\n".replace("'", '"') + "AAAC-1,a\nAAAG-1,b\n"),
        (CELLS, 'cell;n;type\n"AAAT-1";1,5;"c"\n"AAAC-1";2;"a"\n"AAAG-1";3;"b"\n'),
        (CELLS, '"type" "n"\n"AAAT-1" "c" 1\n"AAAC-1" "a" 2\n"AAAG-1" "b" 3\n'),
    ],
)
def test_labels_come_to_the_cells_that_the_table_names(tmp_path, cells, text):
    assert joined(tmp_path, cells, text) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("cells", "text", "said"),
    [
        (
            ["AAAC-1", "AAAC-2"],
            "cell,type\nAAAC,a\n",
            r"two cells that the annotations call 'AAAC' \('AAAC-1' and 'AAAC-2'\)",
        ),
        (["AAAC"], "cell,type\nAAAC-1,a\nAAAC-2,b\n", r"labels\.csv has two cells .* \('AAAC-1' and 'AAAC-2'\)"),
        (CELLS[:1], "cell,type\nAAAC-1,a\nAAAC-1,b\n", r"has two cells that the annotations call 'AAAC-1'"),
        (CELLS, "cell,type\nAAAC-2,a\nAAAG-2,b\nAAAT-2,c\n", r"says nothing of 3 of the 3 cells"),
        (CELLS, "cell,type\nAAAC-1,a\nAAAG-1,b,extra\n", r"labels\.csv cannot be read"),
        (CELLS, "cell,type,n\nAAAC-1,a,1,\nAAAG-1,b,2,\nAAAT-1,c,3,\n", "field more .* remove the separator"),
        (CELLS, "cell,type,type\nAAAC-1,a,x\nAAAG-1,b,y\nAAAT-1,c,z\n", "two columns 'type': give each its own"),
    ],
)
def test_a_join_that_can_mean_two_things_is_refused(tmp_path, cells, text, said):
    with pytest.raises(InvalidDataset, match=said):
        joined(tmp_path, cells, text)


@pytest.mark.parametrize("labels", [["01", "1", "1.0"], ["1E1", "10", "1e1"], ["0.10", "TRUE", "true"]])
def test_labels_that_look_like_numbers_stay_what_they_are(tmp_path, labels):
    text = "".join(f"{cell},{label},{i}.5\n" for i, (cell, label) in enumerate(zip(CELLS, labels, strict=True)))
    assert joined(tmp_path, CELLS, f"cell,type,n\n{text}") == labels
    table = Table(X=None, cells=np.array(CELLS), genes=None)
    assert list(join(table, tmp_path / "labels.csv", ["type", None])["n"]) == [0.5, 1.5, 2.5]  # others are numbers


@pytest.mark.parametrize(
    "values",
    [
        [True, False, True],
        pd.array([True, False, True], dtype="boolean"),
        [1, 0, 1],
        [1.0, 0.0, 1.0],
        ["True", "False", "true"],
        pd.Categorical(["TRUE", "FALSE", "TRUE"]),
        pd.Categorical([True, False, True]),
        pd.array(["True", "False", "True"], dtype="string"),
    ],
)
def test_truth_values_of_any_storage(values):
    frame = pd.DataFrame({"good": values})
    assert kept(frame, 3, "cells", "good")[0].tolist() == [0, 2]


@pytest.mark.parametrize(
    "values",
    [pd.array([True, False, None], dtype="boolean"), [True, False, None], ["True", "False", ""], [1, 0, np.nan]],
)
def test_what_has_no_value_is_not_true_and_is_said(values):
    rows, steps = kept(pd.DataFrame({"good": values}), 3, "cells", "good")
    assert rows.tolist() == [0]
    assert steps == ["kept 1 of 3 cells, those with good (1 without a value are left out)"]


def test_those_that_have_a_value_are_asked_for_by_name():
    frame = pd.DataFrame({"type": ["T", None, ""], "n": [0, 1, 2], "good": [False, True, True]})
    assert kept(frame, 3, "genes", None, "type")[0].tolist() == [0]
    assert kept(frame, 3, "genes", "good", "n")[0].tolist() == [1, 2]
    with pytest.raises(InvalidDataset, match=r"'n' holds 0, 1, 2, no truth values: .* set dataset\.genes_with=n"):
        kept(frame, 3, "genes", "n")
    with pytest.raises(InvalidDataset, match=r"'type' holds T, no truth values"):
        kept(frame, 3, "cells", "type")
    with pytest.raises(InvalidDataset, match="No cells are left"):
        kept(frame, 3, "cells", "good", "type")
