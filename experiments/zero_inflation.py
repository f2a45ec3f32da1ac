"""Whether counts need zero inflation: the authors' study of it after the paper (published on 2019-06-25)."""

import numpy as np

from .metrics.likelihood import monte_carlo_error, nats_per_cell
from .metrics.predictive import gene_statistics, ks_distance
from .scores import LOGLIK_MARGINAL, Score
from .tasks.data import take
from .tasks.hashes import matrix_sha256
from .tasks.library import library_from
from .tasks.marginal import held_out_marginal
from .tasks.split import train_test

REQUIRES = "sample"
EACH, ALL = "each", "all"


def _of(metric, **more):
    return {"metric": f"zero inflation {metric}", "lam": "{lam}"} | more


DISTANCE = "largest difference between the distribution functions over genes of {}, of counts drawn and observed"
SCORES = {
    "loglik_marginal": LOGLIK_MARGINAL._replace(published=_of("heldout_neg_marginal_loglik_per_cell", sign=-1)),
    "ks_cv": Score(
        "KS distance of genes' coefficients of variation, drawn and observed",
        "lower",
        _of("ks_coefficient_of_variation"),
        formula=DISTANCE.format("the standard deviation over the mean of its counts"),
    ),
    "ks_zeros": Score(
        "KS distance of genes' shares of zeros, drawn and observed",
        "lower",
        _of("ks_dropout_ratio"),
        formula=DISTANCE.format("the share of cells without it"),
    ),
    "ks_zeros_to_expression": Score(
        "KS distance of genes' zeros over expression, drawn and observed",
        "lower",
        _of("ks_zeros_to_expression_ratio"),
        formula=DISTANCE.format("the number of cells without it over the sum of its counts"),
    ),
    "mean_dropout": Score(
        "mean probability of dropout",
        "",
        _of("mean_dropout_probability"),
        formula=r"mean over cells and genes of $\pi$, the model's chance that a count was lost",
    ),
    "share_of_zeros": Score(
        "share of zeros in the counts",
        "",
        _of("share_of_zeros", method="-"),
        formula="entries without a count over all entries",
    ),
}
N_GENES = 1200  # the most variable
N_DRAWS = 5  # of the counts of all cells that are looked at
MAX_VALUES = 50_000_000  # of all draws of one method: so many cells are drawn for


def settle(config, adata):
    """The axes of the run with the parts that the data have; ValueError where others are asked for."""
    asked, parts = [str(lam) for lam in config["experiment"]["axes"]["lam"]], _parts(adata)
    if asked == [EACH]:
        asked = parts
    for lam in asked:
        if lam not in parts:
            raise ValueError(f"experiment.axes.lam: the data have no part {lam!r}; they have {', '.join(parts)}.")
    return config["experiment"]["axes"] | {"lam": asked}


def evaluate(method, adata, protocol, seeds, *, lam):
    """Fit to the training cells; ask how likely held-out cells are, and how the counts of genes are drawn.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``sample``; ``marginal_loglik`` and ``dropout_probability`` are used where it can.
    adata : AnnData
        Counts in ``X``, of which the 1,200 most variable genes are taken; ``obs["lam"]`` where they have parts.
    protocol : mapping
        ``split`` of conf/protocol/, and of ``scvi`` what `tasks.library` reads.
    seeds : experiments.loop.job.Seeds
    lam : str
        The part of the data, "all" where they have none.

    Returns
    -------
    scores : dict
        ``loglik_marginal`` of the held-out cells (nats per cell); over genes, the distance between the statistics of
        the training cells and of counts drawn for them from the posterior, the mean over draws: ``ks_cv``,
        ``ks_zeros``, ``ks_zeros_to_expression`` (`metrics.predictive`); ``mean_dropout``, of a model that has such a
        probability, over the same entries; ``share_of_zeros`` of the counts.
    arrays : dict
        Of each gene, (n_genes,): ``observed_cv``, ``drawn_cv`` and so on, the latter of the first draw.
    facts : dict
        Sizes; hash of the held-out counts; ``set_to_zero``, the share of the counts that were, where it is known;
        Monte Carlo errors of the likelihood.
    """
    adata = _part(adata, lam)
    train, test = train_test(adata, protocol, seeds)
    cells, held_out = take(adata, train), take(adata, test)
    others = library_from(method, adata, protocol, train)
    fitted = method.fit(cells.X, batch=cells.batch, **others)
    facts = {"n_train": train.size, "n_test": test.size, "n_genes": adata.n_vars}
    facts["test_sha256"] = matrix_sha256(held_out.X)
    if "set_to_zero" in adata.obs:
        facts["set_to_zero"] = float(adata.obs["set_to_zero"].mean())

    scores = {"share_of_zeros": 1 - adata.X.nnz / np.prod(adata.shape)}
    if hasattr(fitted, "marginal_loglik"):
        marginal, error = held_out_marginal(fitted, held_out.X, held_out.batch, seeds.fit)
        scores["loglik_marginal"] = nats_per_cell(loglik=marginal)
        facts["marginal_error"] = monte_carlo_error(standard_error=error)
        facts["marginal_error_largest"] = float(np.max(error))

    n = max(2, min(train.size, MAX_VALUES // (N_DRAWS * adata.n_vars)))
    X, batch = cells.X[:n], None if cells.batch is None else cells.batch[:n]
    if has_dropout(fitted):
        scores["mean_dropout"] = float(fitted.dropout_probability(X, batch=batch).mean(dtype=np.float64))
    drawn = [gene_statistics(draw) for draw in fitted.sample(X, N_DRAWS, batch=batch)]
    observed, arrays = gene_statistics(X.toarray()), {}
    for name, values in observed.items():
        distances = [ks_distance(observed=values, drawn=each[name]) for each in drawn]
        scores[f"ks_{name}"] = float(np.mean(distances))
        arrays |= {f"observed_{name}": values.astype(np.float32), f"drawn_{name}": drawn[0][name].astype(np.float32)}
    return scores, arrays, facts | {"n_checked": n}


def has_dropout(fitted):
    """Whether a fitted model says of an entry that it was dropped: scVI with zero inflation does."""
    return hasattr(fitted, "dropout_probability") and getattr(fitted, "likelihood", "") == "zinb"


def _parts(adata):
    return list(dict.fromkeys(adata.obs["lam"].astype(str))) if "lam" in adata.obs else [ALL]


def _part(adata, lam):
    """The cells of a part and their most variable genes, in the order of the data; cells without a count are gone."""
    if lam != ALL:
        adata = adata[(adata.obs["lam"].astype(str) == lam).to_numpy()]
    X = adata.X
    if adata.n_vars > N_GENES:
        mean = np.asarray(X.mean(axis=0)).ravel()
        variance = np.asarray(X.astype(np.float64).power(2).mean(axis=0)).ravel() - mean**2
        adata = adata[:, np.sort(np.argsort(-variance, kind="stable")[:N_GENES])]
    return adata[np.diff(adata.X.indptr) > 0].copy()
