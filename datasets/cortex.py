"""CORTEX: 3,005 cells of mouse cortex and hippocampus, 7 cell types (Zeisel et al. 2015; paper §4.9).

Three sources, in this order: a file of the user's own, the original file where it is on this machine (or may be
downloaded), the counts embedded in the package (``embedded/README.md``).
"""

import gzip
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from . import embedded
from .base import InvalidDataset, compare_with_paper, make_dataset
from .io.cache import remembered
from .io.fetch import gather, locate, looks_like_html
from .io.select import top_genes

EMBEDDED = "cortex.npz"
CELL_TYPES = (
    "astrocytes_ependymal",
    "endothelial-mural",
    "interneurons",
    "microglia",
    "oligodendrocytes",
    "pyramidal CA1",
    "pyramidal SS",
)
# Table 3: the cluster of each cell type, in the order above, in the cuts of the hierarchy into 4, 3 and 2 clusters.
HIERARCHY = {"label_4": "1232033", "label_3": "0121022", "label_2": "0010011"}

# The annotation rows of the original file that are used.
LEVEL1, LEVEL2, CELL_ID = ANNOTATIONS = ("level1class", "level2class", "cell_id")


def load(path=None, download=False, n_genes=558, data_dir=None, files=None, expect=None):
    """The CORTEX dataset.

    Parameters
    ----------
    path : str or Path, optional
        A copy of ``expression_mRNA_17-Aug-2014.txt`` (or ``.txt.gz``).
    download : bool
        Fetch the original where it is not in the data folder.
    n_genes : int or None
        Genes with the highest standard deviation of raw counts over all cells, highest first (558 in the paper).
    data_dir : str or Path, optional
        Folder of raw files and caches.
    files : dict, optional
        ``counts``: the original file (see :mod:`datasets.io.fetch`).
    expect : dict, optional
        The paper's numbers (see :func:`datasets.base.compare_with_paper`).

    Returns
    -------
    anndata.AnnData, 3005 × n_genes
        ``obs``: ``label`` (7), ``label_level2`` (48), and ``label_4``, ``label_3``, ``label_2``, the cuts of Table 3.
    """
    original = (files or {}).get("counts")
    if path is None and (original is None or (not download and locate(original, data_dir) is None)):
        if download:
            raise InvalidDataset("download=True needs the file's address: pass files as conf/dataset/cortex.yaml does.")
        return _embedded(n_genes)
    where, digest = gather({"counts": original}, path, download, data_dir)["counts"]
    parsed = remembered(f"cortex-{digest[:16]}", data_dir, lambda: parse(where))
    steps = [f"read {where.name}"]
    if n_genes is not None:
        steps.append(f"kept the {n_genes} genes with the highest SD of raw counts over all cells")
    origin = "The original file of the authors, with all its genes to choose from."
    if path is not None:
        origin = f"The file {where.name} given by the user."
    file_genes = parsed["counts"].shape[1]
    adata = _assemble(parsed, n_genes, {"name": "cortex", "origin": origin, "sha256": digest, "steps": steps})
    return compare_with_paper(adata, expect, own_files=path is not None, files=files, file_genes=file_genes)


def _embedded(n_genes):
    parsed, digest = embedded.read(EMBEDDED)
    n_cells, available = parsed["counts"].shape
    parsed["cells"] = np.array([f"cell_{row}" for row in range(n_cells)])
    if n_genes is not None and n_genes > available:
        raise InvalidDataset(
            f"n_genes={n_genes} is asked for and the embedded counts have {available} genes: "
            "set dataset.download=true or give the original file as dataset.path."
        )
    origin = (
        "The paper's cells and, as far as can be told, its 558 genes: a copy of the published counts, embedded in the "
        "package, that has every gene with at least 1,998 molecules; the name of one gene is not certain."
    )
    steps = ["read the 1,200 genes of highest SD among the 4,412 with at least 1,998 molecules, from the sdist of OCAT"]
    if n_genes is not None:
        steps.append(f"kept the {n_genes} genes with the highest SD of raw counts over all cells")
    return _assemble(parsed, n_genes, {"name": "cortex", "origin": origin, "sha256": digest, "steps": steps})


def _assemble(parsed, n_genes, source):
    counts = parsed["counts"]
    keep = top_genes(counts, n_genes)
    obs = {"label": parsed["level1class"], "label_level2": parsed["level2class"]}
    unknown = set(obs["label"]) - set(CELL_TYPES)
    if unknown:
        raise InvalidDataset(
            f"The level-1 class {min(map(str, unknown))!r} is none of the paper's seven ({', '.join(CELL_TYPES)}): "
            "this is not the CORTEX file, load it with dataset=h5ad."
        )
    for name, clusters in HIERARCHY.items():
        cut = dict(zip(CELL_TYPES, clusters, strict=True))
        obs[name] = [cut[label] for label in obs["label"]]
    adata = make_dataset(counts[:, keep], cells=parsed["cells"], genes=parsed["genes"][keep], obs=obs, source=source)
    for name in ("label_level2", *HIERARCHY):
        adata.obs[name] = adata.obs[name].astype("category")
    return adata


