"""What the parameters of scVI say of technical variability: Fig 6 and 13 (paper, section 2.8)."""

import numpy as np
from scipy.special import gamma, logit

from .metrics.technical import binomial_zero, hypergeometric_zero, mean_gap, nb_share, signed_log10_p, underflows
from .scores import Score
from .tasks.data import take
from .tasks.hashes import array_sha256
from .tasks.split import train_test

REQUIRES = "nb_zero_probability"
PARTS = ("bernoulli", "nb")  # the two sources of a zero
GIVEN = {  # quality metrics that are a column of obs; two more are computed from the counts
    "reads_per_umi": "qc_mean_reads_per_umi",
    "mapped_reads": "qc_mapped_reads",
    "genome_not_gene": "qc_genome_not_gene",
}
PART_NAMES = dict(zip(PARTS, ("Bernoulli", "NB"), strict=True))
QUALITY_NAMES = {  # as results/published.json has them
    "gene_detection": "gene detection",
    "library_size": "library size",
    "reads_per_umi": "mean reads per UMI",
    "mapped_reads": "mapped reads",
    "genome_not_gene": "genome not gene",
}
SCORES = {
    f"{part}_{quality}": Score(
        f"±log10 p, {word} zeros and {quality.replace('_', ' ')}",
        published={"method": f"{{label}} {word}", "metric": f"median_signed_neglog10p {name}"},
        formula=r"median over subpopulations of $-\mathrm{sign}(r) \log_{10} p$, $r$ the correlation over cells of the "
        "mean logit of the zero probability with the quality metric",
    )
    for part, word in PART_NAMES.items()
    for quality, name in QUALITY_NAMES.items()
} | {
    "nb_explains": Score(
        "share of entries with p(NB | zero) > 0.9",
        published={
            "dataset": "{published_as} CD14+ (notebook) / BRAIN-SMALL (caption)",
            "metric": "fraction_entries_p(NB|zero)>0.9",
        },
        formula=r"share of the entries with $p_{NB} / (p_{NB} + \pi - p_{NB} \pi) > 0.9$, $p_{NB}$ the chance of a "
        r"zero before dropout and $\pi$ that of dropout",
    ),
    "library_correlation": Score(
        "correlation of log l with log library size",
        formula=r"Pearson's correlation over the cells of one subpopulation of $\log l_n$ and $\log \sum_g x_{ng}$",
    ),
    "hypergeometric_gap": Score(
        "mean distance of zeros from the hypergeometric curve",
        formula="mean over genes of |share of zeros − chance of none among the molecules drawn without replacement|",
    ),
    "binomial_gap": Score(
        "mean distance of zeros from the binomial curve",
        formula="the same with replacement",
    ),
}
SHOWN = "CD14+ Monocytes"  # of Fig 6a, b and Fig 13a; elsewhere the largest: cluster 1 of BRAIN-SMALL in Fig 13b–d
MIN_CELLS = 10  # of a subpopulation, for a correlation
N_MOLECULES = 10_000  # in a cell, Fig 6b
FREQUENT = 0.03  # Fig 6b leaves out genes above
HISTOGRAM = np.linspace(0, 1, 11)  # bins of Fig 13a


