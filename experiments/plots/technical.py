"""The figures of technical variability (Fig 6 and 13), of the kinds that pairs, boxes and histogram draw."""

import numpy as np

from .boxes import Boxes, box_panels
from .histogram import share_histograms
from .pairs import Pairs, pair_panels
from .style import colour
from .text import clip
from .words import about, counted, panel_of, span

CURVES = {"hypergeometric": "#00b7c3", "binomial": "#d62728"}  # the paper's cyan and red
PARTS = ("#9ecae1", "#31a354")  # Bernoulli, NB


def scaling_factor(cells):
    """Fig 6a: log library size against log scaling factor, one square per method (a row of one seed)."""
    panels = []
    for cell in cells:
        x, y = cell.arrays["log_scale"], cell.arrays["log_library"]
        panels.append(_pairs(cell, x, y, "log scaling factor", "log library size", note=_r(x, y)))
    caption = f"{_seed(cells[0])}. One point per cell."
    title = f"{panel_of('Fig 6a', cells[0])}: scaling factor and library size"
    return pair_panels(panels, title=title, caption=caption)


def zeros(cells, curves, *, n_molecules, frequent):
    """Fig 6b: share of zeros of a gene against its mean expected frequency, with the curves of two sampling schemes."""
    curves = {name: (x, y, CURVES[name]) for name, (x, y) in curves.items()}
    panels = [
        Pairs(
            cell.label, cell.arrays["frequency"], cell.arrays["zeros"], "mean expected frequency", "share of zeros",
            "#888888", curves=curves, marker="x", log_x=True,
        )
        for cell in cells
    ]  # fmt: skip
    caption = (
        f"{_seed(cells[0])}; one point per gene with zeros and a frequency below {frequent}. Curves: chance of no "
        f"molecule among U\xa0= {cells[0].mean_umi:,.0f}, their mean, drawn from N\xa0= {n_molecules:,} or U, "
        "if that is more (hypergeometric), or from any number (binomial)."
    )
    title = f"{panel_of('Fig 6b', cells[0])}: zeros of a gene and its frequency"
    return pair_panels(panels, title=title, caption=caption)


def quality(records, names, alignment, parts):
    """Fig 6c, d: boxes over seeds and subpopulations; metrics of library size left, of alignment right."""
    panels = []
    for label, runs in records.groupby("label", sort=False):
        metrics = list(runs["arrays"].iloc[0]["quality"])
        signed = np.concatenate([arrays["signed_log10_p"] for arrays in runs["arrays"]])
        for side in (False, True):
            chosen = [j for j, metric in enumerate(metrics) if (metric in alignment) == side]
            values = {
                part: [signed[np.isfinite(signed[:, j, k]), j, k] for j in chosen] for k, part in enumerate(parts)
            }
            if chosen:
                ticks = [names[metrics[j]] for j in chosen]
                panels.append(Boxes(label, ticks, values, "−log10 p with the sign of r"))
    row, n_seeds = next(records.itertuples()), records["seed"].nunique()
    caption = (
        f"{about(row)}, n\xa0= {counted(records['n_groups'], 'subpopulation')} × {counted([n_seeds], 'seed')}. "
        "Box: quartiles; whiskers: to the last values within 5 and 95%. "
        "Correlation, over the cells of a subpopulation, of a quality metric with the logit of a zero probability, "
        "averaged over genes. The axis is linear within ±1, logarithmic beyond."
    )
    return box_panels(
        panels,
        title=f"{panel_of('Fig 6c, d', row)}: zero probabilities and quality metrics",
        caption=caption,
        colours=dict(zip(parts, PARTS, strict=True)),
        columns=2,
        slant=20,
        log_beyond=1,
    )


def nb_share(cells, edges):
    """Fig 13a: histogram of the probability that a zero needs no dropout."""
    row = cells[0]
    caption = f"{_seed(row)}, n\xa0= {span([row.n_shown * row.n_genes])} entries, zero or not, as in the paper."
    title = f"{panel_of('Fig 13a', row)}: where zeros come from"
    words = {"x_label": "p(zero without dropout | zero)", "y_label": "entries (percent)"}
    return share_histograms(cells, "nb_share", edges, title=title, caption=caption, **words)


def zero_probabilities(cells, names, alignment):
    """Fig 13b–d: the two zero probabilities of a cell against its zeros and two alignment metrics, a row per method."""
    panels = []
    for cell in cells:
        drawn = [("cell_nb", "NB zero probability", "cell_zeros", "share of zero entries")]
        drawn += [("cell_bernoulli", "Bernoulli zero probability", f"cell_{name}", names[name]) for name in alignment]
        here = [row for row in drawn if row[2] in cell.arrays]
        for x, x_label, y, y_label in here:
            x, y = cell.arrays[x], cell.arrays[y]
            panels.append(_pairs(cell, x, y, x_label, y_label, note=_r(x, y)))
    caption = f"{_seed(cells[0])}. One point per cell; probabilities are means over genes."
    title = f"{panel_of('Fig 13b–d', cells[0])}: zero probabilities of a cell"
    return pair_panels(panels, title=title, caption=caption, columns=len(here))


def _pairs(cell, x, y, x_label, y_label, **options):
    return Pairs(cell.label, x, y, x_label, y_label, colour(cell.label, cell.role), **options)


def _r(x, y):
    seen = np.isfinite(x) & np.isfinite(y)
    if seen.sum() < 2 or not np.ptp(x[seen]) or not np.ptp(y[seen]):
        return "r is not defined"
    return f"r = {np.corrcoef(x[seen], y[seen])[0, 1]:.2f}".replace("-", "−")


def _seed(row):
    return f"{about(row)}, seed {row.seed}, n\xa0= {span([row.n_shown])} cells of {clip(row.shown)}"
