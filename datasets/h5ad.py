"""Any data of the user's own: an AnnData file, 10x, loom or text, with the names of the slots to use."""

import hashlib
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .base import InvalidDataset, check_dataset, make_dataset, sha256_of
from .io.annotations import find, join, kept
from .io.formats import read
from .io.fractions import whole_counts
from .io.names import named
from .io.select import top_genes


def load(
    path,
    name="h5ad",
    label_key=None,
    batch_key=None,
    layer=None,
    protein_key=None,
    n_genes=None,
    drop_empty_cells=False,
    keep_cells=None,
    keep_genes=None,
    cells_with=None,
    genes_with=None,
    annotations=None,
    obs_columns=None,
    var_columns=None,
    genes_in=None,
    part=None,
    round_counts=False,
    stand_in_for=None,
    comparisons=None,
):
    """Read counts from a file in any of the formats of :func:`datasets.io.formats.read`.

    Parameters
    ----------
    path : str or Path
    name : str
        What the dataset is called in records and tables.
    label_key, batch_key : str, optional
        Columns of ``obs`` with the cell types and the batches.
    layer : str, optional
        Where the raw counts are, if not in ``X``: a layer, or ``raw`` for those that AnnData keeps in ``.raw``, with
        the genes that are there.
    protein_key : str, optional
        Key of ``obsm`` with the proteins (those of a 10x file are at ``protein``).
    n_genes : int, optional
        Keep the genes with the highest standard deviation of raw counts.
    drop_empty_cells : bool
        Remove cells without counts (in the chosen genes) in place of refusing them.
    keep_cells, keep_genes : str, optional
        Column of ``obs`` or ``var`` with truth values: only the cells or genes where it is true.
    cells_with, genes_with : str, optional
        Column of ``obs`` or ``var``: only the cells or genes that have a value in it.
    annotations : str or Path, optional
        A text table whose first column names the cells, with further columns of ``obs``.
    obs_columns, var_columns : str, sequence of str or dict, optional
        Further columns to carry along, under their names, or ``{new name: column}``.
    genes_in : {"columns", "rows"}, optional
        How a text table is laid out; by default its names tell.
    part : str, optional
        Which matrix is meant where the file or folder has several.
    round_counts : bool
        Round fractions of counts, as programs write that correct or estimate them; normalised values are refused.
    stand_in_for : str, optional
        One line on the dataset of the paper this one stands in for; it opens ``uns["source"]["origin"]``.
    comparisons : dict, optional
        ``{name: [label, label]}``: the groups of the differential expression whose bulk references are the columns
        ``{name}_logFC``, ``{name}_P.Value``, ``{name}_adj.P.Val`` of ``var``; kept in ``uns["comparisons"]``.

    Returns
    -------
    anndata.AnnData
    """
    if path is None:
        raise InvalidDataset("No file is given: set dataset.path=FILE.")
    path, part = Path(str(path)).expanduser(), None if part == "" else part
    table = read(path, genes_in, part)
    files = table.files
    if layer in ("raw", "raw.X") and layer not in table.layers and table.raw is not None:
        table, layer = table.raw, None
    X = table.X if layer in (None, "") else _entry(table.layers, layer, "layer", path)
    if X is None:
        raise InvalidDataset(f"{path.name} has no X; set one of {_listed(_places(table))}.")
    X, rounded = whole_counts(X, table, _places(table), round_counts)
    frame = table.obs if annotations in (None, "") else join(table, str(annotations), (label_key, batch_key))
    wanted = {"label": label_key, "batch": batch_key} | _renamed(obs_columns)
    obs = {slot: find(frame, key, slot).to_numpy() for slot, key in wanted.items() if key not in (None, "")}
    var = {slot: find(table.var, key, "var").to_numpy() for slot, key in _renamed(var_columns).items()}
    protein = None if protein_key in (None, "") else _entry(table.obsm, protein_key, "obsm", path)
    obsm = {} if protein is None else {"protein": _dense(protein, protein_key)}
    rows, of_cells = kept(frame, X.shape[0], "cells", keep_cells, cells_with)
    columns, of_genes = kept(table.var, X.shape[1], "genes", keep_genes, genes_with)
    whole = make_dataset(
        X if not (of_cells or of_genes) else sp.csr_matrix(X)[rows][:, columns],
        cells=table.cells[rows],
        genes=table.genes[columns],
        obs={slot: values[rows] for slot, values in obs.items()},
        var={slot: values[columns] for slot, values in var.items()},
        obsm={key: values[rows] for key, values in obsm.items()},
        source={
            "name": name,
            "origin": f"{stand_in_for.removesuffix('.')}."
            if stand_in_for
            else f"The file {path.name} given by the user.",
            "sha256": _sha256(files),
            "steps": [f"read {path.name}{f', of it {part}' if part else ''}", *rounded, *of_cells, *of_genes],
        },
        drop_empty_cells=drop_empty_cells,
    )
    if n_genes is None:
        return _compared(whole, comparisons)
    keep = top_genes(whole.X, n_genes)
    X = whole.X[:, keep]
    emptied = np.flatnonzero(np.diff(X.indptr) == 0)
    if len(emptied) and not drop_empty_cells:
        raise InvalidDataset(
            f"None of the {n_genes} genes kept is counted in cell {whole.obs_names[emptied[0]]!r} ({len(emptied)} such "
            "cells): set dataset.drop_empty_cells=true, or keep more genes (dataset.n_genes)."
        )
    step = f"kept the {n_genes} genes with the highest SD of raw counts over all cells"
    selected = make_dataset(
        X,
        cells=whole.obs_names,
        genes=whole.var_names[keep],
        obs={slot: whole.obs[slot] for slot in obs},
        var={slot: whole.var[slot].to_numpy()[keep] for slot in var},
        obsm=dict(whole.obsm),
        source={**whole.uns["source"], "steps": [*whole.uns["source"]["steps"], step]},
        drop_empty_cells=drop_empty_cells,
    )
    return _compared(selected, comparisons)


