"""Tables 2, 3 and 4, drawn."""

import numpy as np
import pandas as pd

from ..plots.sheet import sheet
from ..tables import CAPABILITIES, SIZES


def figure(table, records):
    """Return {name: Figure}: the tables, each drawn and, as its data, a CSV."""
    row = next(records[records["seed"] == records["seed"].min()].itertuples())
    arrays, where = row.arrays, f"{row.dataset}, protocol {row.protocol}"
    published = table.set_index("score")["published"]
    sizes = table[table["score"].isin(SIZES)]
    figures = {
        "sizes": sheet(
            pd.DataFrame({"": [s.removeprefix("n_") for s in sizes["score"]], "here": sizes["mean"].astype(int),
                          "published": sizes["published"]}),
            title="Table 2: size of the data", caption=f"{where}. Training and test cells by its split.",
        ),
        "hyperparameters": sheet(
            pd.DataFrame({"parameter": arrays["parameter"], "value": arrays["value"]}),
            title=f"Table 2: hyperparameters of {row.label}", caption=f"{where}. As the configuration resolves them.",
        ),
        "methods": sheet(
            pd.DataFrame(np.where(arrays["can"], "✓", ""), columns=CAPABILITIES).assign(method=arrays["method"])[
                ["method", *CAPABILITIES]
            ],
            title="Table 2: what methods can do",
            caption=f"{where}. Read off the classes; correct needs two batches, compare two labels.",
        ),
    }  # fmt: skip
    if len(arrays["label"]):
        found = sorted((int(name.removeprefix("cut_")) for name in arrays if name.startswith("cut_")), reverse=True)
        cuts = {f"cut to {k}": arrays[f"cut_{k}"] for k in found}
        labels = pd.DataFrame({"cell type": arrays["label"], "cells": arrays["size"]} | cuts)
        labels["published"] = [published.get(f"n_cells {label}", np.nan) for label in arrays["label"]]
        figures["labels"] = sheet(
            labels, title=f"{'Table 3' if cuts else 'Table 4'}: cell types", caption=f"{where}. All cells."
        )
    return figures
