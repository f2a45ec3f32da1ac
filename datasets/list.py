"""``python -m datasets.list``: a table of every dataset there is, and whether its files are here."""

import argparse

from .io.fetch import data_folder, locate
from .presets import names, preset

TABLES = (
    ("dataset", "cells × genes", "labels", "batches", "files", "size", "hash known", "here"),
    ("dataset", "source", "licence"),
)


def rows(data_dir=None):
    """One dict per dataset, with the columns of ``TABLES``."""
    return [_row(name, preset(name, data_dir), data_dir) for name in names()]


def _row(name, block, data_dir):
    files = list(block.get("files", {}).values())
    expect = block.get("expect") or {}
    expect = expect.get(block.get("origin"), expect)
    cells = expect.get("file_cells") or expect.get("cells") or block.get("n_cells")
    genes = block.get("n_genes") or expect.get("genes")
    sizes = [file["bytes"] for file in files]
    known = sum(file["sha256"] is not None for file in files)
    return {
        "dataset": name,
        "cells × genes": f"{cells or '?'} × {genes or '?'}" if cells or genes else "as the file",
        "labels": expect.get("labels") or block.get("n_clusters") or "-",
        "batches": expect.get("batches") or block.get("n_batches") or "-",
        "files": len(files) or "-",
        "size": _size(sizes) if files else "-",
        "hash known": f"{known} of {len(files)}" if files else "-",
        "here": _here(name, files, block, data_dir),
        "licence": block.get("licence", "not stated"),
        "source": block.get("source", "not stated"),
    }


def _here(name, files, block, data_dir):
    if block["loader"]["_target_"].startswith("datasets.embedded") or (
        name == "cortex" and locate(files[0], data_dir) is None
    ):
        return "embedded"
    needed = [file for file in files if not file.get("optional")]
    if needed:
        present = sum(locate(file, data_dir) is not None for file in needed)
        return "yes" if present == len(needed) else f"{present} of {len(needed)} files"
    return "your file" if name == "h5ad" else "made on demand"


def _size(sizes):
    total = sum(size or 0 for size in sizes)
    text = f"{total / 1e6:.1f} MB" if total >= 1e5 else f"{total / 1e3:.0f} kB" if total else "?"
    return f"> {text}" if total and None in sizes else text


def main(arguments=None):
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m datasets.list", description=__doc__.split(": ")[1])
    parser.add_argument("--data-dir", help="the data folder (default: $SCVI_REPRO_DATA, else one in the user's cache)")
    options = parser.parse_args(arguments)
    datasets = rows(options.data_dir)
    for columns in TABLES:
        _print(columns, datasets)
    print(f"Data folder: {data_folder(options.data_dir)} (SCVI_REPRO_DATA names another).")
    print("standin/NAME: other public data in the place of NAME, where the paper's cannot be had; each says how close.")
    print("Hash known: files whose sha256 is known beforehand; of the others that of the first copy is recorded.")
    print("size: > where the size of a file is not known. Fetch files ahead of time: python -m datasets.fetch NAME ...")


def _print(columns, datasets):
    table = [dict(zip(columns, columns, strict=True)), *datasets]
    widths = [max(len(str(row[key])) for row in table) for key in columns]
    for row in table:
        print("  ".join(str(row[key]).ljust(width) for key, width in zip(columns, widths, strict=True)).rstrip())
    print()


if __name__ == "__main__":
    main()
