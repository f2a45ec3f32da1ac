"""How far results depend on latent dimension, initialisation and length of training: Fig 14 (paper, section 3)."""

import numpy as np
from sklearn.base import clone

from .metrics.clustering import can_be_scored, label_scores
from .metrics.imputation import median_l1
from .scores import MEDIAN_L1, OF_LABELS, Score
from .tasks.data import take
from .tasks.hidden import hide
from .tasks.library import library_from
from .tasks.outputs import check_latent
from .tasks.split import train_test

REQUIRES = "impute"
AT = {"n_latent": "{n_latent}"}
SCORES = {
    "median_l1": MEDIAN_L1._replace(published={"metric": "median_L1_uniform"} | AT),
    **{name: score._replace(published={"metric": name.upper()} | AT) for name, score in OF_LABELS.items()},
    "training_objective": Score(
        "training objective, last epoch (nats per cell)",
        "lower",
        "train_minibatch_neg_elbo_final",
        formula="minus the bound of the minibatches of the last epoch, with its weight of the KL",
    ),
    "heldout_objective": Score(
        "held-out objective, last epoch (nats per cell)",
        "lower",
        formula="minus the bound of the test cells after the last epoch, with the same weight",
    ),
}
N_LOOKS = 20  # epochs at which imputation is looked at, evenly spaced in their logarithm


def evaluate(method, adata, protocol, seeds, *, n_latent):
    """Fit at one latent dimension: impute, cluster and, at the method's own dimension, watch the training.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``impute``. One without ``n_latent`` is the same at every dimension.
    adata : AnnData
        Counts in ``X``; ``obs["batch"]`` is handed to the method and ``obs["label"]`` scored where they are there.
    protocol : mapping
        ``split``, ``corruption`` and ``imputation`` of conf/protocol/, and of ``scvi`` what `tasks.library` reads.
    seeds : experiments.loop.job.Seeds
    n_latent : int

    Returns
    -------
    scores : dict
        ``median_l1`` (counts) under the uniform corruption, the same entries hidden at every dimension; ``asw``,
        ``ari``, ``nmi`` with two labels or more; ``training_objective`` and ``heldout_objective`` (nats per cell) of
        the last epoch, at the method's own dimension.
    arrays : dict
        At that dimension: ``training``, ``heldout`` (n_epochs,), minus the objective of the minibatches and of the
        test cells, both with the KL weight of the epoch; ``epochs``, ``median_l1`` (n_looks,), imputation on the way.
    facts : dict
        Sizes, and the hash of the corrupted matrix.
    """
    watched = _is_trained(method) and method.n_latent == n_latent
    if "n_latent" in method.get_params():
        method.set_params(n_latent=n_latent)
    task = hide(adata, protocol, seeds._replace(corruption=seeds.split), "uniform")
    others = library_from(method, adata, protocol, task.training)
    epochs, errors = _imputation(clone(method), task, watched, others)
    scores, arrays = {"median_l1": errors[-1]}, {}
    if watched:
        arrays = {"epochs": epochs, "median_l1": np.array(errors)}

    labelled = "label" in adata.obs and hasattr(method, "latent")
    if labelled or watched:
        train, test = train_test(adata, protocol, seeds)
        cells = take(adata, train)
        fitted, objective = _fit(clone(method), cells, take(adata, test) if watched else None, others)
        arrays |= objective
        scores |= {f"{name}_objective": float(values[-1]) for name, values in objective.items()}
        if labelled and can_be_scored(cells.label):
            latent = check_latent(fitted.latent(cells.X, batch=cells.batch), n_cells=len(train))
            scores |= label_scores(latent=latent, labels=cells.label, seed=seeds.split)
    return scores, arrays, task.facts


def _is_trained(method):
    """Whether the method is trained by epochs, can go on from where it was, and can watch held-out cells (scVI)."""
    return {"n_epochs", "warm_start", "early_stopping", "n_latent"} <= set(method.get_params())


def _imputation(method, task, watched, others):
    """Epochs looked at (one, 0, for a method that is not watched) and the imputation error after each."""
    given = task.given(method)
    epochs = [0]
    if watched:
        epochs = np.unique(np.geomspace(1, method.n_epochs, N_LOOKS).round().astype(int))
    errors = []
    for epoch in epochs:
        if watched:
            method.set_params(warm_start=True, n_epochs=int(epoch))
        imputed = task.imputed_by(method.fit(given, batch=task.batch, **others))
        errors.append(median_l1(original=task.original, imputed=imputed))
    return np.asarray(epochs), errors


def _fit(method, train, test, others):
    """The method fitted to the training cells; minus its objective by epoch, on them and on test cells if there are."""
    if test is None:
        return method.fit(train.X, batch=train.batch, **others), {}
    # A patience beyond the last epoch: held-out cells are looked at, and nothing is stopped or put back.
    method.set_params(early_stopping="authors", patience=method.n_epochs + 1)
    history = method.fit(train.X, batch=train.batch, validation=(test.X, test.batch), **others).history_
    return method, {
        "training": history["loss"].to_numpy(dtype=float),
        "heldout": history["validation_loss"].to_numpy(dtype=float),
    }
