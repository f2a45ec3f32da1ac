"""Bayesian differential expression (paper, 2.7 and 4.3)."""

import math

import numpy as np
import torch

from .data.counts import InvalidCounts
from .data.minibatch import Cells
from .defaults import torch_defaults
from .estimator import check_choice, check_integer

ENTRIES = 4_000_000  # decoded frequencies held at once


class Differential:
    """Differential expression with a fitted `SCVI`."""

    def compare(
        self,
        X,
        group_a,
        group_b,
        batch=None,
        *,
        bayes_factor="pooled",
        n_pairs=100,
        n_samples=50,
        batch_average="probability",
    ):
        """Bayes factors of rho_a > rho_b against rho_a <= rho_b, gene by gene (paper, 2.7 and 4.3).

        Parameters
        ----------
        X, batch
            Counts and batch labels of all cells.
        group_a, group_b : arrays of bool, shape (n_cells,)
        bayes_factor : {"pooled", "per_pair"}
            The log-odds of the probability over all pairs and draws (the authors' code), or the average of the pairs'
            own log-odds (the text). The latter is at most log(2 n_samples + 1) in size.
        n_pairs, n_samples : int
            Random pairs of cells, drawn with replacement, and posterior draws of each.
        batch_average : {"probability", "rate"}
            See `compare_pairs`; the same where there is one batch.

        Returns
        -------
        pandas.DataFrame
            One row per gene: ``score``, the size of ``bayes_factor`` (natural logarithm; above 3 is strong evidence),
            ``log_fold_change`` (mean of log2 rho_a / rho_b), ``probability`` of rho_a > rho_b.
        """
        check_choice("compare", "bayes_factor", bayes_factor, ("pooled", "per_pair"))
        check_choice("compare", "batch_average", batch_average, ("probability", "rate"))
        check_integer("compare", "n_pairs", n_pairs, 1)
        check_integer("compare", "n_samples", n_samples, 1)
        cells = self._cells(X, batch)
        result = compare_pairs(
            self,
            cells,
            _rows_of(group_a, len(cells), "group_a"),
            _rows_of(group_b, len(cells), "group_b"),
            n_pairs=n_pairs,
            n_samples=n_samples,
            batches=batch_average,
            generator=self._generator(),
        )
        return _table(result, bayes_factor, self.gene_names_)


