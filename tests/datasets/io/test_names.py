"""Names that a configuration takes for something else."""

import pytest

from datasets.base import InvalidDataset
from datasets.io.formats.members import choose
from datasets.io.names import named


@pytest.mark.parametrize(
    ("key", "name"),
    [(0, "0"), (True, "true"), (False, "FALSE"), (100000.0, "1e5"), (1000, "1_000"), (float("nan"), "nan")],
)
def test_a_name_that_a_configuration_takes_for_something_else(key, name):
    assert named(["type", name, "0x"], key) == name
    assert named(["type"], key) == str(key)


def test_a_number_that_two_names_write_is_asked():
    assert named(["1", "1.0"], "1.0") == "1.0"
    with pytest.raises(InvalidDataset, match=r"The name 1 may be '1' or '1\.0': put it in quotes"):
        named(["1", "1.0"], 1)


def test_a_part_is_found_by_a_name_that_is_a_number():
    assert choose(["study/2020_01", "study/1e5"], 202001, "study") == ("study/2020_01", None)
    assert choose(["study/2020_01", "study/1e5"], 1e5, "study") == ("study/1e5", None)
