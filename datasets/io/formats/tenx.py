"""The count matrices of 10x Genomics in HDF5, of both generations."""

import h5py
import numpy as np
import scipy.sparse as sp

from ...base import InvalidDataset
from .members import choose
from .mtx import expression_table
from .table import strings


def tenx_group(file, path, part=None):
    """The group with the matrix in a 10x HDF5 file: ``matrix`` (CellRanger 3 on) or named by the genome.

    ``part`` is the genome that is meant where there are several.
    """
    groups = [name for name in file if isinstance(file[name], h5py.Group) and "indptr" in file[name]]
    if not groups:
        found = ", ".join(file) or "nothing"
        raise InvalidDataset(f"{path} should hold a 10x count matrix and holds {found}: is it a 10x .h5 file?")
    group = file[choose(groups, part, path)[0]]
    missing = {"data", "indices", "shape", "barcodes"} - set(group)
    if missing:
        raise InvalidDataset(f"The 10x matrix of {path} lacks {', '.join(sorted(missing))}: the file is damaged.")
    return group


def tenx_genes(group):
    """Ids, symbols and kinds of the rows of a 10x matrix."""
    if "features" in group:
        features = group["features"]
        return tuple(strings(features[name][:]) for name in ("id", "name", "feature_type"))
    ids, symbols = strings(group["genes"][:]), strings(group["gene_names"][:])
    return ids, symbols, np.full(len(ids), "Gene Expression")


def check_tenx(group, path):
    """Refuse a 10x matrix whose parts do not fit together; return (n_genes, n_cells)."""
    n_genes, n_cells = (int(n) for n in group["shape"][:])
    lengths = {name: group[name].shape[0] for name in ("data", "indices", "indptr", "barcodes")}
    n_values = int(group["indptr"][-1]) if lengths["indptr"] else 0
    if lengths["data"] != lengths["indices"] or lengths["data"] < n_values:
        raise InvalidDataset(
            f"{path} has {lengths['data']} values and {lengths['indices']} indices where {n_values} are announced: "
            "the file is cut off."
        )
    if lengths["indptr"] != n_cells + 1 or lengths["barcodes"] != n_cells:
        raise InvalidDataset(
            f"{path} announces {n_cells} cells, but has {lengths['barcodes']} barcodes and "
            f"{lengths['indptr'] - 1} columns: are genes and cells swapped?"
        )
    if len(tenx_genes(group)[0]) != n_genes:
        raise InvalidDataset(f"{path} announces {n_genes} genes and names {len(tenx_genes(group)[0])}: it is damaged.")
    return n_genes, n_cells


def read_10x_h5(source, place, part=None):
    """A 10x HDF5 file; antibody features go to ``obsm["protein"]``.

    Parameters
    ----------
    source : Path or io.BytesIO
    place : Path or str
        What sentences call it.
    part : str, optional
        The genome that is meant, where the file has several; ``matrix`` is all of them together in a file of
        CellRanger 3 and later.
    """
    with h5py.File(source, "r") as file:
        genomes = _genomes(file)
        several = sorted(set(genomes) - {""})
        if len(several) > 1 or (several and part is not None):  # of two species: rarely is one model of both meant
            part = choose([*several, "matrix"], part, place)[0]
        group = tenx_group(file, place, None if part in genomes else part)
        n_genes, n_cells = check_tenx(group, place)
        ids, symbols, kinds = tenx_genes(group)
        cells = strings(group["barcodes"][:])
        parts = tuple(group[name][:] for name in ("data", "indices", "indptr"))
    if parts[1].size and not 0 <= parts[1].min() <= parts[1].max() < n_genes:
        raise InvalidDataset(f"{place} has a gene index outside its {n_genes} genes: the file is damaged.")
    if parts[2][0] != 0 or (np.diff(parts[2].astype(np.int64)) < 0).any():
        raise InvalidDataset(f"The columns of {place} do not follow one another: the file is damaged.")
    # Columns of cells, stored column by column: the same three arrays are rows of cells.
    X = sp.csr_matrix(parts, shape=(n_cells, n_genes))
    if part in genomes:
        chosen = np.flatnonzero((genomes == part) | (kinds != "Gene Expression"))
        X, ids, symbols, kinds = X[:, chosen], ids[chosen], symbols[chosen], kinds[chosen]
    return expression_table(X, cells, ids, symbols, kinds, place)


def _genomes(file):
    """The genome of every feature, as CellRanger 3 and later write it; none in other files."""
    found = file.get("matrix/features/genome")
    return np.array([], dtype=str) if found is None else strings(found[:])
