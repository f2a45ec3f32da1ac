"""Pairs of a method and data, or of data and an experiment, that make no sense."""


class NotApplicable(ValueError):
    """There is nothing to compute here: the row is recorded as skipped, with this sentence; it has not failed."""

    skip = True
