"""How fast `scvi_core` is beside scvi-tools, in one run: both train in turns, an epoch each, on the same cores.

One cell is one model at one shape of the counts on one number of threads. Whether the two reach the same bound in the
same epochs is measured by the very training that is timed.
"""

import statistics

from scvi_core.bench.counts import simulate

from . import peers
from .scores import ELBO, Score
from .tasks.split import train_test

REQUIRES = "fit"
prepare = peers.prepare
SCORES = {  # nothing in the paper: its times are of another machine and another program
    "cells_per_s": Score(
        "training (cells per second)", "higher", formula="cells over the median seconds of an epoch, the first left out"
    ),
    "ratio_vs_scvi_tools": Score(
        "training, times as fast as scvi-tools", "higher", formula="ours over theirs, both in cells per second"
    ),
    "gemm_share": Score(
        "training, share of the limit of matrix products",
        "higher",
        formula="cells per second over those that the large matrix products alone would allow in the same rounds",
    ),
    "elbo": ELBO,
    "elbo_scvi_tools": ELBO._replace(label=f"{ELBO.label}, scvi-tools"),
    "first_epoch_ratio": Score(
        "import and first epoch, times as fast", "higher", formula="seconds of theirs over ours, import included"
    ),
    **{
        f"{what}_ratio": Score(f"{words}, times as fast", "higher", formula="median seconds of theirs over ours")
        for what, words in {
            "loglik": "importance-weighted likelihood",
            "compare": "Bayes factors",
            "latent": "latent positions",
            "impute": "imputation",
        }.items()
    },
    "memory_share": Score(
        "peak memory, share of that of scvi-tools", "lower", formula="peak memory of ours over theirs"
    ),
}
ROUNDS = 5  # of each question to a trained model
FEW = 500  # held-out cells, of simulated counts
LOGLIK_ENTRIES = 1_000_000  # counts whose importance-weighted likelihood is timed
QUESTIONS = {"compare": {"n_groups": 8, "n_draws": 5000}, "latent": {}, "impute": {}}


def evaluate(method, adata, protocol, seeds, *, shape, threads, peer):
    """Train ``method.n_epochs`` epochs on both programs in turns, then put the same questions to both.

    Parameters
    ----------
    method : SCVI
        Unfitted. Batches are not used: the two programs give them to different layers.
    adata : AnnData
    protocol : mapping
        ``split`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds
    shape : str
        ``"dataset"`` for the counts of ``adata``, or cells x genes : share of non-zero entries, simulated.
    threads : int
    peer : str
        ``"missing"`` where only our numbers can be had.

    Returns
    -------
    scores : dict
        Medians over the epochs but the first, in which things are loaded and compiled; of the questions over
        ``ROUNDS``. A ratio is how many times faster ours is; ``memory_share`` is our peak over theirs, and
        ``gemm_share`` the share of the processor's limit on matrix products in the same rounds that training uses.
    arrays : dict
    facts : dict
        Sizes, seconds, the limit; ``cpu_ratio_vs_scvi_tools`` and others, which compare processor times: a busy machine
        hardly changes them.
    """
    X, heldout = _counts(adata, protocol, seeds, shape)
    few = min(heldout.shape[0], max(2, LOGLIK_ENTRIES // X.shape[1]))
    questions = QUESTIONS | {"loglik": {"n_cells": few, "n_samples": 100}}
    names = ["ours"] if peer == "missing" else ["ours", peers.PEER]
    with peers.side_by_side(names, method, X, heldout, n_threads=threads, pinned=True) as (programs, loading):
        products = []
        epochs = peers.train_in_turns(programs, method, lambda: products.append(programs[0].ask("gemm_peak")["result"]))
        trained = {program.name: program.ask("elbo") for program in programs}
        answers = {what: peers.ask_in_turns(programs, ROUNDS, what, **how) for what, how in questions.items()}
    first = {name: loading[name] + epochs[name][0]["seconds"] for name in names}
    timed = {name: given[1:] for name, given in epochs.items()}
    rate = {name: X.shape[0] / _median(given, "seconds") for name, given in timed.items()}
    limit = statistics.median(each["peak"] for each in products) / products[0]["per_cell"]
    scores = {
        "cells_per_s": rate["ours"],
        "gemm_share": rate["ours"] / limit,
        "elbo": trained["ours"]["result"],
    }
    facts = {
        "n_cells": X.shape[0],
        "n_genes": X.shape[1],
        "density": X.nnz / (X.shape[0] * X.shape[1]),
        "n_rounds": len(timed["ours"]),
        "n_loglik_cells": few,
        "gemm_limit_cells_per_s": limit,
        "first_epoch_seconds": first["ours"],
        "memory_mb": trained["ours"]["memory_mb"],
    }
    facts |= {f"{what}_seconds": _median(given["ours"], "seconds") for what, given in answers.items()}
    if peers.PEER in names:
        scores |= {
            "ratio_vs_scvi_tools": rate["ours"] / rate[peers.PEER],
            "elbo_scvi_tools": trained[peers.PEER]["result"],
            "first_epoch_ratio": first[peers.PEER] / first["ours"],
            "memory_share": trained["ours"]["memory_mb"] / trained[peers.PEER]["memory_mb"],
        }
        scores |= {f"{what}_ratio": _ratio(given, "seconds") for what, given in answers.items()}
        facts |= {"cells_per_s_scvi_tools": rate[peers.PEER], "cpu_ratio_vs_scvi_tools": _ratio(timed, "cpu_seconds")}
        facts |= {f"{what}_cpu_ratio": _ratio(given, "cpu_seconds") for what, given in answers.items()}
    return scores, {}, facts


def _counts(adata, protocol, seeds, shape):
    """Counts to train on and counts held out."""
    if shape == "dataset":
        train, test = train_test(adata, protocol, seeds)
        return adata.X[train], adata.X[test]
    size, density = shape.split(":")
    n_cells, n_genes = map(int, size.split("x"))
    X, _ = simulate(n_cells + FEW, n_genes, float(density), n_batches=1, seed=seeds.split)
    return X[:n_cells], X[n_cells:]


def _median(answers, what):
    return statistics.median(answer[what] for answer in answers)


def _ratio(answers, what):
    return _median(answers[peers.PEER], what) / _median(answers["ours"], what)
