"""What an experiment says of its scores: how each is called, which way is better, under which name it was published.

An experiment declares them in ``SCORES``, a line each:

    SCORES = {"median_l1": Score("median |imputed − original| (counts)", "lower", "median_L1_{corruption}")}

Nothing that computes reads them, so a new label or published name is no reason to compute anything again. A score that
is not declared is refused (`loop.declared`).
"""

import re
from typing import NamedTuple


class Score(NamedTuple):
    """What a score means; its direction is declared here and nowhere else."""

    label: str  # with the unit, as it stands on an axis
    better: str = ""  # "lower", "higher", or "" for what describes a method without ranking it
    published: object = None  # its address in results/published.json (report.published.addresses); None: it has none
    whole: bool = False  # a count, shown without decimals where all of its means are whole
    formula: str = ""  # how it is computed, Markdown with formulas in $; the site shows it

    @property
    def title(self):
        """Label and direction, as on an axis or over a column."""
        return f"{self.label}, {self.better} is better" if self.better else self.label


# Of several experiments.
MEDIAN_L1 = Score(
    "median |imputed − original| (counts)",
    "lower",
    formula=r"median of $|\hat x_{ng} - x_{ng}|$ over the scored entries: those that the corruption changed, "
    "or chose (`protocol.imputation.scored`)",
)
LOGLIK_MARGINAL = Score(
    "held-out marginal log-probability (nats per cell)",
    "higher",
    formula=r"mean over held-out cells of $\log \int p(x|z,l) p(z) p(l) dz dl$, a probability of the counts for "
    "every method, by importance sampling where it has no closed form",
)
NULL_CALLED = Score(
    "share of genes called, cells of one group",
    "lower",
    formula="the share of the genes that are called different, between two halves of one group",
)
ELBO = Score(
    "bound of held-out cells (nats per cell)",
    "higher",
    formula=r"mean over cells of $E_q[\log p(x|z,l,s)] - KL(q(z|x,s)||p(z)) - KL(q(l|x,s)||p(l))$, one draw of $q$",
)
OF_LABELS = {
    "asw": Score(
        "silhouette of labels (ASW)",
        "higher",
        formula=r"mean over cells of $(b - a) / \max(a, b)$: $a$ is the mean distance to the cells of the same label, "
        "$b$ the smallest mean distance to those of another one",
    ),
    "ari": Score(
        "adjusted Rand index (ARI)",
        "higher",
        formula="$(R - E[R]) / (R_{max} - E[R])$ of the pairs of cells that labels and k-means both keep together",
    ),
    "nmi": Score(
        "mutual information (NMI)",
        "higher",
        formula=r"$I(c, y) / \sqrt{H(c) H(y)}$ of the clusters $c$ of k-means and the labels $y$",
    ),
}


def template(name):
    """The pattern of the names that a declared one stands for: "n_cells {type}" for the cells of every type."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(name)))


def published(scores, found):
    """{score: address in results/published.json} of declared scores, templates filled in for the names ``found``."""
    addresses = {}
    for known, score in scores.items():
        if "{" not in known:
            addresses[known] = score.published
        for match in filter(None, map(template(known).fullmatch, found if "{" in known else ())):
            filled = {key: _fill(value, match.groupdict()) for key, value in (score.published or {}).items()}
            addresses[match.string] = filled or None
    return addresses


def _fill(value, words):
    return value.format(**words) if isinstance(value, str) else value
