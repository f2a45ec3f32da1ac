"""What is drawn of the shape of latent spaces: cells in the plane, and the distances between them (Fig 3, 15, 16)."""

import re

import numpy as np

from .distances import distance_panels
from .scatter import Categories, Continuous, Overlay, plane_panels
from .words import panel_of

# The colours of Fig 16, the dark ends of its colour maps.
FATES = {
    "Pr_Er": "#a50f15", "Pr_Gr": "#08519c", "Pr_Ly": "#006d2c", "Pr_DC": "#54278f", "Pr_Mk": "#d94801",
    "Pr_Mo": "#00ff80", "Pr_Ba": "#8a5636",
}  # fmt: skip

CORTEX_ORDER = [  # of the cell types in the distance matrices of Fig 3
    "interneurons", "pyramidal SS", "pyramidal CA1", "endothelial-mural", "microglia", "astrocytes_ependymal",
    "oligodendrocytes",
]  # fmt: skip
N_BLOCKS = 150  # rows and columns of a distance matrix as it is drawn


def plane_figures(panels):
    """{name: SuiteFigure}: t-SNE and neighbour graph of every method, coloured by what is known of the cells."""
    figures = {}
    simlr = next((panel for panel in panels if "clusters" in panel.arrays), None)
    published = [panel._replace(label="SPRING, as published") for panel in panels[:1] if "spring" in panel.arrays]
    for what, colour in _known(panels[0].arrays).items():
        like = {"tsne": "Fig 3", "graph": "Fig 16" if what == "fate" else "Fig 3"}
        for key, drawn in (("tsne", "t-SNE"), ("graph", "force-directed neighbour graph")):
            shown, planes = list(panels), [panel.arrays[key] for panel in panels]
            if key == "graph":
                shown, planes = shown + published, planes + [panel.arrays["spring"] for panel in published]
            figures[f"{key}_{what.replace(' ', '_')}"] = plane_panels(
                shown, planes, [colour] * len(shown), what=what, drawn=drawn, like=panel_of(like[key], panels[0])
            )
    if simlr is not None:
        clusters = _clusters(simlr.arrays["clusters"])
        figures["tsne_simlr_cluster"] = plane_panels(
            panels, [panel.arrays["tsne"] for panel in panels], [clusters] * len(panels),
            what=f"cluster of {simlr.label}", drawn="t-SNE", like=panel_of("Fig 15", panels[0]), note=_told(simlr),
        )  # fmt: skip
    return figures


def distance_figures(panels):
    """{name: SuiteFigure}: the distances between cells, ordered by type, coordinate, SIMLR's clusters or size."""
    arrays = panels[0].arrays
    known, simlr = _known(arrays), next((panel for panel in panels if "clusters" in panel.arrays), None)
    if "label" in arrays:
        colour = known["cell type"]
        what, rank = "cell type", _rank(colour.names)[colour.codes]
    elif "coordinate" in arrays:
        what, colour, rank = "coordinate", known["coordinate"], arrays["coordinate"]
    elif simlr is not None:
        what, colour, rank = f"cluster of {simlr.label}", _clusters(simlr.arrays["clusters"]), simlr.arrays["clusters"]
    else:
        what, colour, rank = "library size", known["library size"], arrays["log_library"]
    spaces = [panel.arrays["latent"] for panel in panels]
    cells = np.argsort(rank, kind="stable")
    like = panel_of("Fig 3", panels[0])
    return {"distances": distance_panels(panels, spaces, cells, colour, what=what, n_blocks=N_BLOCKS, like=like)}


def _known(arrays):
    """{what: colour} of the annotations there are; the library size where there is nothing else."""
    found = {}
    if "label" in arrays:
        names = arrays["label_names"]
        order = np.array(sorted(range(len(names)), key=lambda i: _with_numbers(names[i])))
        found["cell type"] = Categories(
            np.argsort(order)[arrays["label"]], names[order], "tab10" if len(names) <= 10 else "tab20"
        )
    if "coordinate" in arrays:
        ends = ("Erythroblasts", "Granulocytes") if "fates" in arrays else ("low", "high")
        found["coordinate"] = Continuous(arrays["coordinate"], *ends)
    if "fates" in arrays:
        names = arrays["fate_names"]
        found["fate"] = Overlay(arrays["fates"], names, tuple(FATES.get(name, "#777777") for name in names))
    return found or {"library size": Continuous(arrays["log_library"], "few UMI", "many UMI, log")}


def _with_numbers(name):
    """What names are sorted by where 2Ery comes before 10GMP."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _told(panel):
    """How many clusters SIMLR was given, whatever it would have estimated."""
    estimate = getattr(panel, "n_clusters", np.nan)
    if panel.n_told:
        text = f" {panel.label} is told the number of cell types, {panel.n_told:.0f}"
        return f"{text}; its own estimate is {estimate:.0f}." if np.isfinite(estimate) else f"{text}."
    n_clusters = len(np.unique(panel.arrays["clusters"]))
    its_own = " by its own estimate" if n_clusters == estimate else ""
    return f" {panel.label} makes {n_clusters} clusters{its_own}."


def _clusters(codes):
    """Clusters by size, the largest is number 1."""
    _, codes = np.unique(codes, return_inverse=True)
    rank = np.argsort(np.argsort(-np.bincount(codes), kind="stable"))
    return Categories(rank[codes], np.arange(1, len(rank) + 1).astype(str), "tab20")


def _rank(names):
    """The place of each type: that of Fig 3 where the types are those of CORTEX, else that of the names."""
    if set(names) != set(CORTEX_ORDER):
        return np.arange(len(names))
    return np.array([CORTEX_ORDER.index(name) for name in names])
