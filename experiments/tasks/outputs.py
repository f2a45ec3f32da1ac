"""What fitted methods return, checked: a number that is not finite would hide in a median or end in a library."""

import numpy as np


def check_latent(latent, *, n_cells):
    """Return ``latent`` as (n_cells, n_latent) of float64; ValueError where it is not one finite vector per cell."""
    latent = np.asarray(latent, dtype=np.float64)
    if latent.ndim != 2 or latent.shape[0] != n_cells:
        raise ValueError(f"latent() returned shape {latent.shape} for {n_cells} cells: one vector per cell is asked.")
    return _finite(latent, "latent()", "dimension")


def check_imputed(imputed, *, shape):
    """Return ``imputed`` as an array of ``shape`` (n_cells, n_genes); ValueError where it is not, or not finite."""
    imputed = np.asarray(imputed)
    if imputed.shape != shape:
        raise ValueError(f"impute() returned shape {imputed.shape} for {shape[0]} cells × {shape[1]} genes.")
    return _finite(imputed, "impute()", "gene")


def _finite(values, source, column):
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, place = np.unravel_index(wrong.argmax(), wrong.shape)
        raise ValueError(
            f"{source} returned {values[row, place]} for cell {row} and {column} {place} (values that are not finite: "
            f"{wrong.sum():,}): return finite numbers alone."
        )
    return values
