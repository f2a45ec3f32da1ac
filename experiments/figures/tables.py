"""Tables 2, 3 and 4, drawn."""

import numpy as np
import pandas as pd

from ..plots.sheet import sheet
from ..plots.text import clip
from ..plots.words import about, panel_of
from ..tables import CAPABILITIES, SCORES, SIZES
from . import of_finished


@of_finished
def figure(table, records):
    """Return {name: Figure}: the tables, each drawn and, as its data, a CSV."""
    row = next(records[records["seed"] == records["seed"].min()].itertuples())
    arrays, where = row.arrays, about(row)
    of_sizes = panel_of("Table 2", row)
    table = table[table["label"] == row.label]
    published = table.set_index("score")["published"]
    sizes = table[table["score"].isin(SIZES)]
    figures = {
        "sizes": sheet(
            pd.DataFrame({"number of": [SCORES[score].label for score in sizes["score"]],
                          "here": sizes["mean"].astype(int), "published": sizes["published"]})
            .dropna(axis=1, how="all"),
            title=f"{of_sizes}: size of the data", caption=f"{where}. Training and test cells by its split.",
        ),
        "hyperparameters": sheet(
            pd.DataFrame({"parameter": arrays["parameter"], "value": arrays["value"]}),
            title=f"{of_sizes}: hyperparameters of {clip(row.label)}",
            caption=f"{where}. As the configuration resolves them.",
        ),
        "methods": sheet(
            pd.DataFrame(np.where(arrays["can"], "✓", ""), columns=CAPABILITIES).assign(method=arrays["method"])[
                ["method", *CAPABILITIES]
            ],
            title=f"{of_sizes}: what methods can do",
            caption=f"{where}. Read off the classes; correct needs two batches, compare two labels.",
        ),
    }  # fmt: skip
    if len(arrays["label"]):
        found = sorted((int(name.removeprefix("cut_")) for name in arrays if name.startswith("cut_")), reverse=True)
        cuts = {f"cut to {k}": arrays[f"cut_{k}"] for k in found}
        labels = pd.DataFrame({"cell type": arrays["label"], "cells": arrays["size"]} | cuts)
        labels["published"] = [published.get(f"n_cells {label}", np.nan) for label in arrays["label"]]
        figures["labels"] = sheet(
            labels.dropna(axis=1, how="all"),
            title=f"{panel_of('Table 3' if cuts else 'Table 4', row)}: cell types",
            caption=f"{where}. All cells.",
        )
    return figures
