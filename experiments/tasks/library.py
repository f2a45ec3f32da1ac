"""Which cells scVI takes the prior of the library size from, as the protocol says."""

from .data import take


def library_from(method, adata, protocol, rows, training=None):
    """What the ``fit`` of scVI is told of the prior of log l, beside the cells that it is fitted to.

    Parameters
    ----------
    method : Method
    adata : AnnData
    protocol : mapping
        ``scvi`` of conf/protocol/, read for a method that has such a prior: ``library_cells`` is "fitted" (the cells
        that it is fitted to, as it sees them), "uncorrupted" (the same before any corruption) or a number (the first
        so many training cells, before any corruption, whatever it is fitted to).
    rows : array of int
        Where the cells that the method is fitted to stand in ``adata``.
    training : array of int, optional
        The same of all training cells, where the method is not fitted to all.

    Returns
    -------
    dict
        Keyword arguments of ``fit``: none for "fitted" and for other methods.
    """
    if "library_prior" not in method.get_params():
        return {}
    cells = protocol["scvi"]["library_cells"]
    if cells == "fitted":
        return {}
    if cells != "uncorrupted":
        rows = (rows if training is None else training)[: int(cells)]
    _, X, batch, _ = take(adata, rows)
    return {"library_from": (X, batch)}
