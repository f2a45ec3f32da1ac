"""Bars of training speed as a share of what matrix products allow."""

import numpy as np

from .style import COLUMN, MARGIN, NUMBER, SuiteFigure, colour, in_style, inches

PROGRAMS = {"cells_per_s": "scVI", "cells_per_s_scvi_tools": "scVI (scvi-tools)"}  # column -> whose colour


def speed_bars(records):
    """One row per model, shape and number of threads, a bar for each program; a line at the limit of the products.

    The limit is the number of cells a second at which the processor would be busy with the large matrix products
    alone, at the speed it reaches on a square product in the same run. A sparse first layer skips a part of them, so
    that the line is no wall.

    Parameters
    ----------
    records : pandas.DataFrame
        One row per finished cell of the speed experiment.

    Returns
    -------
    SuiteFigure
    """
    names = [f"{row.label}, {row.shape.split(':')[0]}, {_threads(row.threads)}" for row in records.itertuples()]
    step, below = 0.36, 0.62
    left = 0.12 + MARGIN + max(inches(name, NUMBER) for name in names)
    width = max(COLUMN, left + 2.6)
    with in_style():
        figure = SuiteFigure(
            width,
            len(names) * step + below,
            title="Training speed, as a share of the limit of the matrix products",
            caption=_caption(records),
        )
        ax = figure.panel(left, below, width - left - 0.75, len(names) * step)
        words = []
        for i, (_, row) in enumerate(records.iterrows()):
            drawn = [column for column in PROGRAMS if np.isfinite(row.get(column, np.nan))]
            for j, column in enumerate(drawn):
                y, share = i + 0.38 * (j - (len(drawn) - 1) / 2), row[column] / row["gemm_limit_cells_per_s"]
                bar = ax.barh(y, share, height=0.34, color=colour(PROGRAMS[column]))
                bar.set_label(PROGRAMS[column] if i == 0 else None)
                ax.text(share + 0.015, y, f"{row[column]:,.0f}", va="center", fontsize=NUMBER)
            words.append(f"{names[i]} " + ", ".join(f"{PROGRAMS[c]} {row[c]:,.0f} cells/s" for c in drawn))
        ax.axvline(1, color="black", linewidth=0.8, linestyle=(0, (4, 2)), label="limit")
        top = max(1.05, (records["cells_per_s"] / records["gemm_limit_cells_per_s"]).max() + 0.05)
        ax.set(xlim=(0, top), ylim=(len(names) - 0.5, -0.5), xlabel="share of the limit; numbers are cells/s")
        ax.set_yticks(range(len(names)), names)
        ax.tick_params(axis="y", length=0)
        figure.legend(
            loc="lower left", bbox_to_anchor=(MARGIN / width, figure.foot / figure.height), ncols=3, frameon=False,
            borderaxespad=0, fontsize=NUMBER,
        )  # fmt: skip
    figure.data = records[
        ["label", "shape", "threads", "gemm_limit_cells_per_s", *(c for c in PROGRAMS if c in records)]
    ]
    figure.alt = "; ".join(words) + "."
    return figure


def _threads(n):
    return f"{n} thread" + "s" * (n > 1)


def _caption(records):
    first = records.iloc[0]
    beside = "scvi-tools was not there to compare with." if first["peer"] == "missing" else f"Beside {first['peer']}."
    return (
        f"Batch size 128, one hidden layer of 128, medians over {first['n_rounds']:.0f} epochs, in turns on the same "
        f"cores. {beside} Limit: the cores busy with the large matrix products alone, at the speed of a square product."
    )
