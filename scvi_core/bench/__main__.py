"""``python -m scvi_core.bench``."""

import os
import sys

from .cpu import main

if __name__ == "__main__":
    if "OMP_WAIT_POLICY" not in os.environ:  # waiting threads must not take the processor from others; read at start
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.execv(sys.executable, [sys.executable, "-m", "scvi_core.bench", *sys.argv[1:]])
    main()
