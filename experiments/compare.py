"""Two results folders, two commits or two protocols side by side: ``python -m experiments.compare A B``."""

import sys

from .report.compare import main

if __name__ == "__main__":
    sys.exit(main())
