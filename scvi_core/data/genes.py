"""A fitted model on other data: the same genes in the same order, or one sentence on what differs."""

import numpy as np

from .counts import InvalidCounts, check_names


def matched(model, X, genes, *, reorder=False):
    """Return the columns of ``X`` as a fitted model takes them.

    Parameters
    ----------
    model : SCVI
        Fitted with ``gene_names``, or loaded from a file of such a one.
    X : array or sparse matrix, shape (n_cells, n_genes)
    genes : sequence of str
        Names of the columns, e.g. ``adata.var_names``.
    reorder : bool
        Put the columns into the order of the model, and leave out those that it does not know.

    Raises
    ------
    InvalidCounts
        Names the first gene that differs; with ``reorder``, only where a gene of the model is missing.
    """
    if model.gene_names_ is None:
        raise InvalidCounts("The model was fitted without gene names: fit it again with gene_names=.")
    genes, known = check_names(genes, X.shape[1], "gene"), model.gene_names_
    if genes == known:
        return X
    place = {gene: column for column, gene in enumerate(genes)}
    missing = [gene for gene in known if gene not in place]
    if missing:
        raise InvalidCounts(f"The data lack {len(missing)} genes of the model, first {missing[0]!r}: add their counts.")
    if not reorder:
        column = next(i for i, gene in enumerate(genes) if i >= len(known) or gene != known[i])
        expected = repr(known[column]) if column < len(known) else "no further gene"
        raise InvalidCounts(
            f"Column {column} is the gene {genes[column]!r} where the model has {expected}: pass reorder=True to put "
            "the columns into the order of the model."
        )
    columns = np.array([place[gene] for gene in known])
    return X[:, columns]
