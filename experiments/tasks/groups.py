"""Which two cell types are compared, and what a bulk study says of them."""

import numpy as np

from datasets.base import BULK

from .skipped import NotApplicable

AGAINST = " against "  # between the two labels of a comparison that names them


def pair(adata, comparison):
    """The two labels of a comparison: those of ``uns["comparisons"]``, or those that it names itself, "A against B".

    Raises
    ------
    NotApplicable
        It is neither, or the data have no labels.
    """
    named = adata.uns.get("comparisons", {}).get(comparison)
    if named is not None:
        return list(named)
    labels = _by_size(adata)
    words = str(comparison).split(AGAINST)
    splits = [[AGAINST.join(words[:i]), AGAINST.join(words[i:])] for i in range(1, len(words))]
    found = [split for split in splits if split[0] != split[1] and set(split) <= set(labels)]
    if len(found) != 1:
        raise NotApplicable(
            f"The data have no comparison {comparison!r}: name two of their labels, e.g. "
            f"'experiment.axes.comparison=[\"{labels[0]}{AGAINST}{labels[1]}\"]'; the labels are {', '.join(labels)}."
        )
    return found[0]


def chosen(adata, asked, usual):
    """The comparisons that are made where ``asked`` are, ``usual`` being those that nobody has asked for.

    Of the usual ones those that the data have; else all that they have; else that of the two largest cell types.

    Raises
    ------
    NotApplicable
        As `pair`.
    """
    there = adata.uns.get("comparisons", {})
    if list(asked) == list(usual):
        asked = [name for name in usual if name in there] or list(there) or [AGAINST.join(_by_size(adata)[:2])]
    for comparison in asked:
        pair(adata, comparison)
    return list(asked)


def _by_size(adata):
    """The labels, those of the most cells first."""
    labels = list(adata.obs["label"].value_counts(sort=True).index) if "label" in adata.obs else []
    if len(labels) < 2:
        raise NotApplicable(
            f"The data have {len(labels) or 'no'} cell type{'s' * (len(labels) != 1)} and a comparison needs two: with "
            "dataset=h5ad, name a column of obs that tells them apart as dataset.label_key."
        )
    return [str(label) for label in labels]


def bulk(adata, comparison):
    """The bulk study of a comparison, as arrays (n_genes,) of adjusted p-values and log fold changes; None if none.

    Both are NaN for a gene that it has not measured.

    Raises
    ------
    ValueError
        A column is missing or holds what is no p-value or no number.
    """
    columns = {part: f"{comparison}_{part}" for part in BULK}
    missing = [name for name in columns.values() if name not in adata.var]
    if len(missing) == len(columns):
        return None
    if missing:
        raise ValueError(f"The bulk reference of {comparison} lacks the column {missing[0]} of var: add it.")
    try:
        found = {part: adata.var[name].to_numpy(dtype=float) for part, name in columns.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The bulk reference of {comparison} is not numbers ({error}): correct its columns."
        ) from error
    adjusted, fold = found["adj.P.Val"].copy(), found["logFC"].copy()
    if ((adjusted < 0) | (adjusted > 1)).any():
        raise ValueError(f"{columns['adj.P.Val']} of var has values that are no p-values: they lie between 0 and 1.")
    unmeasured = ~(np.isfinite(adjusted) & np.isfinite(fold))
    if unmeasured.all():
        return None
    adjusted[unmeasured] = fold[unmeasured] = np.nan
    return adjusted, fold
