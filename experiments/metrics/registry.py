"""What each score is called, which direction is better, when it agrees with the published value.

Apart from the functions, so that a new label is no reason to compute anything again.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    """What a score means; its direction is declared here and nowhere else."""

    label: str  # with the unit, as it stands on an axis
    better: str  # "lower", "higher", or "" for what describes a method without ranking it
    tolerance: float = 0.05  # share of the published value, a single run, up to which the report says "reproduced"
    whole: bool = False  # a count, shown without decimals where all of its means are whole

    @property
    def title(self):
        """Label and direction, as on an axis or over a column."""
        return f"{self.label}, {self.better} is better" if self.better else self.label


METRICS = {
    "median_l1": Metric("median |imputed − original| (counts)", "lower"),
    "loglik": Metric("held-out log-likelihood, own quantity (nats per cell)", "higher", 0.002),
    "loglik_tuned": Metric("held-out log-likelihood, encoder tuned (nats per cell)", "higher", 0.002),
    "loglik_marginal": Metric("held-out marginal log-probability (nats per cell)", "higher", 0.002),
    "asw": Metric("silhouette of labels (ASW)", "higher"),
    "ari": Metric("adjusted Rand index (ARI)", "higher"),
    "nmi": Metric("mutual information (NMI)", "higher"),
    "training_objective": Metric("training objective, last epoch (nats per cell)", "lower", 0.002),
    "heldout_objective": Metric("held-out objective, last epoch (nats per cell)", "lower", 0.002),
    "protein_spearman": Metric("Spearman of RNA and protein graphs", "higher"),
    "protein_fold": Metric("fold enrichment of shared edges", "higher"),
    "nb_explains": Metric("share of entries with p(NB | zero) > 0.9", ""),
    "library_correlation": Metric("correlation of log l with log library size", ""),
    "hypergeometric_gap": Metric("mean distance of zeros from the hypergeometric curve", ""),
    "binomial_gap": Metric("mean distance of zeros from the binomial curve", ""),
    "coverage": Metric("share of counts inside the central 90% of their draws", ""),
    "crps": Metric("continuous ranked probability score of the draws (counts)", "lower"),
    "n_cells": Metric("cells", "", tolerance=0.0),
    "n_genes": Metric("genes", "", tolerance=0.0),
    "n_batches": Metric("batches", "", tolerance=0.0),
    "n_labels": Metric("cell types", "", tolerance=0.0),
    "n_train": Metric("training cells", "", tolerance=0.0),
    "n_test": Metric("test cells", "", tolerance=0.0),
    "batch_entropy": Metric("entropy of batch mixing (nats)", "higher"),
    "batch_asw": Metric("silhouette of batches", "lower"),
    "n_clusters": Metric("clusters that SIMLR estimates", "", tolerance=0.0, whole=True),
    "cluster_excess": Metric("silhouette of k-means above that of a Gaussian", ""),
    "kmeans_asw": Metric("silhouette of k-means clusters", ""),
    "graph_components": Metric("pieces of the neighbour graph", "", whole=True),
    "coordinate_r2": Metric("share of the coordinate's variance that neighbours explain", "higher"),
    "auroc": Metric("AUROC against the bulk reference", "higher"),
    "idr_weight": Metric("mixture weight for reproducibility (IDR)", "higher"),
    "idr_rho": Metric("correlation of the reproducible ranks (IDR)", ""),
    "n_detected": Metric("genes called different", ""),
    "null_called": Metric("share of genes called, cells of one group", "lower"),
    "null_p_below": Metric("share of p < 0.05, cells of one group (0.05 expected)", ""),
    "null_max_bayes_factor": Metric("largest |Bayes factor|, cells of one group", "lower"),
    "fit_minutes": Metric("wall time of the fit (min)", "lower"),
    "cpu_minutes": Metric("processor time of the fit (min)", "lower"),
    "output_minutes": Metric("wall time of the latent space or the imputed counts (min)", "lower"),
    "memory_mb": Metric("peak memory above that before the fit (MB)", "lower"),
}
# Fig 8e–g: the same three scores at every cut of the label hierarchy.
METRICS |= {
    f"{score}_{cut}": METRICS[score]._replace(label=f"{METRICS[score].label}, {cut} types")
    for score in ("asw", "ari", "nmi")
    for cut in ("all", 4, 3, 2)
}
# Fig 6c, d: correlations of the two zero probabilities of a cell with its quality metrics.
METRICS |= {
    f"{part}_{quality}": Metric(f"±log10 p, {part_name} zeros and {quality.replace('_', ' ')}", "")
    for part, part_name in (("bernoulli", "Bernoulli"), ("nb", "NB"))
    for quality in ("gene_detection", "library_size", "reads_per_umi", "mapped_reads", "genome_not_gene")
}
# Beside another program: what is measured of both, and ratios above one where ours is faster.
METRICS |= {
    "cells_per_s": Metric("training (cells per second)", "higher"),
    "ratio_vs_scvi_tools": Metric("training, times as fast as scvi-tools", "higher"),
    "gemm_share": Metric("training, share of the limit of matrix products", "higher"),
    "first_epoch_ratio": Metric("import and first epoch, times as fast", "higher"),
    "loglik_ratio": Metric("importance-weighted likelihood, times as fast", "higher"),
    "compare_ratio": Metric("Bayes factors, times as fast", "higher"),
    "latent_ratio": Metric("latent positions, times as fast", "higher"),
    "impute_ratio": Metric("imputation, times as fast", "higher"),
    "memory_share": Metric("peak memory, share of that of scvi-tools", "lower"),
    "elbo": Metric("bound of held-out cells (nats per cell)", "higher"),
    "step_difference": Metric("losses of the same steps, largest difference (ppm)", "lower"),
    "difference_percent": Metric("bound, percent above that of scvi-tools", "higher"),
}
METRICS |= {
    f"{score}_scvi_tools": METRICS[score]._replace(label=f"{METRICS[score].label}, scvi-tools")
    for score in ("elbo", "asw", "ari", "nmi")
}
