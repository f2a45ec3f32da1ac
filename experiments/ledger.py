"""Every published number with ours beside it: ``python -m experiments.ledger``."""

from .report.ledger import main

if __name__ == "__main__":
    main()
