"""Experiments, data sets, methods, and what is on record: ``python -m experiments.list``."""

from .report.inventory import main

if __name__ == "__main__":
    main()
