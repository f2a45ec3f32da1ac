"""What a call costs, against calls of known cost."""

import sys
import time

import numpy as np
import pytest

from experiments.tasks.measure import measure


def test_sleeping_takes_time_and_no_processor():
    result, cost = measure(lambda: time.sleep(0.3) or "done")
    assert result == "done"
    assert cost.wall >= 0.3
    assert cost.cpu < 0.2


def test_the_peak_is_seen_after_the_memory_is_given_back():
    def hold():
        return float(np.ones(2**25)[::1000].sum())  # 256 MB for a moment

    _, cost = measure(hold)
    assert cost.peak_mb - cost.resident_mb == pytest.approx(256, rel=0.2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux starts the peak of a process anew")
def test_a_peak_before_the_call_does_not_count():
    float(np.ones(2**25)[::1000].sum())
    _, cost = measure(lambda: None)
    assert cost.peak_mb - cost.resident_mb < 64
