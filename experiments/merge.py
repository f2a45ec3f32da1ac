"""Take in the records of another machine: ``python -m experiments.merge FOLDER_OR_ARCHIVE``."""

import argparse
import sys
from pathlib import Path

from .loop import command_line
from .loop.merging import merge


def main(arguments=None):
    command_line.speak()
    parser = argparse.ArgumentParser(prog="python -m experiments.merge", description=__doc__)
    parser.add_argument("source", help="a results folder, or an archive of records (.zip)")
    parser.add_argument("--results", default="results", help="where they are taken in (results)")
    options = parser.parse_args(arguments)
    try:
        found = merge(options.source, Path(options.results))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    for sentence in [*found["damaged"], *found["conflicts"]]:
        print(f"error: {sentence}", file=sys.stderr)
    print(
        f"{found['new']} records taken in, {found['same']} already here and equal, {found['unfinished']} not finished "
        f"there and left, {len(found['conflicts'])} here with other scores and left, {len(found['damaged'])} damaged."
    )
    if found["new"]:
        print("The same run as there, or python -m experiments.redraw, puts them into its tables.")
    return 1 if found["conflicts"] or found["damaged"] else 0


if __name__ == "__main__":
    sys.exit(main())
