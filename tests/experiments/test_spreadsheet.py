"""Text in CSV files: a spreadsheet runs none of it, and it is read back as it was."""

import csv
import io

import pandas as pd
import pytest

from experiments.loop import place, spreadsheet

RUN = [
    "=cmd()",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd()",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1+1",
    "＝cmd()",
    "-",
    "=",
    "+ve cells",
]
SHOWN = ["B cells", "", "-1.5", "+3", "-inf", "CD4+", "'quoted", "''=x'", "it's", "1e-5", "a,b\n=c", "−2"]


def written(frame):
    file = io.StringIO(newline="")
    spreadsheet.write(frame, file)
    return file.getvalue()


def test_what_a_spreadsheet_would_run_is_read_back_equal(tmp_path):
    texts = [*RUN, *SHOWN, *(f"'{text}" for text in RUN), *(f"''{text}" for text in RUN)]
    frame = pd.DataFrame({"=label": texts, "kind": pd.Categorical(texts), "score": -1.5, "n": -3})
    (tmp_path / "x.csv").write_text(written(frame), newline="")
    for row in csv.DictReader(io.StringIO(written(frame), newline="")):
        for key, field in row.items():
            is_number = field.lstrip("+-").replace(".", "").replace("e-", "").isdecimal() or field == "-inf"
            assert field.lstrip()[:1] not in tuple("=+-@＝") or is_number
            assert field[:1] not in ("\t", "\r")
            assert not key.startswith("=")
    rows = spreadsheet.read(tmp_path / "x.csv")
    assert [row["=label"] for row in rows] == texts
    assert [row["kind"] for row in rows] == texts
    assert {(row["score"], row["n"]) for row in rows} == {("-1.5", "-3")}


@pytest.mark.parametrize("value", [None, 1.5, True, pd.NA])
def test_what_is_no_text_stays(value):
    frame = pd.DataFrame({"a": [value, "x"]}, dtype=object)
    assert written(frame) == frame.to_csv(index=False)


@pytest.mark.parametrize("damaged", ["a,b\n1\n", "a,b\n1,2,3\n"])
def test_a_row_that_is_not_whole_is_said(tmp_path, damaged):
    (tmp_path / "x.csv").write_text(damaged)
    with pytest.raises(ValueError, match="has a row with a field too few or too many"):
        spreadsheet.read(tmp_path / "x.csv")


def test_the_jobs_of_a_table_are_found_again(tmp_path):
    jobs = pd.DataFrame({"method": ["=m"], "comparison": ["-a against b"], "seed": [0], "status": ["done"]})
    (tmp_path / "x.csv").write_text(written(jobs))
    found = place._finished(tmp_path / "x.csv", ["comparison"])
    assert found == place._of(jobs, ["comparison"]) == [("=m", "-a against b", "0")]
