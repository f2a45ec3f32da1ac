"""Zero inflation: held-out likelihood and posterior predictive checks, and both over the zeros that were added."""

from ..loop.registry import METRICS
from ..metrics.ranks import better_of
from ..plots.bar_panels import bar_panels
from ..plots.curves import Panel, line_panels
from ..plots.points import score_points
from ..plots.style import colour
from ..plots.words import seeds_of, spread_of
from . import of_finished

CHECKS = ("ks_cv", "ks_zeros", "ks_zeros_to_expression")
ZINB, NB = "scVI", "scVI (NB)"
MARKS = {"loglik_marginal": ("s", METRICS["loglik_marginal"].label)}


@of_finished
def figure(table, records):
    """Return {name: Figure}: of every part of the data the likelihood and the checks; over the parts, all of them."""
    figures, parts = {}, list(dict.fromkeys(records["lam"]))
    for lam in parts:
        here, jobs = table[table["lam"] == lam], records[records["lam"] == lam]
        if (here["score"] == "loglik_marginal").any():
            figures[f"heldout_{lam}"] = score_points(here, MARKS)
        figures[f"checks_{lam}"] = bar_panels(here, {name: [name] for name in CHECKS}, note=_verdicts(jobs), digits=3)
    if len(parts) > 1 and "set_to_zero" in records:
        figures["over_lam"] = _over(table, records)
    return figures


def _verdicts(jobs):
    """Which of NB and ZINB each score is for, by the authors' test; "" without both."""
    found = {label: own for label, own in jobs.groupby("label") if label in (ZINB, NB)}
    if len(found) < 2:
        return ""
    words = []
    for name in [name for name in ("loglik_marginal", *CHECKS) if name in jobs]:
        values = (found[label][name].dropna() for label in (ZINB, NB))
        side = better_of(*values, better=METRICS[name].better)
        words.append(f"{METRICS[name].label}: {'a tie' if side is None else ('ZINB', 'NB')[side]}")
    return f" Ahead by one-sided rank sum tests at 5%: {'; '.join(words)}."


def _over(table, records):
    """Scores over the share of the counts that were set to zero."""
    share = 100 * records.groupby("lam", sort=False)["set_to_zero"].mean()
    rows = table[table["score"].isin(["loglik_marginal", *CHECKS]) & (table["n_seeds"] > 0)]
    rows = rows[rows["role"] != "control"].assign(x=lambda rows: rows["lam"].map(share))
    columns = {"score": "panel", "label": "line", "x": "x", "mean": "y", "ci_low": "low", "ci_high": "high"}
    return line_panels(
        rows.rename(columns=columns)[[*columns.values(), "published"]].assign(published=float("nan")),
        {
            score: Panel("counts set to zero (%)", METRICS[score].title, tuple(range(0, int(share.max()) + 2, 2)))
            for score in ("loglik_marginal", *CHECKS)
            if (rows["score"] == score).any()
        },
        {
            label: {"color": colour(label), "marker": "s" if label == NB else "o", "markersize": 3}
            for label in (ZINB, NB)
        },
        title="Zero inflation, over the counts that were set to zero",
        caption=f"{seeds_of(rows.assign(published=float('nan')))} {spread_of(rows, 'Point')} Controls are left out. "
        f"Parts from right to left: λ = {', '.join(map(str, share.index))}.",
    )
