"""Fig 1c: run time and memory against the number of cells."""

import json
import re

import numpy as np
import pandas as pd

from ..loop.paths import ROOT
from ..metrics.scalability import growth_exponent
from ..plots.scaling import scaling_panels
from ..plots.words import panel_of
from ..scalability import SCORES
from . import of_finished


@of_finished
def figure(table, records):
    """Return {name: Figure}: per number of genes, run time and memory against the number of cells."""
    figures, like = {}, panel_of("Fig 1c", next(table.itertuples()))
    for n_genes, timed in records.groupby("n_genes", sort=False):
        lines = _lines(table[table["n_genes"] == n_genes], timed)
        figures[f"growth_{n_genes}"] = scaling_panels(lines, published_runtimes(n_genes), timed, like=like)
    return figures


def published_runtimes(n_genes):
    """The paper's run times, all on BRAIN-LARGE, drawn beside any data: ``label``, ``n_cells``, ``minutes``."""
    numbers = json.loads((ROOT / "results" / "published.json").read_text())
    timed = [n for n in numbers if n["metric"] == "runtime_min"] if n_genes == 720 else []
    rows = [(n["method"], n["n_train_cells"], n["value"]) for n in timed]
    return pd.DataFrame(rows, columns=["label", "n_cells", "minutes"])


def _lines(table, records):
    """One row per method and size: mean cost, what stopped it, and the method's fitted exponent of growth.

    Columns ``label, role, n_cells, fit_minutes, memory_mb, stopped_minutes, stopped_mb, status, exponent, low, high``.
    """
    means = table.pivot(index=["label", "role", "n_cells", "status"], columns="score", values="mean").reset_index()
    means["stopped_minutes"] = [_limit(r"stopped after ([\d.]+) minutes", status) for status in means["status"]]
    means["stopped_mb"] = [_limit(r"memory: .* limit ([\d.]+) GB", status) * 1024 for status in means["status"]]
    growth = {
        label: growth_exponent(sizes=rows["n_cells"], costs=rows["fit_minutes"])
        for label, rows in records.groupby("label")
    }
    nothing = (np.nan, np.nan, np.nan)
    means[["exponent", "low", "high"]] = [growth.get(label, nothing) for label in means["label"]]
    order = {label: i for i, label in enumerate(table["label"].unique())}
    columns = ["label", "role", "n_cells", *(name for name in SCORES if name in means)]
    columns += ["stopped_minutes", "stopped_mb", "status", "exponent", "low", "high"]
    return means[columns].sort_values("n_cells").sort_values("label", key=lambda c: c.map(order), kind="stable")


def _limit(pattern, status):
    found = re.search(pattern, status)
    return float(found.group(1)) if found else np.nan
