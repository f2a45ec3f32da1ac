"""The arena: where does a method stand among those on record? ``python -m experiments.arena``."""
