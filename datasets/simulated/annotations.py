"""What stands beside simulated counts, in the slots of the paper's datasets: proteins, quality metrics, bulk tests.

All of it is drawn from the truth that the counts were drawn from, with generators of its own, so that the counts of a
seed are the same with and without it.
"""

import numpy as np
import scipy.cluster.hierarchy
from scipy.spatial.distance import pdist
from scipy.special import log_softmax
from scipy.stats import false_discovery_control, ttest_ind

PROTEINS = 13  # as many as CBMC has
PROTEIN_THETA = 5.0  # inverse dispersion of the protein counts
READS_PER_MOLECULE = 12.0  # as in PBMC
READ_FATES = {"mapped_reads": 0.62, "genome_not_gene": 0.34, "unmapped_reads": 0.04}  # shares of the reads, as in PBMC
CORRECTED = {"umi_corrected": 0.004, "barcode_corrected": 0.010}
ARRAYS = 5  # bulk samples per group
ARRAY_SD = 0.5  # between bulk samples of one group, in log2


def protein_names():
    return [f"protein_{number}" for number in range(PROTEINS)]


def of_cells(simulation, parameters, index, cells):
    """Annotations of the block ``index``: ``obs`` and ``obsm`` as dicts of arrays with one row per cell.

    Parameters
    ----------
    simulation : datasets.simulated.Simulation
    parameters : dict
        ``simulation.genes()``.
    index : int
    cells : dict
        ``simulation.block(index)``.
    """
    rng = np.random.default_rng([simulation.seed, 4, index])
    proteins = _proteins(rng, simulation, cells["z"])
    logs = np.log1p(proteins)
    clr = logs - logs.mean(axis=1, keepdims=True)
    first, second = (parameters["centres"][cluster] for cluster in _extremes(parameters["centres"])[1])
    axis = (first - second) / max(np.linalg.norm(first - second), 1e-12)
    return {
        "obs": {
            **{f"qc_{name}": values for name, values in _quality(rng, cells["counts"].sum(axis=1)).items()},
            "fate_contrast": (cells["z"] - (first + second) / 2) @ axis,
        },
        "obsm": {"protein": clr, "protein_counts": proteins.astype(float), "protein_clr": clr},
    }


def hierarchy(parameters):
    """Cuts of the tree of cluster centres (average linkage) into 4, 3 and 2 parts: ``{column: part of each label}``."""
    centres = parameters["centres"]
    sizes = [size for size in (4, 3, 2) if size < len(centres)]
    if not sizes:
        return {}
    tree = scipy.cluster.hierarchy.linkage(centres, "average")
    cuts = scipy.cluster.hierarchy.cut_tree(tree, n_clusters=sizes)
    return {f"label_{size}": cuts[:, column].astype(str) for column, size in enumerate(sizes)}


def comparisons(parameters):
    """The compared pairs of clusters: ``CD`` the two most alike, ``BDC`` and ``BDC2`` the two least alike."""
    if len(parameters["centres"]) < 2:
        return {}
    near, far = _extremes(parameters["centres"])
    return {"CD": near, "BDC": far, "BDC2": far}


def bulk(simulation, parameters):
    """Bulk references of the comparisons, columns of ``var``.

    In each group ``ARRAYS`` samples measure the log2 frequency (in counts per million) of each gene at the cluster's
    centre, with independent normal noise; a two-sample t test follows, adjusted after Benjamini and Hochberg. So the
    true logarithmic fold change is known: the difference of the two frequencies.

    Returns
    -------
    dict of arrays, shape (n_genes,)
        ``{comparison}_logFC`` (first group over second), ``_AveExpr``, ``_t``, ``_P.Value``, ``_adj.P.Val``.
    """
    rng = np.random.default_rng([simulation.seed, 5])
    logit = parameters["baseline"] + parameters["centres"] @ parameters["loadings"]
    frequency = (log_softmax(logit, axis=1) + np.log(1e6)) / np.log(2)
    columns = {}
    for name, pair in comparisons(parameters).items():
        samples = frequency[pair][:, None] + ARRAY_SD * rng.normal(size=(2, ARRAYS, simulation.n_genes))
        test = ttest_ind(*samples)
        columns[f"{name}_logFC"] = samples[0].mean(axis=0) - samples[1].mean(axis=0)
        columns[f"{name}_AveExpr"] = samples.mean(axis=(0, 1))
        columns[f"{name}_t"] = test.statistic
        columns[f"{name}_P.Value"] = test.pvalue
        columns[f"{name}_adj.P.Val"] = false_discovery_control(test.pvalue)
    return columns


def _extremes(centres):
    """The closest and the farthest pair of rows (one row is its own pair)."""
    if len(centres) == 1:
        return [0, 0], [0, 0]
    first, second = np.triu_indices(len(centres), k=1)  # the order of pdist
    distances = pdist(centres)
    return [[int(first[pair]), int(second[pair])] for pair in (distances.argmin(), distances.argmax())]


def _proteins(rng, simulation, z):
    """Antibody counts: negative binomial, their mean log-linear in z as that of the genes, without added zeros."""
    shared = np.random.default_rng([simulation.seed, 3])
    baseline = shared.normal(np.log(60), 0.7, size=PROTEINS)
    loadings = shared.normal(scale=1 / np.sqrt(simulation.n_latent), size=(simulation.n_latent, PROTEINS))
    depth = rng.normal(scale=0.3, size=(len(z), 1))  # staining varies from cell to cell
    mean = np.exp(baseline + z @ loadings + depth)
    return rng.poisson(mean * rng.gamma(PROTEIN_THETA, 1 / PROTEIN_THETA, size=mean.shape))


def _quality(rng, n_molecules):
    """The nine metrics of PBMC and BRAIN-SMALL.

    ``num_umi`` and with it ``num_reads`` follow the counts. Each molecule is read once, and again as often as a
    Poisson variable says; its rate and the other six metrics vary from cell to cell independently of the counts.
    """
    n = len(n_molecules)
    again = (READS_PER_MOLECULE - 1) * np.exp(0.07 * rng.normal(size=n))
    reads = n_molecules + rng.poisson(again * n_molecules)
    degrees = np.maximum(n_molecules - 1, 1)
    fates = rng.dirichlet(80 * np.array(list(READ_FATES.values())), size=n)
    return {
        "num_umi": n_molecules,
        "num_reads": reads,
        "mean_reads_per_umi": reads / n_molecules,
        # The sample SD of Poisson variables, by its large-sample distribution.
        "std_reads_per_umi": np.sqrt(again * rng.chisquare(degrees) / degrees),
        **dict(zip(READ_FATES, fates.T, strict=True)),
        **{name: share * np.exp(0.2 * rng.normal(size=n)) for name, share in CORRECTED.items()},
    }
