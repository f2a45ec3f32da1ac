"""How far results depend on latent dimension, initialisation and length of training: Fig 14 (paper, section 3)."""

import numpy as np
from sklearn.base import clone

from .imputation import hide
from .metrics.clustering import can_be_scored, label_scores
from .metrics.imputation import median_l1
from .tasks.outputs import check_latent
from .tasks.split import train_test

REQUIRES = "impute"
AT = {"n_latent": "{n_latent}"}
PUBLISHED = {
    "median_l1": {"metric": "median_L1_uniform"} | AT,
    "asw": {"metric": "ASW"} | AT,
    "ari": {"metric": "ARI"} | AT,
    "nmi": {"metric": "NMI"} | AT,
    "training_objective": "train_minibatch_neg_elbo_final",
    "heldout_objective": "heldout_objective",
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
        ``split``, ``corruption`` and ``imputation`` of conf/protocol/.
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
    epochs, errors = _imputation(clone(method), task, watched)
    scores, arrays = {"median_l1": errors[-1]}, {}
    if watched:
        arrays = {"epochs": epochs, "median_l1": np.array(errors)}

    labelled = "label" in adata.obs and hasattr(method, "latent")
    if labelled or watched:
        train, test = train_test(adata, protocol, seeds)
        fitted, objective = _fit(clone(method), adata, train, test, watched)
        arrays |= objective
        scores |= {f"{name}_objective": float(values[-1]) for name, values in objective.items()}
        labels = adata.obs["label"].astype(str).to_numpy()[train] if labelled else []
        if can_be_scored(labels):
            X, batch = _cells(adata, train)
            latent = check_latent(fitted.latent(X, batch=batch), n_cells=len(train))
            scores |= label_scores(latent=latent, labels=labels, seed=seeds.split)
    return scores, arrays, task.facts


def _is_trained(method):
    """Whether the method is trained by epochs, can go on from where it was, and can watch held-out cells (scVI)."""
    return {"n_epochs", "warm_start", "early_stopping", "n_latent"} <= set(method.get_params())


def _imputation(method, task, watched):
    """Epochs looked at (one, 0, for a method that is not watched) and the imputation error after each."""
    given = task.given(method)
    epochs = [0]
    if watched:
        epochs = np.unique(np.geomspace(1, method.n_epochs, N_LOOKS).round().astype(int))
    errors = []
    for epoch in epochs:
        if watched:
            method.set_params(warm_start=True, n_epochs=int(epoch))
        imputed = task.imputed_by(method.fit(given, batch=task.batch))
        errors.append(median_l1(original=task.original, imputed=imputed))
    return np.asarray(epochs), errors


def _fit(method, adata, train, test, watched):
    """The method fitted to the training cells; minus its objective by epoch, on them and on the test cells."""
    X, batch = _cells(adata, train)
    if not watched:
        return method.fit(X, batch=batch), {}
    # A patience beyond the last epoch: held-out cells are looked at, and nothing is stopped or put back.
    method.set_params(early_stopping="authors", patience=method.n_epochs + 1)
    history = method.fit(X, batch=batch, validation=_cells(adata, test)).history_
    return method, {
        "training": history["loss"].to_numpy(dtype=float),
        "heldout": history["validation_loss"].to_numpy(dtype=float),
    }


def _cells(adata, rows):
    return adata.X[rows], adata.obs["batch"].to_numpy()[rows] if "batch" in adata.obs else None


def figure(table, records):
    """Return {name: Figure}: the scores over the latent dimension, and the training of the methods that were watched.

    Parameters
    ----------
    table : pandas.DataFrame
        Summary over seeds (experiments.report.table.summarise).
    records : pandas.DataFrame
        One row per finished cell, with its ``arrays``.
    """
    import pandas as pd

    from .metrics.registry import METRICS
    from .plots.curves import Panel, line_panels
    from .plots.style import colour
    from .plots.words import span, spread_of

    first = records.iloc[0]
    seeds = records["seed"].nunique()
    common = f"{first['dataset']}, protocol {first['protocol']}, n\xa0= {seeds} seed{'s' * (seeds > 1)}, "
    common += f"{span(records['n_cells'].tolist())} training cells, uniform corruption"
    colours = {row.label: colour(row.label, row.role) for row in records.itertuples()}

    columns = {"score": "panel", "label": "line", "n_latent": "x", "mean": "y", "ci_low": "low", "ci_high": "high"}
    shown = table[table["score"].isin(["median_l1", "asw", "ari", "nmi"]) & (table["n_seeds"] > 0)]
    data = shown.rename(columns=columns)[[*columns.values(), "published"]]
    ticks = tuple(sorted(data["x"].unique()))
    figures = {
        "dimension": line_panels(
            data,
            {score: Panel("latent dimensions", METRICS[score].title, ticks) for score in data["panel"].unique()},
            {label: {"color": c, "linestyle": "-", "marker": "o", "markersize": 3} for label, c in colours.items()},
            title="Fig 14a, d: results over the latent dimension",
            caption=f"{common}. {spread_of(shown, 'Point')}",
        )
    }

    watched = records[[len(arrays) > 0 for arrays in records["arrays"]]]
    if len(watched):
        data = pd.concat([_curves(rows) for _, rows in watched.groupby("label", sort=False)], ignore_index=True)
        labels = watched["label"].unique()
        looks = {f"{label}, training": {"color": colours[label], "linestyle": "-"} for label in labels}
        looks |= {f"{label}, held-out cells": {"color": colours[label], "linestyle": ":"} for label in labels}
        looks |= {f"{label}, hidden entries": {"color": colours[label], "linestyle": "--"} for label in labels}
        ticks = tuple(n for n in (2, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= data["x"].max())
        panels = {
            "objective": Panel("epoch", "objective (nats per cell)", ticks, log=True),
            "median_l1": Panel("epoch", METRICS["median_l1"].title, ticks, log=True),
        }
        spread = "From the second epoch on."
        if seeds > 1:
            spread = "Line: mean over seeds, from the second epoch on; band: lowest and highest seed."
        figures["training"] = line_panels(
            data,
            panels,
            looks,
            title="Fig 14b, c: the course of training",
            caption=f"{common}. {spread} Objective: minus the bound, its KL terms with the weight of the epoch.",
        )
    return figures


def _curves(rows):
    """The curves of one method: per epoch the mean over seeds, the lowest and the highest."""
    import pandas as pd

    frames = []
    for panel, line, name in (
        ("objective", "training", "training"),
        ("objective", "held-out cells", "heldout"),
        ("median_l1", "hidden entries", "median_l1"),
    ):
        values = np.stack([arrays[name] for arrays in rows["arrays"]])  # (seeds, epochs)
        arrays = rows.iloc[0]["arrays"]
        epochs = arrays["epochs"] if name == "median_l1" else 1 + np.arange(values.shape[1])
        frame = {"x": epochs, "y": values.mean(axis=0), "low": values.min(axis=0), "high": values.max(axis=0)}
        frames.append(pd.DataFrame({"panel": panel, "line": f"{rows.iloc[0]['label']}, {line}", **frame}))
    return pd.concat(frames).query("x > 1").assign(published=np.nan)
