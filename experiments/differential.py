"""Differential expression against bulk references: Fig 5 and 12 (paper, sections 2.7, 4.3 and 4.7)."""

import hashlib
import inspect

import numpy as np

from .metrics.differential import adjusted, auroc, called, rank_agreement
from .metrics.idr import fit_idr
from .scores import NULL_CALLED, Score
from .tasks.data import training_cells
from .tasks.groups import AGAINST, bulk, chosen, pair

REQUIRES = "compare"


def _named(metric):
    """Where results/published.json has a score of either comparison."""
    names = {"BDC": ["B vs DC"], "CD": ["CD4 vs CD8", "CD8 vs CD4"]}
    return [
        {"metric": metric, "dataset": f"{{published_as}} {name}", "where": {"comparison": comparison}}
        for comparison, spellings in names.items()
        for name in spellings
    ]


OF_NULL = {"metric": "max_abs_bayes_factor", "dataset": "{published_as} same cluster", "where": {"comparison": "CD"}}
SCORES = {
    "auroc": Score(
        "AUROC against the bulk reference",
        "higher",
        _named("AUROC"),
        formula="chance that a gene which differs in bulk scores above one which does not, mean over repeats",
    ),
    "idr_weight": Score(
        "mixture weight for reproducibility (IDR)",
        "higher",
        _named("IDR_p"),
        formula=r"$p$ of the copula mixture $p N(\mu, \sigma, \rho) + (1 - p) N(0, 1, 0)$ of the two rankings of genes",
    ),
    "idr_rho": Score(
        "correlation of the reproducible ranks (IDR)",
        "",
        _named("IDR_rho"),
        formula=r"$\rho$ of the same mixture",
    ),
    "halves_spearman": Score(
        "rank correlation between halves of the cells",
        "higher",
        formula="Spearman's correlation of the signed scores by two disjoint halves of the cells, mean over repeats",
    ),
    "n_detected": Score(
        "genes called different",
        "",
        _named("n_detected_genes"),
        formula=r"genes with $|\log$ Bayes factor$| \geq 3$, or with an adjusted $p \leq 0.05$, mean over repeats",
    ),
    "null_called": NULL_CALLED,
    "null_p_below": Score(
        "share of p < 0.05, cells of one group (0.05 expected)",
        formula="genes with $p < 0.05$ over genes with a $p$, between two halves of one group",
    ),
    "null_max_bayes_factor": Score(
        "largest |Bayes factor|, cells of one group",
        "lower",
        OF_NULL,
        formula=r"largest $|\log$ Bayes factor$|$ of a gene, between two halves of one group",
    ),
}
BAYES_FACTOR, LEVEL = 3.0, 0.05  # section 2.7: what counts as evidence
IDR_START = {"mu": 1.0, "sigma": 0.5, "rho": 0.5}  # of the authors' call
FEWEST = 4  # cells of a group
OF_THE_PAPER = ["BDC", "CD"]  # as conf/exp/differential.yaml has them


def settle(config, adata):
    """The axes of the run with the comparisons that the data allow; says what of these cannot be scored.

    Raises
    ------
    ValueError
        The data have no two labels to compare, not those that are asked for, or a bulk reference that is none.
    """
    axes, rules = config["experiment"]["axes"], config["protocol"]["differential"]
    comparisons = chosen(adata, axes["comparison"], OF_THE_PAPER)
    for comparison in comparisons:
        reference, said = bulk(adata, comparison), f"Comparison {comparison}"
        if comparison in adata.uns.get("comparisons", {}):
            said += f" ({AGAINST.join(pair(adata, comparison))})"
        if reference is None:
            print(
                f"{said}: there is no bulk reference, so no AUROC and no IDR; the genes are ranked, and the ranks by "
                "halves of the cells and by the methods are held against each other. For other groups name their "
                f"labels: 'experiment.axes.comparison=[\"A{AGAINST}B\"]'."
            )
            continue
        measured, positive = np.isfinite(reference[0]), _positive(reference[0], rules["positives"], comparison)
        if not measured.all():
            print(
                f"{said}: the bulk reference has no value for {(~measured).sum():,} of {measured.size:,} genes, which "
                "leave AUROC and IDR."
            )
        if positive.sum() in (0, measured.sum()):
            print(f"{said}: the bulk reference calls {positive.sum():,} of {measured.sum():,} genes: no AUROC.")
    return axes | {"comparison": comparisons}


