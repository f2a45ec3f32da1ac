"""Bars of training speed as a share of what matrix products allow."""

import numpy as np
import seaborn as sns

from .style import NUMBER, PAGE, SuiteFigure, colour, in_style

PROGRAMS = {"cells_per_s": "scVI", "cells_per_s_scvi_tools": "scVI (scvi-tools)"}  # column -> whose colour


@in_style()
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
    drawn = [column for column in PROGRAMS if column in records and records[column].notna().any()]
    title = "Training speed, as a share of the limit of the matrix products"
    figure = SuiteFigure(0.7 * PAGE, title=title, caption=_caption(records))
    (ax,) = figure.panels([""])
    ax.axvline(1, color="black", linewidth=0.8, linestyle=(0, (4, 2)), label="limit")
    shares = records[drawn].div(records["gemm_limit_cells_per_s"], axis=0).rename(columns=PROGRAMS).assign(name=names)
    sns.barplot(
        shares.melt("name"), x="value", y="name", hue="variable", palette=[colour(PROGRAMS[c]) for c in drawn],
        saturation=1, errorbar=None, ax=ax,
    )  # fmt: skip
    for column, bars in zip(drawn, ax.containers, strict=True):
        ax.bar_label(bars, [f"{speed:,.0f}" for speed in records[column]], padding=2, fontsize=NUMBER)
    ax.set(xlabel="share of the limit; numbers are cells/s", ylabel="")
    ax.tick_params(axis="y", length=0)
    figure.key(ax.get_legend_handles_labels()[0])
    ax.get_legend().remove()
    data = records[["label", "shape", "threads", "gemm_limit_cells_per_s", *(c for c in PROGRAMS if c in records)]]
    words = (f"{name} {_speeds(row)}" for name, (_, row) in zip(names, records.iterrows(), strict=True))
    return figure.finish(f"{'; '.join(words)}.", data, 0.36 * len(names))


def _speeds(row):
    """The speed of each program in words."""
    present = [column for column in PROGRAMS if np.isfinite(row.get(column, np.nan))]
    return ", ".join(f"{PROGRAMS[column]} {row[column]:,.0f} cells/s" for column in present)


def _threads(n):
    return f"{n} thread" + "s" * (n > 1)


def _caption(records):
    first = records.iloc[0]
    beside = "scvi-tools was not there to compare with." if first["peer"] == "missing" else f"Beside {first['peer']}."
    return (
        f"Batch size 128, one hidden layer of 128, medians over {first['n_rounds']:.0f} epochs, in turns on the same "
        f"cores. {beside} Limit: the cores busy with the large matrix products alone, at the speed of a square product."
    )
