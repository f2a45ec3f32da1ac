"""Rankings of the genes by several methods: the first genes of each, and how far the methods agree."""

import numpy as np
import pandas as pd
import seaborn as sns

from ..metrics.differential import rank_agreement
from .sheet import sheet
from .style import COLUMN, NUMBER, PAGE, SuiteFigure, in_style
from .text import clip, folded
from .words import about, counted, span, title_of

FIRST = 15  # genes of each method that are drawn


def rankings(records):
    """Every gene by every method, one row each: ``label, rank, gene, evidence, evidence_is, log_fold_change``.

    Parameters
    ----------
    records : pandas.DataFrame
        Finished jobs of one comparison, with ``arrays``: ``gene``, and ``evidence`` and ``log_fold_change`` with the
        sign of the change. Means over the seeds; rank 1 is the largest in size, genes without evidence come last.
    """
    frames = []
    for label, rows in records.groupby("label", sort=False):
        arrays = rows["arrays"].iloc[0]
        kind = "Bayes factor" if "null_max_bayes_factor" in arrays else "signed log10 adjusted p-value"
        frame = pd.DataFrame({"label": label, "gene": arrays["gene"], "evidence_is": kind})
        for name in ("evidence", "log_fold_change"):
            frame[name] = pd.DataFrame([found[name] for found in rows["arrays"]]).mean().to_numpy()
        frame["rank"] = frame["evidence"].abs().rank(method="first", ascending=False, na_option="bottom").astype(int)
        frames.append(frame.sort_values("rank"))
    columns = ["label", "rank", "gene", "evidence", "evidence_is", "log_fold_change"]
    return pd.concat(frames, ignore_index=True)[columns]


def ranking_sheet(records, like=""):
    """The first genes of each method as a table, all of them in the data beside it.

    Returns
    -------
    SuiteFigure
    """
    row, ranked = next(records.itertuples()), rankings(records)
    first = ranked[(ranked["rank"] <= FIRST) & ranked["evidence"].notna()]
    signed = first["gene"].map(clip) + np.where(first["evidence"] < 0, " −", " +")
    shown = first.assign(gene=signed).pivot(index="rank", columns="label", values="gene")
    caption = (
        f"{_where(row, records)}. Genes by the size of the evidence, mean over {span(records['n_repeats'])} draws of "
        f"cells; + more in {clip(row.group_a)}, − more in {clip(row.group_b)}. All genes are in the CSV beside it."
    )
    labels = list(dict.fromkeys(first["label"]))
    shown = shown[labels].set_axis(folded(labels, 24, lines=1), axis=1).reset_index().fillna("")
    figure = sheet(shown, title=title_of(row, like, "first genes of each method"), caption=caption)
    figure.data = ranked
    return figure


@in_style()
def agreement_matrix(records, like=""):
    """Spearman's correlation of the rankings of every two methods, the sign of the change included.

    Returns
    -------
    SuiteFigure
    """
    row, ranked = next(records.itertuples()), rankings(records)
    evidence = {label: rows.set_index("gene")["evidence"] for label, rows in ranked.groupby("label", sort=False)}
    matrix = np.array([
        [rank_agreement(first=a, second=b.reindex(a.index)) for b in evidence.values()] for a in evidence.values()
    ])  # fmt: skip
    caption = f"{_where(row, records)}, n\xa0= {counted(records['n_genes'], 'gene')}. 1: the same ranks and signs."
    title = title_of(row, like, "agreement of the methods")
    figure = SuiteFigure(min(COLUMN + 0.35 * max(len(evidence) - 5, 0), PAGE), title=title, caption=caption)
    (ax,) = figure.panels([""])
    names = folded(evidence, 16, lines=2)
    sns.heatmap(
        matrix, vmin=-1, vmax=1, cmap="RdBu_r", annot=True, fmt=".2f", annot_kws={"fontsize": NUMBER}, cbar=False,
        xticklabels=names, yticklabels=names, square=True, ax=ax,
    )  # fmt: skip
    ax.tick_params(length=0)
    ax.tick_params(axis="x", rotation=90)
    ax.tick_params(axis="y", rotation=0)
    pairs = [(a, b, matrix[i, j]) for i, a in enumerate(evidence) for j, b in enumerate(evidence) if i < j]
    alt = "; ".join(f"{a} and {b} {value:.2f}" for a, b, value in pairs)
    data = pd.DataFrame(pairs, columns=["label", "other", "spearman"])
    return figure.finish(f"Rank correlation of the genes. {alt}.", data)


def _where(row, records):
    seeds = counted([records["seed"].nunique()], "seed")
    return f"{about(row)}, {clip(row.group_a)} against {clip(row.group_b)}, n\xa0= {seeds}"
