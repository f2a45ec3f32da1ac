"""Numbers as printed and as read back."""

import math

import pytest

from experiments.report import numbers as words


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (2.3254, "", "2.325"),
        (-0.5, "+", "−0.500"),
        (0.5, "+", "+0.500"),
        (-1146.59, "", "−1,146.6"),
        (1e-5, "", "1.00e−05"),
        (0.0, "", "0.000"),
        (float("nan"), "", ""),
    ],
)
def test_numbers_as_printed(value, sign, text):
    assert words.number(value, sign) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.2 s"), (59.97, "1 min 00 s"), (185, "3 min 05 s"), (3599.6, "1 h 00 min"), (7800, "2 h 10 min")],
)
def test_durations_as_printed(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("text", "value"), [("2.5", 2.5), ("-1e-3", -0.001), (3, 3.0)])
def test_numbers_as_read(text, value):
    assert words.to_float(text) == value


@pytest.mark.parametrize("text", ["", None, "failed", "nan"])
def test_what_is_no_number_is_nan(text):
    assert math.isnan(words.to_float(text))