@torch_defaults()
def compare_pairs(model, cells, group_a, group_b, *, n_pairs, n_samples, batches, generator):
    """Compare the frequencies rho of two groups of cells over random pairs of cells, one from each.

    For each pair ``n_samples`` draws of (z_a, z_b) are decoded. The counts of rho_a > rho_b are summed as they come, a
    few pairs at a time: nothing of size cells × samples × genes is held.

    Parameters
    ----------
    cells : Cells
    group_a, group_b : arrays of row numbers
    batches : {"probability", "rate"}
        Where the average over batches stands: sum_s p(s) P(rho(z_a, s) > rho(z_b, s)), as the paper computes it, or
        P(sum_s p(s) rho(z_a, s) > sum_s p(s) rho(z_b, s)), as it states the hypotheses. The first is estimated with
        draws (z_a, z_b, s): the draws of a pair are shared out to the batches in proportion to p(s).

    Returns
    -------
    dict of arrays (n_genes,)
        ``probability`` of rho_a > rho_b over all pairs and draws; ``pooled``, the logarithm of its odds; ``per_pair``,
        the mean over pairs of the log-odds within a pair; ``log2_fold_change``, the mean of log2(rho_a / rho_b). The
        shares behind the odds are (count + 1/2) / (trials + 1), so that none is infinite.
    """
    network, frequency = model.network_, model.batch_frequency_
    device = cells.device
    a = group_a[torch.randint(len(group_a), (n_pairs,), generator=generator, device=device).cpu().numpy()]
    b = group_b[torch.randint(len(group_b), (n_pairs,), generator=generator, device=device).cpu().numpy()]
    n_genes = cells.X.shape[1]
    wins, per_pair, fold = (torch.zeros(n_genes, dtype=torch.float64, device=device) for _ in range(3))
    if batches == "rate" and len(frequency) > 1:
        contrast = Contrast(lambda z, codes: _average_log_rho(network, z, frequency))
    else:
        contrast = model._answers(cells).contrast
    mean, sd = _posteriors(model, cells, np.concatenate([a, b]))
    q_a, q_b = (mean[:n_pairs], sd[:n_pairs]), (mean[n_pairs:], sd[n_pairs:])
    for pairs in torch.arange(n_pairs, device=device).split(max(1, ENTRIES // (n_genes * n_samples))):
        z_a, z_b = (_positions(mean[pairs], sd[pairs], n_samples, generator) for mean, sd in (q_a, q_b))
        codes = _share_out(frequency, len(pairs), n_samples, generator)
        counts, differences = contrast(z_a, z_b, codes, n_samples)
        wins += counts.sum(dim=0)
        fold += differences
        per_pair += _log_odds(counts, n_samples).sum(dim=0)
    trials = n_pairs * n_samples
    result = {
        "probability": wins / trials,
        "pooled": _log_odds(wins, trials),
        "per_pair": per_pair / n_pairs,
        "log2_fold_change": fold / (trials * math.log(2)),
    }
    return {name: values.cpu().numpy() for name, values in result.items()}


def _table(result, bayes_factor, gene_names):
    """The result of `compare_pairs` as a data frame, one row per gene in the order of the counts."""
    import pandas as pd

    return pd.DataFrame(
        {
            "score": np.abs(result[bayes_factor]),
            "bayes_factor": result[bayes_factor],
            "log_fold_change": result["log2_fold_change"],
            "probability": result["probability"],
        },
        index=pd.RangeIndex(len(result["pooled"]), name="gene")
        if gene_names is None
        else pd.Index(gene_names, name="gene"),
    )


def _rows_of(group, n_cells, name):
    """Row numbers of a boolean mask over the cells."""
    group = np.asarray(group)
    if group.dtype != bool or group.shape != (n_cells,):
        raise InvalidCounts(
            f"{name} is {group.dtype} of shape {group.shape}: pass one True or False per cell ({n_cells})."
        )
    if not group.any():
        raise InvalidCounts(f"{name} selects no cell: choose at least one.")
    return np.flatnonzero(group)


def _posteriors(model, cells, rows):
    """Mean and standard deviation of q(z | x, s) for the cells in the given rows, each (rows, n_latent)."""
    chosen = Cells(cells.X[rows], cells.batch.cpu()[rows], cells.device)
    q = [(q.z_mean, q.z_logvar) for _, q, _, _ in model._answers(chosen).encoded(library=False)]
    mean, logvar = (torch.cat(parts) for parts in zip(*q, strict=True))
    return mean, (0.5 * logvar).exp()


def _positions(mean, sd, n_samples, generator):
    """Draws of z, cell by cell: (cells * n_samples, n_latent)."""
    shape = (len(mean), n_samples, mean.shape[1])
    eps = torch.randn(shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return (mean[:, None] + sd[:, None] * eps).flatten(0, 1)


class Contrast:
    """Compares the frequencies at pairs of draws; ``log_rho(z, codes)`` decodes them."""

    def __init__(self, log_rho):
        self.log_rho = log_rho

    def __call__(self, z_a, z_b, codes, n_samples):
        """Per pair the number of draws with rho_a > rho_b (pairs, genes); the sum of log rho_a / rho_b (genes,)."""
        log_a, log_b = self.log_rho(z_a, codes), self.log_rho(z_b, codes)
        counts = (log_a > log_b).unflatten(0, (-1, n_samples)).sum(dim=1).to(log_a.dtype)
        return counts, (log_a - log_b).sum(dim=0)


def _average_log_rho(network, z, frequency):
    """log sum_s p(s) rho(z, s), (draws, genes)."""
    each = [network.log_rho(z, torch.full((len(z),), code, device=z.device)) for code in range(len(frequency))]
    return torch.stack([log_rho + math.log(p) for log_rho, p in zip(each, frequency, strict=True)]).logsumexp(dim=0)


def _share_out(frequency, n_pairs, n_samples, generator):
    """Batch codes of the draws, (n_pairs * n_samples,): of each pair in proportion to the frequency, unbiased."""
    steps = torch.arange(n_samples, device=generator.device)
    start = torch.rand(n_pairs, 1, generator=generator, device=generator.device)  # systematic sampling
    ends = torch.as_tensor(frequency, dtype=torch.float32, device=generator.device).cumsum(0)[:-1]
    return torch.bucketize((steps + start) / n_samples, ends, right=True).flatten()


def _log_odds(count, trials):
    return ((count + 0.5) / (trials - count + 0.5)).log()
