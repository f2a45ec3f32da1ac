"""The tables of runs and the page, from the rows of their jobs: ``python -m experiments.redraw``."""

from .report.redraw import main

if __name__ == "__main__":
    main()
