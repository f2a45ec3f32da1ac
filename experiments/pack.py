"""Records of the runs on display into archives that travel: ``python -m experiments.pack``."""

from .report.pack import main

if __name__ == "__main__":
    main()
