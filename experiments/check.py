"""Compute jobs on record once more and compare them score by score: ``python -m experiments.check``."""

import argparse
import functools
import sys
from pathlib import Path

from .loop import carry, checking, command_line


def main(arguments=None):
    command_line.speak()
    parser = argparse.ArgumentParser(prog="python -m experiments.check", description=__doc__)
    parser.add_argument("--results", default="results", help="folder with the records (results)")
    parser.add_argument("--n", type=int, default=5, help="jobs drawn at random (5)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument("--experiment", help="only jobs of this one")
    parser.add_argument("--job", action="append", default=[], metavar="KEY", help="this one (may be given again)")
    parser.add_argument(
        "--at-most", type=float, default=float("inf"), help="only jobs that took so many seconds or less"
    )
    parser.add_argument("--config-dir", help="configuration of your own, as for experiments.run")
    parser.add_argument("--n-jobs", default="auto", help="jobs at once (auto)")
    options = parser.parse_args(arguments)
    settings = functools.partial(carry.settings_of, folder=options.config_dir)
    where = (Path(options.results), settings, options.experiment, options.job, options.at_most)
    found, passed_over, damaged = checking.candidates(*where)
    for sentence in passed_over:
        print(f"passed over: {sentence}", file=sys.stderr)
    for sentence in damaged:
        print(f"error: {sentence}", file=sys.stderr)
    if not found:
        if damaged:
            return 1
        parser.error(f"There is nothing on record in {options.results} that could be computed again.")
    sample = found if options.job else checking.draw(found, options.n, options.seed)
    print(f"{len(found)} jobs on record can be computed again; {len(sample)} are.")
    rows = checking.check(Path(options.results), sample, n_jobs=options.n_jobs)
    for row in rows:
        print(f"{'alike' if row.is_alike else 'DIFFERS'}  {row.job}: {row.found}")
    return 0 if all(row.is_alike for row in rows) and not damaged else 1


if __name__ == "__main__":
    sys.exit(main())