def evaluate(method, adata, protocol, seeds, *, comparison):
    """Fit once, compare 100 with 100 cells many times, hold each ranking of the genes against the bulk reference.

    Without a reference the rankings by disjoint halves of the cells are held against each other. Genes that it has not
    measured are not scored. Only training cells are used. The larger group is then compared with itself: two disjoint
    halves of one draw.

    Parameters
    ----------
    method : Method
        An unfitted estimator with ``compare``.
    adata : AnnData
        ``obs["label"]``; where there are, ``uns["comparisons"][comparison]``, the two labels compared, and the bulk
        reference, ``{comparison}_adj.P.Val`` and ``{comparison}_logFC`` in ``var``.
    protocol : mapping
        ``split`` and ``differential`` of conf/protocol/.
    seeds : experiments.loop.job.Seeds
    comparison : str
        "BDC" (B against dendritic cells), "CD" (CD4 against CD8 T cells), another of the data, or "A against B" of two
        labels.

    Returns
    -------
    scores : dict
        Means over the repeats: ``auroc``, ``idr_weight``, ``idr_rho``, ``n_detected``; where one group was compared
        with itself ``null_called`` (share of the genes) and ``null_p_below`` (share of p < 0.05) or
        ``null_max_bayes_factor``. IDR is left out where its likelihood has no maximum, as with the reference itself.
        Without a reference ``halves_spearman`` in place of the first three.
    arrays : dict
        These scores, one value per repeat; of the first repeat ``single_cell`` (the Bayes factor or the signed log10
        adjusted p-value) and ``bulk`` (the latter); ``null``, Bayes factors or p-values of the first null comparison;
        of every ``gene``, ``evidence`` and ``log_fold_change``, means over the repeats.
    facts : dict
        Sizes, standard deviations over the repeats, and the hash of the cells drawn: equal for all methods of a seed.
    """
    rules = protocol["differential"]
    names, reference = pair(adata, comparison), bulk(adata, comparison)
    _, X, batch, label = training_cells(adata, protocol, seeds)
    batch = batch if rules["use_batch"] else None
    groups = [np.flatnonzero(label == name) for name in names]
    for name, group in zip(names, groups, strict=True):
        if len(group) < FEWEST:
            raise ValueError(f"{len(group)} training cells are labelled {name!r}: comparing needs {FEWEST} or more.")
    in_bulk = None if reference is None else reference[0]
    positive = np.zeros(X.shape[1], bool) if reference is None else _positive(in_bulk, rules["positives"], comparison)
    options = _options(method, rules["bayes_factor"], adata.var, comparison)
    method.fit(X, batch=batch)

    def compare(rows_a, rows_b):
        rows = np.concatenate([rows_a, rows_b])
        in_a = np.arange(len(rows)) < len(rows_a)
        return method.compare(X[rows], in_a, ~in_a, batch=None if batch is None else batch[rows], **options)

    rng = np.random.default_rng([seeds.split, 1])
    draws = [[_draw(rng, group, rules) for group in groups] for _ in range(rules["n_repeats"])]
    tables = [compare(*draw) for draw in draws]
    arrays = _by_name([_agreement(table, in_bulk, positive, rules) for table in tables])
    facts = {
        "n_genes": int(X.shape[1]),
        "n_cells_a": min(len(a) for a, _ in draws),
        "n_cells_b": min(len(b) for _, b in draws),
        "n_repeats": len(draws),
        "n_positive": int(positive.sum()),
        "n_in_bulk": 0 if reference is None else int(np.isfinite(in_bulk).sum()),
        "group_a": names[0],
        "group_b": names[1],
        "n_untested": float(np.mean([table["score"].isna().sum() for table in tables])),
        "n_without_idr": 0 if reference is None else int(np.isnan(arrays["idr_weight"]).sum()),
        "cells_sha256": hashlib.sha256(b"|".join(rows.tobytes() for draw in draws for rows in draw)).hexdigest(),
    }
    if not getattr(method, "sees_truth", False):
        largest = int(np.argmax([len(group) for group in groups]))
        facts["null_group"] = names[largest]
        halves = [_halves(rng, groups[largest], rules["n_cells"]) for _ in range(rules["n_null_repeats"])]
        nulls = [compare(*half) for half in halves]
        arrays |= _by_name([_null_scores(table) for table in nulls])
    if reference is None:
        rng = np.random.default_rng([seeds.split, 2])
        halves = [[_halves(rng, group, rules["n_cells"]) for group in groups] for _ in range(rules["n_null_repeats"])]
        both = [[compare(a[side], b[side]) for side in (0, 1)] for a, b in halves]
        agree = [rank_agreement(first=_strength(one), second=_strength(other)) for one, other in both]
        arrays["halves_spearman"] = np.array(agree)
    means = {name: float(np.nanmean(values)) for name, values in arrays.items() if not np.isnan(values).all()}
    facts |= {f"{name}_sd": _sd(arrays[name]) for name in means}
    arrays["single_cell"] = _evidence(tables[0])
    if reference is not None:
        arrays["bulk"] = _signed(*reference)
    folds = [table["log_fold_change"].to_numpy(dtype=float) for table in tables]
    arrays |= {
        "gene": np.array(adata.var_names, dtype=str),
        "evidence": _mean([_evidence(table) for table in tables]),
        "log_fold_change": _mean(folds),
    }
    if "null_group" in facts:
        arrays["null"] = nulls[0]["bayes_factor" if "bayes_factor" in nulls[0] else "pvalue"].to_numpy()
    return means, arrays, facts


