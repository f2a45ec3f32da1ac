"""Counts of any size drawn from the model of the paper with known truth (generative process of paper §4.1)."""

import hashlib
import json
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from tqdm import tqdm

from ..base import InvalidDataset, make_dataset
from ..io.fetch import writable_folder
from ..io.store import create_store, open_store
from . import annotations

CELLS_PER_BLOCK = 512  # part of what a seed means: every block has a generator of its own
IN_MEMORY = 200_000_000  # cells × genes above which the counts go to disk
ATTEMPTS = 200
FORMAT = 2  # of the stores in the cache: raised when they hold something else for the same settings


@dataclass(frozen=True)
class Simulation:
    """A ZINB population: who the cells are, what they express, and the counts, block by block.

    A cell belongs to a cluster and a batch; z is the centre of its cluster plus noise; log ρ is linear in z, plus a
    shift of each gene in each batch; l is log-normal with a mean of its own in each batch; counts are ZINB(lρ, θ, π)
    with logit π falling in log ρ. The mean library size is the one that gives the wanted share of non-zero counts.
    Cells without a single count are drawn again.
    """

    n_cells: int = 10_000
    n_genes: int = 720
    density: float = 0.28
    n_clusters: int = 8
    n_batches: int = 2
    n_latent: int = 10
    batch_effect: float = 0.3
    library_sd: float = 0.4
    dropout: float = 0.1
    seed: int = 0

    def __post_init__(self):
        for field in fields(self):
            value, kind = getattr(self, field.name), Integral if field.type is int else Real
            if not isinstance(value, kind) or isinstance(value, bool) or value < 0:
                what = "an integer" if kind is Integral else "a number"
                raise InvalidDataset(f"{field.name}={value!r} is asked for: choose {what} of at least 0.")
        for name in ("n_cells", "n_genes", "n_clusters", "n_batches", "n_latent"):
            if getattr(self, name) < 1:
                raise InvalidDataset(f"{name}={getattr(self, name)} is asked for: choose at least 1.")
        if not (0 < self.density < 1 and 0 <= self.dropout < 1):
            raise InvalidDataset("density must lie between 0 and 1, dropout between 0 and 1 with 0 allowed.")

    def genes(self):
        """What all cells share: ``centres, loadings, baseline, shifts, theta, batch_library, log_library``."""
        rng = np.random.default_rng([self.seed, 0])
        parameters = {
            "centres": rng.normal(size=(self.n_clusters, self.n_latent)),
            "loadings": rng.normal(size=(self.n_latent, self.n_genes)) * 0.5 / np.sqrt(self.n_latent) * 2,
            "baseline": rng.normal(scale=1.2, size=self.n_genes),
            "shifts": rng.normal(scale=self.batch_effect, size=(self.n_batches, self.n_genes)),
            "theta": rng.gamma(2.0, 1.0, size=self.n_genes) + 0.1,
            "batch_library": rng.normal(scale=0.2, size=self.n_batches),
        }
        return parameters | {"log_library": self._log_library(parameters)}

    def _log_library(self, parameters):
        """Bisection for the mean log library size at which the expected share of non-zero counts is ``density``."""
        rng = np.random.default_rng([self.seed, 1])
        cells = self._describe(rng, 1000, parameters, log_library=0.0)
        theta, here = parameters["theta"], 1 - cells["dropout"]

        def share(log_library):
            mean = np.exp(log_library) * cells["library"][:, None] * cells["rho"]
            return np.mean(here * -np.expm1(-theta * np.log1p(mean / theta)))

        low, high = -10.0, 40.0
        if share(high) < self.density:
            raise InvalidDataset(
                f"A density of {self.density} cannot be had with dropout {self.dropout}: lower one of them."
            )
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (middle, high) if share(middle) < self.density else (low, middle)
        return high

    def _describe(self, rng, n, parameters, log_library):
        cluster = rng.integers(self.n_clusters, size=n)
        batch = rng.integers(self.n_batches, size=n)
        z = parameters["centres"][cluster] + 0.3 * rng.normal(size=(n, self.n_latent))
        log_rho = z @ parameters["loadings"]
        log_rho += parameters["baseline"]
        log_rho += parameters["shifts"][batch]
        log_rho -= log_rho.max(axis=1, keepdims=True)
        rho = np.exp(log_rho)
        rho /= rho.sum(axis=1, keepdims=True)
        noise = self.library_sd * rng.normal(size=n)
        library = np.exp(log_library + parameters["batch_library"][batch] + noise)
        # Falling in ρ: at ρ = 1/n_genes it is the stated probability.
        logit = np.log(self.dropout / (1 - self.dropout)) if self.dropout else -np.inf
        dropout = expit(logit - 0.5 * np.log(rho * self.n_genes))
        return {"cluster": cluster, "batch": batch, "z": z, "rho": rho, "library": library, "dropout": dropout}

    def block(self, index, parameters=None):
        """Truth and counts of the cells ``512 · index`` and following.

        Returns
        -------
        dict
            ``cluster``, ``batch``, ``library`` (n,), ``z`` (n, n_latent), ``rho``, ``dropout``, ``counts``
            (n, n_genes).
        """
        parameters = parameters or self.genes()
        n = min(CELLS_PER_BLOCK, self.n_cells - index * CELLS_PER_BLOCK)
        rng = np.random.default_rng([self.seed, 2, index])
        cells = self._describe(rng, n, parameters, parameters["log_library"])
        mean = cells["library"][:, None] * cells["rho"]
        counts = np.zeros(mean.shape, dtype=np.int64)
        empty = np.arange(n)
        for _ in range(ATTEMPTS):
            rate = rng.standard_gamma(np.broadcast_to(parameters["theta"], (len(empty), self.n_genes)))
            rate *= mean[empty] / parameters["theta"]
            there = rng.random(rate.shape) >= cells["dropout"][empty]
            rate *= there
            counts[empty] = rng.poisson(rate)
            empty = np.flatnonzero(counts.sum(axis=1) == 0)
            if not empty.size:
                return cells | {"counts": counts}
        raise InvalidDataset(
            f"Cells stay empty at density {self.density} with {self.n_genes} genes: raise one of the two."
        )


