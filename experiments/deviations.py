"""What the paper's text and the authors' code do differently: ``python -m experiments.deviations``."""

from .report.deviations import main

if __name__ == "__main__":
    main()
