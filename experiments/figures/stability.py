"""Fig 14: scores over the latent dimension, and the course of training."""

import numpy as np
import pandas as pd

from ..loop.registry import METRICS
from ..plots.curves import Panel, line_panels
from ..plots.style import colour
from ..plots.words import about, counted, panel_of, spread_of
from . import of_finished


@of_finished
def figure(table, records):
    """Return {name: Figure}: scores over the latent dimension, and the training of methods that were watched."""
    first = next(table.itertuples())
    seeds = records["seed"].nunique()
    common = f"{about(first)}, n\xa0= {counted([seeds], 'seed')}, {counted(records['n_cells'], 'training cell')}, "
    common += "uniform corruption"
    colours = {row.label: colour(row.label, row.role) for row in records.itertuples()}

    columns = {"score": "panel", "label": "line", "n_latent": "x", "mean": "y", "ci_low": "low", "ci_high": "high"}
    shown = table[table["score"].isin(["median_l1", "asw", "ari", "nmi"]) & (table["n_seeds"] > 0)]
    data = shown.rename(columns=columns)[[*columns.values(), "published"]]
    ticks = tuple(sorted(data["x"].unique()))
    figures = {
        "dimension": line_panels(
            data,
            {score: Panel("latent dimensions", METRICS[score].title, ticks) for score in data["panel"].unique()},
            {label: {"color": c, "linestyle": "-", "marker": "o", "markersize": 3} for label, c in colours.items()},
            title=f"{panel_of('Fig 14a, d', first)}: results over the latent dimension",
            caption=f"{common}. {spread_of(shown, 'Point')}",
        )
    }

    watched = records[[len(arrays) > 0 for arrays in records["arrays"]]]
    if len(watched):
        data = pd.concat([_curves(rows) for _, rows in watched.groupby("label", sort=False)], ignore_index=True)
        labels = watched["label"].unique()
        looks = {f"{label}, training": {"color": colours[label], "linestyle": "-"} for label in labels}
        looks |= {f"{label}, held-out cells": {"color": colours[label], "linestyle": ":"} for label in labels}
        looks |= {f"{label}, hidden entries": {"color": colours[label], "linestyle": "--"} for label in labels}
        ticks = tuple(n for n in (2, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= data["x"].max())
        panels = {
            "objective": Panel("epoch", "objective (nats per cell)", ticks, log=True),
            "median_l1": Panel("epoch", METRICS["median_l1"].title, ticks, log=True),
        }
        spread = "From the second epoch on."
        if seeds > 1:
            spread = "Line: mean over seeds, from the second epoch on; band: lowest and highest seed."
        figures["training"] = line_panels(
            data,
            panels,
            looks,
            title=f"{panel_of('Fig 14b, c', first)}: the course of training",
            caption=f"{common}. {spread} Objective: minus the bound, its KL terms with the weight of the epoch.",
        )
    return figures


def _curves(rows):
    """The curves of one method: per epoch the mean over seeds, the lowest and the highest."""

    frames = []
    for panel, line, name in (
        ("objective", "training", "training"),
        ("objective", "held-out cells", "heldout"),
        ("median_l1", "hidden entries", "median_l1"),
    ):
        courses = [
            pd.Series(arrays[name], index=arrays["epochs"] if name == "median_l1" else 1 + np.arange(len(arrays[name])))
            for arrays in rows["arrays"]
        ]
        values = pd.concat(courses, axis=1).replace([np.inf, -np.inf], np.nan)  # (epochs, seeds); some end sooner
        frame = {"x": values.index, "y": values.mean(axis=1), "low": values.min(axis=1), "high": values.max(axis=1)}
        frames.append(pd.DataFrame({"panel": panel, "line": f"{rows.iloc[0]['label']}, {line}", **frame}))
    return pd.concat(frames).query("x > 1").assign(published=np.nan)