def load(on_disk=None, workers=None, data_dir=None, **settings):
    """Draw a simulated dataset; the same settings give the same counts, whatever the number of workers.

    Parameters
    ----------
    on_disk : bool, optional
        Write the counts to a store in the data folder and map it, in place of holding them in memory. By default
        above 200 million cells × genes.
    workers : int, optional
        Threads; as many as there are processors by default.
    data_dir : str or Path, optional
    **settings
        Fields of :class:`Simulation`, whose ``block`` gives the truth behind any cell.

    Returns
    -------
    anndata.AnnData, n_cells × n_genes
        ``obs``: ``label``, ``batch``, ``library_size`` (the true l), and the hierarchy of the labels ``label_4``,
        ``label_3``, ``label_2`` where there are more labels than that. ``var``: ``theta`` and the bulk comparisons
        ``CD_*``, ``BDC_*``, ``BDC2_*``, whose groups are in ``uns["comparisons"]``. ``uns["simulation"]``: the
        settings. In memory also ``obs``: nine quality metrics ``qc_*`` and ``fate_contrast``, the place of the cell
        between the two clusters farthest apart; ``obsm``: ``protein`` (centred log-ratios), ``protein_counts``,
        ``protein_clr``, with names in ``uns["proteins"]`` (see :mod:`datasets.simulated.annotations`).
    """
    known = {field.name for field in fields(Simulation)}
    if unknown := sorted(settings.keys() - known):
        raise InvalidDataset(f"A simulation has no {unknown[0]}; it has: {', '.join(sorted(known))}.")
    simulation = Simulation(**settings)
    if on_disk is None:
        on_disk = simulation.n_cells * simulation.n_genes > IN_MEMORY
    parameters = simulation.genes()
    digest = hashlib.sha256(json.dumps(asdict(simulation), sort_keys=True).encode()).hexdigest()
    shared = {
        "genes": [f"gene_{column}" for column in range(simulation.n_genes)],
        "var": {"theta": parameters["theta"], **annotations.bulk(simulation, parameters)},
        "source": {
            "name": "simulated",
            "origin": "Simulated from the generative model of the paper with known clusters, batches, library sizes.",
            "sha256": digest,
            "steps": [f"drew {simulation.n_cells} cells × {simulation.n_genes} genes with seed {simulation.seed}"],
        },
    }
    levels = {
        "label": np.array([f"cluster_{k}" for k in range(simulation.n_clusters)]),
        "batch": np.array([f"batch_{s}" for s in range(simulation.n_batches)]),
    }
    if on_disk:
        folder = writable_folder(data_dir) / "cache" / f"simulated-{FORMAT}-{digest[:16]}"
        if not folder.exists():
            _write(folder, _drawn(simulation, parameters, workers, annotate=False), simulation, shared, levels)
        adata = open_store(folder)
    else:
        adata = _held(_drawn(simulation, parameters, workers, annotate=True), simulation, shared, levels)
        adata.uns["proteins"] = annotations.protein_names()
    for name, cut in annotations.hierarchy(parameters).items():
        adata.obs[name] = adata.obs["label"].map(dict(zip(levels["label"], cut, strict=True))).astype("category")
    adata.uns["simulation"] = asdict(simulation)
    compared = {name: levels["label"][pair].tolist() for name, pair in annotations.comparisons(parameters).items()}
    there = set(adata.obs["label"].cat.categories)  # of a handful of cells, none may be in a cluster
    adata.uns["comparisons"] = {name: labels for name, labels in compared.items() if there >= set(labels)}
    return adata


