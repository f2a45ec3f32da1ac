"""Table 1 and Fig 9a: the likelihoods of all methods, and over the size of the training set."""

from ..plots.points import score_points
from ..plots.sizes import size_lines
from ..plots.words import panel_of
from . import of_finished

MARKS = {
    "loglik": ("o", "each method's own quantity, as in the paper"),
    "loglik_tuned": (">", "with the encoder tuned on the held-out cells"),
    "loglik_marginal": ("s", "probability of the counts, latent variables integrated out"),
}


@of_finished
def figure(table, records):
    """Return {name: Figure}: the scores of all methods at each training size and, with several sizes, over them."""
    figures, sizes = {}, records.groupby("n_train_cells", sort=False)["n_train"].max()
    shown_in = "Fig 9a" if len(sizes) == 1 and sizes.index[0] == "all" else "Table 1"  # which has several sizes
    like = panel_of(shown_in, next(table.itertuples()))
    for size in sizes.index:
        here = table[table["n_train_cells"] == size]
        figures[f"heldout_{size}"] = score_points(here, MARKS, like=like, apart=["loglik_marginal"])
    if len(sizes) > 1:
        grown = table.assign(size=table["n_train_cells"].map(sizes)).dropna(subset="size")
        figures["loglikelihood"] = size_lines(grown, ["loglik", "loglik_marginal"], x="training cells", like=like)
    return figures
