"""The scores of the suite: one file of functions per topic, keyword arguments only."""