def _write(folder, blocks, simulation, shared, levels):
    with create_store(folder, simulation.n_genes) as writer:
        for start, cells, X in blocks:
            obs = {
                "label": cells["cluster"].astype(np.int16),
                "batch": cells["batch"].astype(np.int16),
                "library_size": cells["library"],
            }
            writer.append(X.data, X.indices, X.indptr, [f"cell_{start + row}" for row in range(X.shape[0])], obs)
        writer.close(**shared, levels={name: names.tolist() for name, names in levels.items()})


def _held(blocks, simulation, shared, levels):
    parts = list(blocks)

    def joined(kind):
        first = parts[0][1][kind]
        return {key: np.concatenate([cells[kind][key] for _, cells, _ in parts]) for key in first}

    def whole(key):
        return np.concatenate([cells[key] for _, cells, _ in parts])

    return make_dataset(
        sp.vstack([X for _, _, X in parts], format="csr"),
        cells=[f"cell_{row}" for row in range(simulation.n_cells)],
        obs={
            "label": levels["label"][whole("cluster")],
            "batch": levels["batch"][whole("batch")],
            "library_size": whole("library"),
            **joined("obs"),
        },
        obsm=joined("obsm"),
        **shared,
    )


def _drawn(simulation, parameters, workers, annotate):
    """Yield ``(first cell, truth and annotations, CSR counts)`` block after block, a few of them drawn at a time."""
    workers = workers or len(os.sched_getaffinity(0))

    def draw(index):
        cells = simulation.block(index, parameters)
        kept = {key: cells[key] for key in ("cluster", "batch", "library")}
        if annotate:
            kept |= annotations.of_cells(simulation, parameters, index, cells)
        return index * CELLS_PER_BLOCK, kept, sp.csr_matrix(cells["counts"].astype(np.int32))

    n_blocks = -(-simulation.n_cells // CELLS_PER_BLOCK)
    with ThreadPoolExecutor(workers) as pool, tqdm(total=simulation.n_cells, unit="cell", disable=None) as bar:
        waiting = deque(pool.submit(draw, index) for index in range(min(n_blocks, 2 * workers)))
        for index in range(len(waiting), n_blocks + len(waiting)):
            start, cells, X = waiting.popleft().result()
            if index < n_blocks:
                waiting.append(pool.submit(draw, index))
            bar.update(X.shape[0])
            yield start, cells, X