def evaluate(method, adata, protocol, seeds):
    """Fit to the cells and relate the two zero probabilities of each cell to its quality metrics.

    Parameters
    ----------
    method : Method
        An unfitted scVI with dropout and a library size.
    adata : AnnData
        Counts in ``X``; ``obs["label"]`` where there are subpopulations (else all cells are one), the quality metrics
        ``obs["qc_*"]`` where there are any.
    protocol : mapping
        ``split`` and ``technical`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds

    Returns
    -------
    scores : dict
        ``bernoulli_*``, ``nb_*``: median over subpopulations of the signed -log10 p of the correlation with a quality
        metric; over the entries and cells of one subpopulation ``nb_explains`` (share of entries with
        p(NB | zero) > 0.9), ``library_correlation`` (of log l with the log library size), and the mean distance of the
        share of zeros of a gene from the ``hypergeometric_gap`` and the ``binomial_gap`` curve.
    arrays : dict
        What Fig 6 and 13 draw: ``signed_log10_p`` (subpopulations, quality metrics, 2) and, for the subpopulation
        shown, values by cell, by gene and the histogram of p(NB | zero).
    facts : dict
    """
    choices = protocol["technical"]
    rows = np.arange(adata.n_obs) if choices["cells"] == "all" else train_test(adata, protocol, seeds)[0]
    _, X, batch, _ = take(adata, rows)
    of_all = adata.obs["label"].astype(str).to_numpy() if "label" in adata.obs else np.full(adata.n_obs, "all cells")
    label = of_all[rows]
    fitted = method.fit(X, batch=batch)
    bernoulli = fitted.dropout_probability(X, batch=batch)
    nb = fitted.nb_zero_probability(X, batch=batch)
    if choices["nb_zero"] == "authors":
        nb = (1 - bernoulli) / gamma(fitted.inverse_dispersion()) * nb
    bernoulli, nb = _open_interval(bernoulli), _open_interval(nb)
    logits = {"bernoulli": logit(bernoulli).mean(axis=1), "nb": logit(nb).mean(axis=1)}  # of a cell: mean over genes
    quality = _quality(X, adata.obs.iloc[rows])

    groups = [name for name in np.unique(label) if (label == name).sum() >= MIN_CELLS]
    groups = [name for name in groups if name not in choices["left_out"]]
    if not groups:
        raise ValueError(f"No subpopulation has {MIN_CELLS} cells: there is nothing to correlate.")
    signed = np.full((len(groups), len(quality), len(PARTS)), np.nan)
    for i, name in enumerate(groups):
        own = label == name
        whole = choices["n_of_correlation"] == "label"
        n = int((of_all == name).sum()) if whole else None
        for j, values in enumerate(quality.values()):
            for k, part in enumerate(PARTS):
                signed[i, j, k] = signed_log10_p(x=logits[part][own], y=values[own], n=n)
    if choices["underflow"] == "dropped":
        signed[underflows(score=signed)] = np.nan
    scores = {
        f"{part}_{name}": float(np.nanmedian(signed[:, j, k]))
        for j, name in enumerate(quality)
        for k, part in enumerate(PARTS)
        if np.isfinite(signed[:, j, k]).any()
    }

    shown = SHOWN if SHOWN in groups else max(groups, key=lambda name: (label == name).sum())
    own = label == shown
    counts, given = X[own], None if batch is None else batch[own]
    log_library = np.log(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel())
    log_scale = np.log(fitted.library_size(counts, batch=given).astype(np.float64))
    frequency = fitted.normalized(counts, batch=given).mean(axis=0, dtype=np.float64)
    zeros = 1 - counts.getnnz(axis=0) / counts.shape[0]
    used = float(np.exp(log_library).mean())
    compared = (zeros > 0) & (frequency < FREQUENT)
    share = nb_share(nb=nb[own], bernoulli=bernoulli[own])
    scores |= {
        "nb_explains": float((share > 0.9).mean()),
        "library_correlation": float(np.corrcoef(log_scale, log_library)[0, 1]),
        **_gaps(zeros[compared], frequency[compared], used),
    }
    arrays = {
        "groups": np.array(groups),
        "quality": np.array(list(quality)),
        "signed_log10_p": signed,
        "log_library": log_library,
        "log_scale": log_scale,
        "frequency": frequency[compared],
        "zeros": zeros[compared],
        "nb_share": np.histogram(share, HISTOGRAM)[0] / share.size,
        "cell_nb": nb[own].mean(axis=1, dtype=np.float64),
        "cell_bernoulli": bernoulli[own].mean(axis=1, dtype=np.float64),
        "cell_zeros": 1 - np.diff(counts.indptr) / counts.shape[1],
        **{f"cell_{name}": values[own] for name, values in quality.items()},
    }
    facts = {
        "n_cells": int(X.shape[0]),
        "n_genes": int(X.shape[1]),
        "n_groups": len(groups),
        "shown": shown,
        "n_shown": int(own.sum()),
        "mean_umi": used,
        "n_underflows": int(underflows(score=np.nan_to_num(signed)).sum()),
        "cells_sha256": array_sha256(rows),
    }
    return scores, arrays, facts


def _open_interval(p):
    """Probabilities with a finite logit: 0 becomes the smallest that is not, 1 and above the largest below."""
    p = p.astype(np.float64)
    p[p >= 1] = p[p < 1].max()
    p[p <= 0] = p[p > 0].min()
    return p


def _quality(X, obs):
    """The quality metrics of the paper, as far as the data have them: {score: (n_cells,)}."""
    computed = {
        "gene_detection": np.diff(X.indptr).astype(np.float64),
        "library_size": np.log(np.asarray(X.sum(axis=1), dtype=np.float64).ravel()),
    }
    given = {name: column for name, column in GIVEN.items() if column in obs}
    return computed | {name: obs[column].to_numpy(dtype=np.float64) for name, column in given.items()}


def _gaps(zeros, frequency, n_drawn):
    if zeros.size == 0:
        return {}
    expected = {
        "hypergeometric_gap": hypergeometric_zero(
            frequency=frequency, n_drawn=n_drawn, n_in_cell=max(N_MOLECULES, n_drawn)
        ),
        "binomial_gap": binomial_zero(frequency=frequency, n_drawn=n_drawn),
    }
    return {name: mean_gap(observed=zeros, expected=curve) for name, curve in expected.items()}
