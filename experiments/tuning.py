"""scVI with default and with tuned settings: the authors' study of it after the paper (published on 2019-07-05)."""

import numpy as np
from sklearn.base import clone

from .metrics.imputation import cell_medians, median_l1
from .metrics.likelihood import monte_carlo_error, nats_per_cell
from .scores import ELBO, LOGLIK_MARGINAL, MEDIAN_L1, Score
from .tasks.data import take
from .tasks.hashes import matrix_sha256
from .tasks.hidden import hide
from .tasks.library import library_from
from .tasks.marginal import held_out_marginal
from .tasks.split import train_test

REQUIRES = "marginal_loglik"
SCORES = {
    "loglik_marginal": LOGLIK_MARGINAL._replace(
        published={"metric": "heldout_neg_marginal_loglik_per_cell", "sign": -1}
    ),
    "elbo": ELBO._replace(published={"metric": "heldout_neg_elbo_per_cell", "sign": -1}),
    "elbo_training": Score(
        "bound of training cells (nats per cell)",
        "higher",
        {"metric": "train_neg_elbo_per_cell", "sign": -1},
        formula="the same mean over the cells that the model was fitted to",
    ),
    "median_of_cell_medians": Score(
        "median over cells of their median |imputed − original| (counts)",
        "lower",
        "imputation_median_of_cell_median_abs_error",
        formula=r"median over cells $n$ of the median of $|\hat x_{ng} - x_{ng}|$ over the hidden entries of $n$",
    ),
    "mean_of_cell_medians": Score(
        "mean over cells of their median |imputed − original| (counts)",
        "lower",
        "imputation_mean_of_cell_median_abs_error",
        formula=r"mean over cells $n$ of the median of $|\hat x_{ng} - x_{ng}|$ over the hidden entries of $n$",
    ),
    "median_l1": MEDIAN_L1,
}


def evaluate(method, adata, protocol, seeds):
    """Fit to training cells, and to the same with some of their counts hidden; score both as the authors did.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``marginal_loglik``; ``impute`` is used where it has it.
    adata : AnnData
        Counts in ``X``; ``obs["batch"]`` is handed to the method where it is there.
    protocol : mapping
        ``split``, ``corruption`` and ``imputation`` of conf/protocol/, and of ``scvi`` what `tasks.library` reads.
    seeds : experiments.loop.job.Seeds

    Returns
    -------
    scores : dict
        Nats per cell: ``loglik_marginal`` of the held-out cells, and of scVI its bound with full weight of the KL on
        them and on the training cells, ``elbo`` and ``elbo_training``. Counts, of training cells some of whose entries
        were set to zero: the median and the mean over cells of the cell's own median error,
        ``median_of_cell_medians`` and ``mean_of_cell_medians``, as the authors' later program has it, and over all
        entries, as the paper, ``median_l1``. Cells without a hidden entry are left out.
    arrays : dict
        None.
    facts : dict
        Sizes; hashes of the held-out counts and of the corrupted ones; Monte Carlo errors of the likelihood.
    """
    train, test = train_test(adata, protocol, seeds)
    cells, held_out = take(adata, train), take(adata, test)
    fitted = clone(method).fit(cells.X, batch=cells.batch, **library_from(method, adata, protocol, train))
    marginal, error = held_out_marginal(fitted, held_out.X, held_out.batch, seeds.fit)
    scores = {"loglik_marginal": nats_per_cell(loglik=marginal)}
    facts = {"n_train": train.size, "n_test": test.size, "test_sha256": matrix_sha256(held_out.X)}
    facts["marginal_error"] = monte_carlo_error(standard_error=error)
    facts["marginal_error_largest"] = float(np.max(error))
    if hasattr(fitted, "tune_encoder"):  # what it calls its likelihood is a bound
        scores["elbo"] = nats_per_cell(loglik=fitted.loglik(held_out.X, batch=held_out.batch))
        scores["elbo_training"] = nats_per_cell(loglik=fitted.loglik(cells.X, batch=cells.batch))
    if not hasattr(method, "impute"):
        return scores, {}, facts

    task = hide(adata, protocol, seeds, "uniform")
    others = library_from(method, adata, protocol, task.training)
    imputed = task.imputed_by(clone(method).fit(task.given(method), batch=task.batch, **others))
    of_cells = cell_medians(original=task.original, imputed=imputed, rows=task.rows)
    scores["median_of_cell_medians"] = float(np.median(of_cells))
    scores["mean_of_cell_medians"] = float(np.mean(of_cells))
    scores["median_l1"] = median_l1(original=task.original, imputed=imputed)
    return scores, {}, facts | task.facts
