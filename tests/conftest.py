"""What all tests share."""

import functools

import pytest

from r_env import bridge


@functools.cache
def absent(*packages):
    """What of R or its packages is missing here, in a sentence, or None; starts R."""
    reason = bridge.available()
    missing = [] if reason else bridge.missing(packages)
    return f"R package {missing[0]} is not installed" if missing else reason


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """`pytest.mark.r("DESeq2")` skips where that is missing; R starts as such a test runs, not as it is collected."""
    for mark in item.iter_markers("r"):
        if reason := absent(*mark.args):
            pytest.skip(reason)