def _compared(adata, comparisons):
    """The data with ``uns["comparisons"]``."""
    if not comparisons:
        return adata
    labels = adata.obs["label"].cat.categories if "label" in adata.obs else ()
    adata.uns["comparisons"] = {
        str(name): [named(labels, group) for group in groups] for name, groups in comparisons.items()
    }
    return check_dataset(adata, counts=False)


def _places(table):
    """``{setting: function that gives the matrix}`` of all places of a file where counts may be."""
    places = {f"dataset.layer={name}": lambda name=name: table.layers[name] for name in table.layers}
    if table.X is not None:
        places["X, without dataset.layer"] = lambda: table.X
    if table.raw is not None:
        places["dataset.layer=raw"] = lambda: table.raw.X
    return places


def _renamed(columns):
    """{slot: column} of a list of columns, a mapping, one column or none."""
    if not hasattr(columns, "items"):
        columns = [] if columns is None else columns if isinstance(columns, list | tuple) else [columns]
        columns = {name: name for name in columns}
    return {str(slot): name for slot, name in columns.items()}


def _entry(mapping, key, kind, path):
    key = named(mapping, key)
    if key not in mapping:
        raise InvalidDataset(f"There is no {kind} {key!r} in {path.name}; there are: {_listed(mapping)}.")
    return mapping[key]


def _dense(values, key):
    """Proteins as an array, whatever holds them."""
    values = values.toarray() if sp.issparse(values) else np.asarray(values)
    try:
        return values.astype(float)
    except (TypeError, ValueError) as error:
        raise InvalidDataset(f"obsm[{key!r}] does not hold numbers ({error}): name the proteins alone.") from error


def _listed(keys):
    return ", ".join(map(str, keys)) or "none"


def _sha256(files):
    """The digest of what was read: of the file, or ``{name: digest}`` of several; of a folder one of all in it."""
    if len(files) > 1:
        return {file.name: _sha256([file]) for file in files}
    if files[0].is_file():
        return sha256_of(files[0])
    inside = sorted(file for file in files[0].rglob("*") if file.is_file())
    lines = [f"{sha256_of(file)}  {file.relative_to(files[0]).as_posix()}\n" for file in inside]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
