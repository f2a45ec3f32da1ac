"""What the figures of the suite are made of: one file per kind of plot, one style for all of them (style.py)."""
