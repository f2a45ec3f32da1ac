"""Posterior predictive checks: statistics of genes in drawn counts beside those in the observed ones."""

import numpy as np
from scipy.stats import ks_2samp


def gene_statistics(counts):
    """What the checks look at, of every gene over the cells of ``counts`` (n_cells, n_genes).

    Returns
    -------
    dict of arrays (n_genes,)
        ``cv``, the coefficient of variation (standard deviation over mean); ``zeros``, the share of zeros;
        ``zeros_to_expression``, that share over the mean count. The first and the last are NaN where a gene has no
        count.
    """
    mean, zeros = counts.mean(axis=0), (counts == 0).mean(axis=0)
    counted = np.where(mean > 0, mean, np.nan)
    return {"cv": counts.std(axis=0) / counted, "zeros": zeros, "zeros_to_expression": zeros / counted}


def ks_distance(*, observed, drawn):
    """Kolmogorov-Smirnov distance between the values of genes, each (n_genes,); genes without a value are left out."""
    observed, drawn = (values[np.isfinite(values)] for values in (observed, drawn))
    return float(ks_2samp(observed, drawn, method="asymp").statistic)
