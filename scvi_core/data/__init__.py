"""Counts: checked, in memory or on disk, and where the cells of a step come from."""
