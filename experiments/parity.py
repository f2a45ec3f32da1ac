"""Whether `scvi_core` learns what scvi-tools learns: same cells, settings, initial weights, schedule and epochs."""

import numpy as np

from . import peers
from .metrics.clustering import label_scores
from .scores import ELBO, OF_LABELS, Score
from .tasks.split import train_test

REQUIRES = "fit"
prepare = peers.prepare
N_STEPS = 100  # with the same noise; beyond some hundreds rounding has grown into another path
SCORES = {  # a comparison of programs, of which the paper has none
    "step_difference": Score(
        "losses of the same steps, largest difference (ppm)",
        "lower",
        formula=r"$10^6 \max_t |L_t / L'_t - 1|$ over 100 steps on the same cells with the same noise",
    ),
    "elbo": ELBO,
    "elbo_scvi_tools": ELBO._replace(label=f"{ELBO.label}, scvi-tools"),
    "difference_percent": Score(
        "bound, percent above that of scvi-tools", "higher", formula="$100 (B - B') / |B'|$ of the two bounds"
    ),
    **OF_LABELS,
    **{f"{name}_scvi_tools": s._replace(label=f"{s.label}, scvi-tools") for name, s in OF_LABELS.items()},
}


def evaluate(method, adata, protocol, seeds, *, peer):
    """Train both programs on the training cells and compare what they say of the others.

    Parameters
    ----------
    method : SCVI
        Unfitted. Batches are not used: the two programs give them to different layers.
    adata : AnnData
    protocol : mapping
        ``split`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds
    peer : str
        From `peers.prepare`; ``"missing"`` raises PeerMissing.

    Returns
    -------
    scores : dict
        ``step_difference``, parts per million, the largest difference between the losses of `N_STEPS` steps on the
        same cells with the same noise: rounding. Then, after a training in which each program draws its own noise,
        ``elbo`` and ``elbo_scvi_tools``, nats per held-out cell, each by its own program; ``difference_percent`` of the
        first from the second, positive where ours is better; where the cells have labels, the scores of a k-means of
        the training cells' latent positions against them, for both.
    arrays : dict
    facts : dict
    """
    if peer == "missing":
        raise peers.PeerMissing("There is nothing to compare with: run once with peers=install.")
    train, test = train_test(adata, protocol, seeds)
    with peers.side_by_side(["ours", peers.PEER], method, adata.X[train], adata.X[test]) as (programs, _):
        noise = str(programs[0].folder / "noise.npz")
        losses = [np.array(program.ask("steps", n_steps=N_STEPS, noise=noise)["result"]) for program in programs]
        peers.train_in_turns(programs, method)
        ours, theirs = (program.ask("elbo")["result"] for program in programs)
        latent = [program.array("latent") for program in programs]
    scores = {
        "step_difference": 1e6 * float(np.max(np.abs(losses[0] / losses[1] - 1))),
        "elbo": ours,
        "elbo_scvi_tools": theirs,
        "difference_percent": 100 * (ours - theirs) / abs(theirs),
    }
    if "label" in adata.obs:
        labels = adata.obs["label"].to_numpy()[train]
        for suffix, positions in zip(("", "_scvi_tools"), latent, strict=True):
            found = label_scores(latent=positions, labels=labels, seed=seeds.split)
            scores |= {f"{name}{suffix}": value for name, value in found.items()}
    return scores, {}, {"n_cells": len(train), "n_heldout_cells": len(test), "n_genes": adata.n_vars}
