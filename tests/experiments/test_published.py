"""What becomes of a published number."""

import math

import pytest

from experiments.report import published

NAN = math.nan


@pytest.mark.parametrize(
    ("ours", "low", "high", "value", "within", "verdict", "why"),
    [
        (2.0, 1.9, 2.5, 2.4, 0.2, "reproduced", "inside our interval"),
        (2.0, 1.0, 3.0, 2.4, 0.2, "undecided", "16.7% lower, inside our interval, which is too wide to tell"),
        (2.0, 1.0, 3.0, 2.1, 0.2, "reproduced", "4.8% lower"),  # as close as their own runs are, however ours spread
        (105.0, NAN, NAN, 100.0, 5.0, "reproduced", "5.0% higher"),
        (105.1, NAN, NAN, 100.0, 5.0, "differs", "5.1% higher"),
        (1.0, 0.9, 1.1, 2.0, 0.1, "differs", "50.0% lower"),
        (11.0, 11.0, 11.0, 11.0, 0.0, "reproduced", "equal"),
        (11.0, 10.0, 12.0, 11.5, 0.0, "undecided", "4.3% lower, inside our interval, which is too wide to tell"),
        (0.1, 0.05, 0.2, 0.0, 0.01, "differs", "higher"),
        (5.0, 4.9, 5.1, 9.0, NAN, "not judged", ""),
        (NAN, NAN, NAN, 2.0, 0.1, "not run", ""),
    ],
)
def test_verdict(ours, low, high, value, within, verdict, why):
    assert published.verdict(ours, low, high, value, within) == (verdict, why)


def test_every_published_quantity_has_a_tolerance_that_is_argued():
    for number in published.read():
        within, because = published.tolerance(number["metric"], number["value"] or 1.0)
        assert len(because) > 15
        assert "no tolerance" not in because, number["metric"]
        assert math.isnan(within) == ("time" in number["metric"] or "_s" in number["metric"][-2:])


def test_a_likelihood_is_reproduced_within_a_few_nats():
    """Five percent would be 57 nats: in Table 1 scVI and FA differ by 24 to 36."""
    assert published.tolerance("heldout_loglik_per_cell", -1175.36)[0] == 3.4


def test_what_was_never_shown_comes_last():
    address = {"label": "ZINB-WaVE"}
    assert published.known("CORTEX", address, "median_L1_uniform")["figure"].startswith("Fig 9b")
    assert published.known("CORTEX", {"label": "DCA"}, "median_L1_uniform")["figure"] == "notebook only"
