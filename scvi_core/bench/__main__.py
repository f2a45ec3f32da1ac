"""``python -m scvi_core.bench``: the options, and which report they ask for."""

import argparse
import json
import os
import sys

from ..engines.choose import STEPS
from ..engines.cuda.check import CheckedStep
from . import cpu, cuda


def main(arguments=None):
    names = [kind.name for kind in STEPS if kind is not CheckedStep]
    parser = argparse.ArgumentParser(prog="python -m scvi_core.bench", description=cpu.__doc__.split("\n\n")[0])
    parser.add_argument("--shapes", nargs="+", default=cpu.SHAPES, help="cells x genes : share of non-zero entries")
    parser.add_argument("--library", nargs="+", default=["observed", "latent"], choices=["observed", "latent", "none"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--engines", nargs="+", default=names, choices=names)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="minibatches in a round, at most")
    parser.add_argument("--json", help="also write the rows to this file")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: the GPU, checked first")
    options = parser.parse_args(arguments)
    rows = {"cpu": cpu, "cuda": cuda}[options.device].report(options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    if "OMP_WAIT_POLICY" not in os.environ:  # waiting threads must not take the processor from others; read at start
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.execv(sys.executable, [sys.executable, "-m", "scvi_core.bench", *sys.argv[1:]])
    main()
