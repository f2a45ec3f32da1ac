"""The scores of the suite: what each is called, which direction is better, when it agrees with the published value.

The functions lie beside this file, one file per topic; all take keyword arguments only.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    """What a score means; its direction is declared here and nowhere else."""

    label: str  # with the unit, as it stands on an axis
    better: str  # "lower", "higher", or "" for what describes a method without ranking it
    tolerance: float = 0.05  # share of the published value, a single run, up to which the report says "reproduced"

    @property
    def title(self):
        """Label and direction, as on an axis or over a column."""
        return f"{self.label}, {self.better} is better" if self.better else self.label


METRICS = {
    "median_l1": Metric("median |imputed − original| (counts)", "lower"),
    "loglik": Metric("held-out log-likelihood, own quantity (nats per cell)", "higher", 0.002),
    "loglik_tuned": Metric("held-out log-likelihood, encoder tuned (nats per cell)", "higher", 0.002),
    "loglik_marginal": Metric("held-out marginal log-likelihood (nats per cell)", "higher", 0.002),
    "asw": Metric("silhouette of labels (ASW)", "higher"),
    "ari": Metric("adjusted Rand index (ARI)", "higher"),
    "nmi": Metric("mutual information (NMI)", "higher"),
    "protein_spearman": Metric("Spearman of RNA and protein graphs", "higher"),
    "protein_fold": Metric("fold enrichment of shared edges", "higher"),
    "batch_entropy": Metric("entropy of batch mixing (nats)", "higher"),
    "batch_asw": Metric("silhouette of batches", "lower"),
    "n_clusters": Metric("clusters that SIMLR estimates", "", tolerance=0.0),
    "cluster_excess": Metric("silhouette of k-means above that of a Gaussian", ""),
    "kmeans_asw": Metric("silhouette of k-means clusters", ""),
    "graph_components": Metric("pieces of the neighbour graph", ""),
    "coordinate_r2": Metric("share of the coordinate's variance that neighbours explain", "higher"),
    "auroc": Metric("AUROC against the bulk reference", "higher"),
    "idr_weight": Metric("mixture weight for reproducibility (IDR)", "higher"),
    "idr_rho": Metric("correlation of the reproducible ranks (IDR)", ""),
    "n_detected": Metric("genes called different", ""),
    "null_called": Metric("share of genes called, cells of one group", "lower"),
    "null_p_below": Metric("share of p < 0.05, cells of one group (0.05 expected)", ""),
    "null_max_bayes_factor": Metric("largest |Bayes factor|, cells of one group", "lower"),
}
# Fig 8e–g: the same three scores at coarser cuts of the label hierarchy.
METRICS |= {
    f"{score}_{cut}": METRICS[score]._replace(label=f"{METRICS[score].label}, {cut} clusters")
    for score in ("asw", "ari", "nmi")
    for cut in (4, 3, 2)
}
