"""Scores of differential expression: agreement with a bulk reference, and what is called where nothing differs."""

import numpy as np
from scipy.stats import false_discovery_control, spearmanr
from sklearn.metrics import roc_auc_score


def auroc(*, score, positive):
    """Area under the ROC curve: the chance that a gene of the reference scores above one that is not in it.

    Parameters
    ----------
    score : array, shape (n_genes,)
        Larger = stronger evidence of a difference, whatever its direction.
    positive : array of bool, shape (n_genes,)
        The genes that differ in the reference.

    Raises
    ------
    ValueError
        All genes are positive, or none is.
    """
    positive = np.asarray(positive, dtype=bool)
    if positive.all() or not positive.any():
        raise ValueError(f"The reference calls {positive.sum()} of {positive.size} genes: AUROC needs both kinds.")
    return float(roc_auc_score(positive, score))


def rank_agreement(*, first, second):
    """Spearman's correlation of two rankings of the same genes, (n_genes,) each; NaN where one of them ranks nothing.

    Values have the sign of the change, so that a gene which is strong in opposite directions counts against it. Genes
    that are not finite in both are left out.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    if len(first) < 2 or not np.ptp(first) or not np.ptp(second):
        return np.nan
    return float(spearmanr(first, second).statistic)


def adjusted(*, pvalue):
    """P-values adjusted for the false discovery rate (Benjamini and Hochberg); NaN stays NaN and does not count."""
    pvalue = np.asarray(pvalue, dtype=float)
    known = ~np.isnan(pvalue)
    result = np.full(pvalue.shape, np.nan)
    if known.any():
        result[known] = false_discovery_control(pvalue[known])
    return result


def called(*, table, bayes_factor, level):
    """Genes that a comparison calls different, (n_genes,) bool (paper, section 2.7).

    Parameters
    ----------
    table : pandas.DataFrame
        From ``Method.compare``: has a column ``called``, what the method itself calls at a rate of false discoveries,
        ``bayes_factor`` or ``pvalue``.
    bayes_factor : float
        A Bayes factor of at least this size is a call, in either direction.
    level : float
        An adjusted p-value of at most this size is a call.
    """
    if "called" in table:
        return table["called"].to_numpy(dtype=bool)
    if "bayes_factor" in table:
        return np.abs(table["bayes_factor"].to_numpy()) >= bayes_factor
    return adjusted(pvalue=table["pvalue"]) <= level  # NaN is no call
