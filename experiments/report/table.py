"""From records to tables: one row per job, then one row per method with an interval and the published value."""

import numpy as np
import pandas as pd

from .intervals import interval
from .numbers import interval_words, number
from .published import known as published_number
from .published import tolerance

REFERENCE = "scVI"  # the method that all others are compared with, seed by seed
OF_THE_METHOD = ("generative_sha256", "generative_sha256_tuned")  # hashes of what was fitted, not of the task


def frame(records):
    """One row per record: identity, axes, status, scores and facts as columns."""
    rows = []
    for record in records:
        row = {
            name: record[name]
            for name in ("experiment", "dataset", "protocol", "method", "label", "role", "seed", "key")
        }
        row |= record["axes"] | {"status": record["status"], "reason": record["reason"]}
        row |= record["scores"] | record["facts"]
        row |= {"seconds": record["seconds"]["total"], "peak_memory_mb": record["peak_memory_mb"]}
        rows.append(row)
    table = pd.DataFrame(rows)
    for name in table.columns[table.isna().any()]:  # a count that a failed job has not stays a whole number
        if {type(row[name]) for row in rows if name in row} == {int}:
            table[name] = pd.array([row.get(name) for row in rows], dtype="Int64")
    return table


def differing(jobs, axes):
    """One sentence for each task that was not the same for all methods: their scores cannot be set side by side.

    What tells a task is the facts that end in ``_sha256`` (experiments.tasks.hashes): the cells, the corrupted counts.
    """
    said = []
    for name in [column for column in jobs if column.endswith("_sha256") and column not in OF_THE_METHOD]:
        for values, group in jobs[jobs["status"] == "done"].groupby([*axes, "seed"], sort=False):
            if group[name].nunique() > 1:
                where = ", ".join(f"{key} {value}" for key, value in zip([*axes, "seed"], values, strict=True))
                usual = group[name].mode()[0]
                odd = ", ".join(group.loc[group[name] != usual, "label"])
                said.append(
                    f"{name} of {odd} is not that of the other methods ({where}): they did not see the same, run it "
                    "again with fresh=true."
                )
    return said


def summarise(jobs, axes, published, published_as, origin=""):
    """One row per method, axes and score: mean over seeds, its 95% interval, the published value, what is missing.

    Parameters
    ----------
    jobs : pandas.DataFrame
        From ``frame``.
    axes : list of str
        Axis columns beside the seed.
    published : dict
        Score name -> its address in results/published.json, as `report.published.addresses` takes it.
    published_as : str or None
        Name of the data set in results/published.json; None where the paper has none.
    origin : str
        Which source the data came from, carried in every row.

    Returns
    -------
    pandas.DataFrame
        Columns ``experiment, dataset, protocol, <axes>, method, label, role, score, mean, ci_low, ci_high, n_seeds,
        n_missing, published, published_in, tolerance, status, difference, vs_scvi, vs_scvi_low, vs_scvi_high, source``.
        ``vs_scvi``: this method minus scVI, seed by seed (same split, same corruption), with its interval.
        A score that no finished job of a row has is left out; a row without any finished job keeps those that
        another method has, or the paper; all where nothing has finished.
    """
    identity = ["experiment", "dataset", "protocol", *axes, "method", "label", "role"]
    of_done = jobs[jobs["status"] == "done"].dropna(axis=1, how="all").columns.intersection(list(published))
    rows = []
    for values, group in jobs.groupby(identity, sort=False):
        done = group[group["status"] == "done"]
        for score, metric in published.items():
            row = dict(zip(identity, values, strict=True)) | {"score": score}
            scores = done[score].dropna().to_numpy(dtype=float) if score in done else np.array([])
            known = published_number(published_as, row, metric)
            is_of_others = score in of_done or known or of_done.empty
            if not scores.size and (len(done) or not is_of_others):
                continue
            low, high = interval(scores)
            row |= {
                "mean": scores.mean() if scores.size else np.nan,
                "ci_low": low,
                "ci_high": high,
                "n_seeds": scores.size,
                "n_missing": len(group) - scores.size,
                "published": known.get("value", np.nan),
                "published_in": known.get("figure", ""),
                "tolerance": tolerance(known["metric"], known["value"])[0] if known else np.nan,
                "status": _status(group),
            }
            row["difference"] = row["mean"] - row["published"]
            row |= _against_reference(jobs, group, axes, score)
            row["source"] = origin
            rows.append(row)
    return pd.DataFrame(rows)


def _against_reference(jobs, group, axes, score):
    """Mean over seeds of this method minus the reference, both on the same seed, and its interval."""
    pairs = np.array([])
    if group["label"].iloc[0] != REFERENCE and score in jobs:
        same = (jobs["label"] == REFERENCE) & (jobs["status"] == "done")
        for axis in axes:
            same &= jobs[axis] == group[axis].iloc[0]
        reference = jobs[same].drop_duplicates("seed").set_index("seed")[score]
        own = group[group["status"] == "done"].set_index("seed")[score]
        pairs = (own - reference).dropna().to_numpy(dtype=float)
    low, high = interval(pairs)
    mean = pairs.mean() if pairs.size else np.nan
    return {"vs_scvi": mean, "vs_scvi_low": low, "vs_scvi_high": high}


def _status(group):
    bad = group.loc[group["status"] != "done", ["status", "reason"]].drop_duplicates()
    return "; ".join(f"{status}: {reason}" for status, reason in sorted(bad.itertuples(index=False))) or "done"


def as_text(table, axes):
    """The summary as people read it on a terminal."""
    lines = []
    for values, block in table.groupby(axes, sort=False) if axes else [((), table)]:
        lines.append(", ".join(f"{axis}: {value}" for axis, value in zip(axes, values, strict=True)))
        shown = pd.DataFrame(
            {
                "method": block["label"],
                "score": block["score"],
                "ours": [number(v) or "–" for v in block["mean"]],
                "95% interval": [interval_words(*ends) or "–" for ends in block[["ci_low", "ci_high"]].to_numpy()],
                "published": [number(v) or "–" for v in block["published"]],
                "difference": [number(v, "+") or "–" for v in block["difference"]],
                "seeds": block["n_seeds"],
                "status": [s if s == "done" else s[:60] for s in block["status"]],
            }
        )
        lines += [shown.to_string(index=False, justify="left"), ""]
    return "\n".join(lines)
