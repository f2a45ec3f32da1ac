"""``python -m datasets.fetch cortex pbmc``: fetch raw files ahead of time."""

import argparse
import sys

from .base import InvalidDataset
from .io.fetch import obtain, verify
from .presets import names, preset


def main(arguments=None):
    """Fetch the files of the named datasets; exit 1 if one could not be had."""
    with_files = [name for name in names() if preset(name).get("files")]
    parser = argparse.ArgumentParser(prog="python -m datasets.fetch", description="Fetch raw files ahead of time.")
    parser.add_argument("dataset", nargs="+", help=f"any of: {', '.join(with_files)}")
    parser.add_argument("--data-dir", help="where to put them (default: $SCVI_REPRO_DATA, else the user's cache)")
    options = parser.parse_args(arguments)
    failed = False
    for name in options.dataset:
        try:
            files = preset(name, options.data_dir).get("files", {})
            if not files:
                print(f"{name}: needs no files")
            for file in files.values():
                path = obtain(file, options.data_dir)
                print(f"{name}: {path} ({path.stat().st_size:,} bytes, sha256 {verify(path, file, options.data_dir)})")
        except (OSError, InvalidDataset) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
