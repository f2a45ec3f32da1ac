"""Any data of the user's own: an AnnData file, 10x, loom or text, with the names of the slots to use."""

from pathlib import Path

import numpy as np
import pandas as pd

from .base import InvalidDataset, check_dataset, column, make_dataset, sha256_of
from .io.formats import read
from .io.formats.table import readable
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
    annotations=None,
    obs_columns=None,
    var_columns=None,
    genes_in="columns",
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
        Where the raw counts are, if not in ``X``.
    protein_key : str, optional
        Key of ``obsm`` with the proteins (those of a 10x file are at ``protein``).
    n_genes : int, optional
        Keep the genes with the highest standard deviation of raw counts.
    drop_empty_cells : bool
        Remove cells without counts (in the chosen genes) in place of refusing them.
    keep_cells, keep_genes : str, optional
        Column of ``obs`` or ``var``: only the cells or genes where it is true (or, for other types, not missing).
    annotations : str or Path, optional
        A .csv or .tsv table whose first column names the cells, with further columns of ``obs``.
    obs_columns, var_columns : str, sequence of str or dict, optional
        Further columns to carry along, under their names, or ``{new name: column}``.
    genes_in : {"columns", "rows"}
        How a text table is laid out.
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
    path = Path(path).expanduser()
    table = read(path, genes_in)
    X = table.X
    if layer is not None:
        X = _entry(table.layers, layer, "layer", path)
    if X is None:
        raise InvalidDataset(f"{path.name} has no X; set dataset.layer to one of: {_listed(table.layers)}.")
    frame = table.obs if annotations is None else _joined(table, annotations)
    wanted = {"label": label_key, "batch": batch_key} | _renamed(obs_columns)
    obs = {slot: column(frame, key, slot).to_numpy() for slot, key in wanted.items() if key}
    var = {slot: column(table.var, key, "var").to_numpy() for slot, key in _renamed(var_columns).items()}
    obsm = {} if protein_key is None else {"protein": np.asarray(_entry(table.obsm, protein_key, "obsm", path))}
    steps = [f"read {path.name}"]
    rows, columns = _kept(frame, keep_cells, "cells", X.shape[0]), _kept(table.var, keep_genes, "genes", X.shape[1])
    for key, kind, kept, n in (
        (keep_cells, "cells", rows, X.shape[0]),
        (keep_genes, "genes", columns, X.shape[1]),
    ):
        if key is not None:
            steps.append(f"kept {len(kept)} of {n} {kind}, those with {key}")
    whole = make_dataset(
        X if keep_cells is None and keep_genes is None else X[rows][:, columns],
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
            "sha256": sha256_of(path) if path.is_file() else _folder_sha256(path),
            "steps": steps,
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
    adata.uns["comparisons"] = {name: list(groups) for name, groups in comparisons.items()}
    return check_dataset(adata, counts=False)


def _renamed(columns):
    """{slot: column} of a list of columns, a mapping, one column or none."""
    columns = [columns] if isinstance(columns, str) else columns or []
    return dict(columns) if hasattr(columns, "items") else {name: name for name in columns}


def _joined(table, path):
    """The annotations of the cells with those of a table beside them."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: correct dataset.annotations.")
    with readable(path):
        more = pd.read_csv(path, index_col=0, sep=None, engine="python")
    more.index = more.index.astype(str)
    cells = pd.Index(table.cells.astype(str))
    if not cells.isin(more.index).any():
        cells = cells.str.replace(
            r"-\d+$", "", regex=True
        )  # 10x adds a number to its barcodes, some tables leave it out
    missing = np.flatnonzero(~cells.isin(more.index))
    if missing.size:
        raise InvalidDataset(
            f"{path} says nothing of {missing.size} of the {len(cells)} cells (the first is "
            f"{str(table.cells[missing[0]])!r}): its first column must name the cells."
        )
    more = more.loc[cells].set_axis(table.cells)
    return pd.concat([table.obs[[name for name in table.obs if name not in more]], more], axis=1)


def _kept(frame, key, kind, n):
    if key is None:
        return np.arange(n)
    values = column(frame, key, f"keep_{kind}")
    rows = np.flatnonzero(values if values.dtype == bool else values.notna())
    if not rows.size:
        raise InvalidDataset(f"No {kind} are left: the column {key!r} is never true.")
    return rows


def _entry(mapping, key, kind, path):
    if key not in mapping:
        raise InvalidDataset(f"There is no {kind} {key!r} in {path.name}; there are: {_listed(mapping)}.")
    return mapping[key]


def _listed(keys):
    return ", ".join(map(str, keys)) or "none"


def _folder_sha256(folder):
    return {file.name: sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()}