def parse(path):
    """Read the original text file.

    Tab-separated, genes in rows. The annotation rows come first: nothing in the first column, the name of the
    annotation in the second (``tissue``, ``group #``, …, ``cell_id``, ``level1class``, ``level2class``), one value
    per cell. Then an empty row, and one row per gene: its name, its BackSPIN cluster, one count per cell.

    Returns
    -------
    dict of arrays
        ``counts`` (n_cells, n_genes) CSR int32, ``genes``, ``cells``, ``level1class``, ``level2class``.

    Raises
    ------
    InvalidDataset
        With the line, the gene and the repair.
    """
    path = Path(path)
    annotations, genes, rows = {}, [], []
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                if number == 1 and looks_like_html(line):
                    raise InvalidDataset(f"{path} is a web page, not the count table: download the file itself again.")
                fields = [field.strip() for field in line.decode("utf-8").rstrip("\r\n").split("\t")]
                if not any(fields):
                    continue
                if not genes and (fields[0] == "" or fields[0].lower() in ANNOTATIONS):
                    annotations["".join(fields[:2]).lower()] = fields[2:]
                else:
                    n_cells = _n_cells(annotations, path, number)
                    genes.append(fields[0])
                    rows.append(_counts_of(fields, n_cells, path, number))
    except UnicodeDecodeError:
        raise InvalidDataset(f"{path} is not a text file: is it compressed? Give it a .gz name or unpack it.") from None
    except EOFError:
        raise InvalidDataset(f"{path} ends in the middle of its compressed data: download it again.") from None
    except gzip.BadGzipFile:
        raise InvalidDataset(f"{path} is named .gz but is not a gzip file: rename it or download it again.") from None
    if not genes:
        raise InvalidDataset(f"{path} has no gene rows: it is cut off or not expression_mRNA_17-Aug-2014.txt.")
    n_cells = len(rows[0])
    return {
        "counts": sp.csr_matrix(np.array(rows, dtype=np.int32).T),
        "genes": np.array(_unique(genes)),
        **{
            key: np.array(annotations[name][:n_cells])
            for key, name in (("cells", CELL_ID), ("level1class", LEVEL1), ("level2class", LEVEL2))
        },
    }


def _n_cells(annotations, path, number):
    for name in (CELL_ID, LEVEL1, LEVEL2):
        if name not in annotations:
            there = ", ".join(annotations) or "none"
            raise InvalidDataset(
                f"{path} has no annotation row {name!r} before its first gene row (line {number}; there are: {there}): "
                "it is not expression_mRNA_17-Aug-2014.txt, load other tables with dataset=h5ad."
            )
    lengths = {name: len([value for value in annotations[name] if value]) for name in (CELL_ID, LEVEL1, LEVEL2)}
    if len(set(lengths.values())) > 1:
        raise InvalidDataset(f"The annotation rows of {path} differ in length ({lengths}): download the file again.")
    return lengths[CELL_ID]


def _counts_of(fields, n_cells, path, number):
    values = fields[2:]
    while len(values) > n_cells and values[-1] == "":
        values.pop()
    if len(values) != n_cells:
        raise InvalidDataset(
            f"Line {number} of {path} (gene {fields[0]!r}) has {len(values)} counts for {n_cells} cells: "
            "the file is cut off or damaged, download it again."
        )
    try:
        counts = np.array(values, dtype=np.int64)
    except (ValueError, OverflowError):
        column, value = next((i, v) for i, v in enumerate(values) if not v.isdecimal())
        raise InvalidDataset(
            f"Line {number} of {path} (gene {fields[0]!r}, cell {column}) has {value!r} where a count belongs: "
            "pass the table of raw counts."
        ) from None
    if counts.min() < 0 or counts.max() > np.iinfo(np.int32).max:
        column = int(np.flatnonzero((counts < 0) | (counts > np.iinfo(np.int32).max))[0])
        raise InvalidDataset(
            f"Line {number} of {path} (gene {fields[0]!r}, cell {column}) has the impossible count {counts[column]}: "
            "pass the table of raw counts."
        )
    return counts.astype(np.int32)


def _unique(names):
    """Names with ``-1``, ``-2``, … appended to the second, third, … occurrence."""
    seen, unique = {}, []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        unique.append(f"{name}-{seen[name]}" if seen[name] else name)
    return unique