def _positive(p_adjusted, rule, comparison):
    """The genes that differ in the bulk reference, (n_genes,) bool; those that it has not measured do not."""
    if rule["rule"] == "level":
        return p_adjusted < rule["level"]
    if comparison not in rule:
        raise ValueError(
            f"protocol.differential.positives has no share of positive genes for the comparison {comparison}: add it, "
            f"e.g. +protocol.differential.positives.{comparison}=0.1."
        )
    first = np.argsort(p_adjusted, kind="stable")[: round(rule[comparison] * np.isfinite(p_adjusted).sum())]
    return np.isin(np.arange(len(p_adjusted)), first)


def _options(method, bayes_factor, bulk, comparison):
    """What ``compare`` of this method takes beside the cells: the sampling of Bayes factors, or the truth."""
    offered = bayes_factor | {"bulk": bulk, "comparison": comparison}
    return {name: offered[name] for name in inspect.signature(method.compare).parameters if name in offered}


def _draw(rng, group, rules):
    """Cells of a group: 100 of them, or all where there are fewer; drawn with replacement a cell still counts once."""
    if rules["replace"]:
        return np.unique(rng.choice(group, rules["n_cells"]))
    return rng.choice(group, min(rules["n_cells"], len(group)), replace=False)


def _halves(rng, group, n_cells):
    """Two disjoint draws from one group."""
    n = min(n_cells, len(group) // 2)
    return np.split(rng.choice(group, 2 * n, replace=False), 2)


def _agreement(table, bulk_adjusted, positive, rules):
    """Scores of one ranking of the genes against the bulk reference, where there is one, over the genes it measured."""
    result = {"n_detected": float(called(table=table, bayes_factor=BAYES_FACTOR, level=LEVEL).sum())}
    if bulk_adjusted is None:
        return result
    measured, score = np.isfinite(bulk_adjusted), table["score"].to_numpy()
    tested = np.isfinite(score)
    if rules["untested"] == "last":  # no evidence is p = 1, or a Bayes factor of 0
        score, tested = np.where(tested, score, 0.0), np.ones(len(score), dtype=bool)
    tested &= measured
    both_kinds = 0 < positive[tested].sum() < tested.sum()
    result |= {
        "auroc": auroc(score=score[tested], positive=positive[tested]) if both_kinds else np.nan,
        "idr_weight": np.nan,
        "idr_rho": np.nan,
    }
    detected = np.count_nonzero(bulk_adjusted < LEVEL)
    prior = max(detected, 1) / measured.sum() if rules["idr_prior"] == "detected" else rules["idr_prior"]
    reference = -np.log(np.maximum(bulk_adjusted[tested], 1e-300))
    try:
        fit = fit_idr(scores_a=score[tested], scores_b=reference, p=prior, **IDR_START)
    except ValueError:  # its likelihood has no maximum
        return result
    return result | {"idr_weight": fit.p, "idr_rho": fit.rho}


def _null_scores(table):
    scores = {"null_called": called(table=table, bayes_factor=BAYES_FACTOR, level=LEVEL).mean()}
    if "bayes_factor" in table:
        factors = table["bayes_factor"] if "called" in table else table["bayes_factor"].abs()  # a change has one side
        return scores | {"null_max_bayes_factor": factors.max()}
    return scores | {"null_p_below": (table["pvalue"].dropna() < LEVEL).mean()}


def _by_name(rows):
    return {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}


def _sd(values):
    return float(np.nanstd(values, ddof=1)) if (~np.isnan(values)).sum() > 1 else 0.0


def _signed(p_adjusted, fold):
    """-log10 of p-values with the sign of the change, (n_genes,)."""
    return np.sign(fold) * -np.log10(np.maximum(p_adjusted, 1e-300))


def _strength(table):
    """What the genes are ranked by, with the sign of the change."""
    score = table["score"].to_numpy(dtype=float)
    if "called" in table:  # below zero is evidence of no change, not of one in the other direction
        score = np.logaddexp(0, score)
    return np.sign(table["log_fold_change"].to_numpy(dtype=float)) * score


def _mean(rows):
    """The mean over repeats of what is finite in each gene, (n_genes,); NaN where nothing is."""
    values = np.array(rows, dtype=float)
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)


def _evidence(table):
    """The abscissa of Fig 5c–f."""
    if "bayes_factor" in table:
        return table["bayes_factor"].to_numpy()
    return _signed(adjusted(pvalue=table["pvalue"]), table["log_fold_change"].to_numpy())
