"""Likelihood of held-out cells: Table 1 and Fig 9a (paper, sections 2.4 and 4.7, Appendices C to F)."""

import copy
import hashlib

import numpy as np

from .metrics.likelihood import monte_carlo_error, nats_per_cell
from .scores import LOGLIK_MARGINAL, Score
from .tasks.data import take
from .tasks.hashes import matrix_sha256
from .tasks.library import library_from
from .tasks.skipped import NotApplicable
from .tasks.split import train_test

REQUIRES = "loglik"
TABLE_1 = [
    {"metric": "heldout_loglik_per_cell", "n_train_cells": "{n_train_cells}"},
    {"metric": "heldout_neg_loglik_per_cell", "n_train_cells": "{n_train_cells}", "sign": -1},  # Fig 9a
]
SCORES = {
    "loglik": Score(
        "held-out log-likelihood, own quantity (nats per cell)",
        "higher",
        TABLE_1,
        formula=r"mean over held-out cells of what the paper reports for the method: the bound (scVI), the log of a "
        "density (FA), the expected complete log-likelihood (ZIFA), the conditional one (ZINB-WaVE)",
    ),
    "loglik_tuned": Score(
        "held-out log-likelihood, encoder tuned (nats per cell)",
        "higher",
        TABLE_1,
        formula="the same after the encoder was optimised on the held-out cells (Appendix F)",
    ),
    "loglik_marginal": LOGLIK_MARGINAL,
}
PROPOSAL_EPOCHS = 100  # on the held-out cells, of the encoder that sampling the marginal starts from


def evaluate(method, adata, protocol, seeds, *, n_train_cells):
    """Fit to training cells and ask how likely held-out cells are.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``loglik``; ``marginal_loglik`` and ``tune_encoder`` are used where it has them.
    adata : AnnData
        Counts in ``X``; ``obs["batch"]`` is handed to the method where it is there.
    protocol : mapping
        ``split`` and ``likelihood`` of conf/protocol/, and of ``scvi`` what `tasks.library` reads.
    seeds : experiments.loop.job.Seeds
    n_train_cells : int or "all"
        The first so many training cells; the held-out cells are the same at every size.

    Returns
    -------
    scores : dict
        Nats per cell on the count scale: ``loglik``, the quantity that the paper reports for this method (the exact
        marginal of FA, the bound of scVI, the expected complete log-likelihood of ZIFA, the conditional one of
        ZINB-WaVE); ``loglik_tuned``, the same after the encoder was optimised on the held-out cells (Appendix F);
        ``loglik_marginal``, the probability of the counts with all latent variables of a cell integrated out, which
        can be compared between methods: a density of log counts becomes that of the values that round to the count
        (that of scVI is sampled from distributions fitted to the posterior of each cell, which start from an encoder
        tuned on these cells whatever the protocol tunes). Where a cell's own error, ``marginal_error_largest``, is
        above about 0.3 nats its value is too low by an unknown amount.
    arrays : dict
        ``loglik`` and ``loglik_marginal`` of each held-out cell.
    facts : dict
        Sizes; hash of the held-out counts, equal for all methods of one seed; ``marginal_error``, the Monte Carlo
        error of the mean, and ``marginal_error_largest``, that of the cell where it is largest; hashes of the
        generative part before and after tuning.

    Raises
    ------
    NotApplicable
    """
    choices = protocol["likelihood"]
    train, test = train_test(adata, protocol, seeds)
    all_train = train
    if n_train_cells != "all":
        if n_train_cells > train.size:
            raise NotApplicable(f"{n_train_cells:,} training cells were asked for and the data have {train.size:,}.")
        train = train[:n_train_cells]
    if choices["test_cells"] == "at_most_train":
        test = test[: train.size]
    _, X, batch, _ = take(adata, train)
    others = library_from(method, adata, protocol, train, all_train)
    fitted = method.fit(X, batch=batch, **others)
    _, X, batch, _ = take(adata, test)

    arrays = {"loglik": np.asarray(fitted.loglik(X, batch=batch), dtype=np.float64)}
    scores = {"loglik": nats_per_cell(loglik=arrays["loglik"])}
    facts = {"n_train": train.size, "n_test": test.size, "n_genes": adata.n_vars, "test_sha256": matrix_sha256(X)}
    proposal = fitted
    if hasattr(fitted, "tune_encoder"):
        tuned = _tuned(fitted, X, batch, choices)
        facts |= _frozen(fitted, tuned, choices["tuned_part"])
        scores["loglik_tuned"] = nats_per_cell(loglik=tuned.loglik(X, batch=batch))
        best_of_enough = choices["tuning_rule"] == "best" and choices["tuning_epochs"] >= PROPOSAL_EPOCHS
        serves = choices["tuned_part"] == "encoder" and best_of_enough
        proposal = tuned if serves else fitted.tune_encoder(X, batch, n_epochs=PROPOSAL_EPOCHS)
    if hasattr(fitted, "marginal_loglik"):
        marginal, error = proposal.marginal_loglik(X, batch=batch, random_state=seeds.fit)
        arrays["loglik_marginal"] = marginal
        scores["loglik_marginal"] = nats_per_cell(loglik=marginal)
        facts["marginal_error"] = monte_carlo_error(standard_error=error)
        facts["marginal_error_largest"] = float(np.max(error))
    return scores, arrays, facts


def _tuned(fitted, X, batch, choices):
    """A copy that has seen the held-out cells: its encoder or, as the authors' code has it, the whole model.

    That is trained as on the training cells, with a warm-up that starts anew and the moments that Adam has.
    """
    if choices["tuned_part"] == "encoder":
        return fitted.tune_encoder(X, batch, n_epochs=choices["tuning_epochs"], rule=choices["tuning_rule"])

    def from_zero(epoch):
        return fitted.kl_weight(epoch - fitted.n_epochs)

    n_epochs = fitted.n_epochs + choices["tuning_epochs"]
    tuned = copy.deepcopy(fitted).set_params(warm_start=True, n_epochs=n_epochs, kl_schedule=from_zero)
    return tuned.fit(X, batch=batch)


def _frozen(before, after, part):
    """Hashes of the generative part; raises where tuning the encoder has changed it."""
    hashes = [_generative_hash(method.network_) for method in (before, after)]
    if part == "encoder" and len(set(hashes)) > 1:
        raise RuntimeError("Tuning the encoder on held-out cells changed the generative part of the model.")
    return {"generative_sha256": hashes[0], "generative_sha256_tuned": hashes[1]}


def _generative_hash(network):
    """Of all that p(x, z, l | s) is made of: decoder with its batch statistics, dispersion, prior of l."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not name.startswith("encoder_"):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
