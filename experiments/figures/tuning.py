"""Tuning: likelihoods of held-out and of training cells, and imputation, with default and with tuned settings."""

from ..plots.bar_panels import bar_panels
from ..plots.points import score_points
from . import of_finished

MARKS = {
    "loglik_marginal": ("s", "held-out cells, latent variables integrated out"),
    "elbo": ("o", "held-out cells, the bound"),
    "elbo_training": (">", "training cells, the bound"),
}
ERRORS = ("median_of_cell_medians", "mean_of_cell_medians", "median_l1")


@of_finished
def figure(table, records):
    """Return {name: Figure}: the likelihoods, and the errors of imputation as the authors' program has them."""
    figures = {"likelihood": score_points(table, MARKS)}
    if "median_l1" in records:
        figures["imputation"] = bar_panels(table, {name: [name] for name in ERRORS}, digits=3)
    return figures
