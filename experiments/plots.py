"""One look for the whole suite: the style, the colour of each method, the kinds of plot the experiments draw.

Sizes are inches and points on paper, so that a figure is read at the column width of a journal. A figure explains
itself: ``caption`` and ``alt`` (what it shows, in words and numbers) are written into the files it is saved to.
"""

import hashlib
import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from .metrics import METRICS

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "pdf.fonttype": 42,  # text stays text in the PDF
}
SMALL = 6.5  # points: the caption line
MUTED, CONTROL = "#5c5c5c", "#a3a3a3"

# Okabe and Ito's palette where it reaches, close to the hues of the paper's Fig 1c (FA blue, scVI orange, ...).
COLOURS = {
    "scVI": "#e69f00",
    "FA": "#0072b2",
    "PCA": "#56b4e9",
    "ZIFA": "#d55e00",
    "ZINB-WaVE": "#5d3a9b",
    "SIMLR": "#7a4a1e",
    "MAGIC": "#222222",
    "BISCUIT": "#cc79a7",
    "DCA": "#009e73",
    "ComBat": "#b5b000",
    "MNN": "#882255",
    "DESeq2": "#44aa99",
    "edgeR": "#aa4499",
    "MAST": "#117733",
}


def colour(label, role="method"):
    """The colour of a method in every figure, from its label alone.

    A variant, such as ``scVI (NB)`` or ``ComBat + PCA``, is a tint of the method it starts with; a method that the
    suite does not know gets a hue hashed from its name; controls are grey.
    """
    if role == "control":
        return CONTROL
    if label in COLOURS:
        return COLOURS[label]
    share = int.from_bytes(hashlib.sha256(label.encode()).digest()[:4], "big") / 2**32
    base = COLOURS.get(label.split(" (")[0].split(" + ")[0])
    if base is None:
        return to_hex(hsv_to_rgb((share, 0.65, 0.65)))
    return to_hex(np.array(to_rgb(base)) + (0.25 + 0.35 * share) * (1 - np.array(to_rgb(base))))


class SuiteFigure(Figure):
    """A figure that is saved in the suite's style, its words included in the file."""

    caption = alt = ""

    def savefig(self, fname, *, format, metadata=None, **options):
        words = {"Title": self.caption, {"png": "Description", "pdf": "Subject"}.get(format, "Description"): self.alt}
        if format in ("png", "pdf"):
            options["metadata"] = words | (metadata or {})
        with mpl.rc_context(STYLE):
            super().savefig(fname, format=format, **options)


def density_panels(panels, *, limit, x, y, score):
    """Fig 2: density of imputed against original counts, one square per method, with two lines and the score d.

    Parameters
    ----------
    panels : list of namedtuple
        Rows of ``DataFrame.itertuples`` of one seed: ``label``, ``role``, ``dataset``, ``protocol``, ``seed``,
        ``n_scored``, the score, and ``arrays`` with ``density`` (grid, grid) indexed [x, y], ``slope``, ``n_shown``.
    limit : float
        Both axes go from 0 to here.
    x, y : str
        What the axes show, with the unit.
    score : str
        The attribute that is printed as d.

    Returns
    -------
    SuiteFigure
    """
    n = len(panels)
    columns = n if n <= 4 else 3 if n in (5, 6, 9) else 4
    rows = math.ceil(n / columns)
    side, gap, left, right, title, bottom = 1.42, 0.2, 0.46, 0.62, 0.27, 0.42
    width = left + columns * side + (columns - 1) * gap + right
    with mpl.rc_context(STYLE):
        text = _density_text(panels, limit, score)
        figure, foot = _figure(width, HEAD + rows * (side + title) + bottom, text)
        height = figure.get_figheight()
        for i, panel in enumerate(panels):
            row, column = divmod(i, columns)
            place = (left + column * (side + gap), height - HEAD - (row + 1) * (side + title), side, side)
            ax = figure.add_axes(_fractions(place, width, height))
            image = _density(ax, panel, limit, score)
            ax.set(xticks=[0, limit / 2, limit], yticks=[0, limit / 2, limit])
            ax.tick_params(labelleft=column == 0, labelbottom=i + columns >= n)
        top = height - HEAD - title
        figure.text((left + width - right) / 2 / width, (foot + 0.05) / height, x, ha="center")
        figure.text(0.06 / width, (foot + bottom + top) / 2 / height, y, va="center", rotation=90)
        figure.text(0.06 / width, 1 - 0.08 / height, _title(panels[0]._asdict()), va="top", fontsize=8.5)
        bar = figure.add_axes(_fractions((width - right + 0.12, top - side, 0.07, side), width, height))
        scale = figure.colorbar(image, cax=bar, ticks=[0, 1])
        scale.set_ticklabels(["0", "max"])
        scale.set_label("density", labelpad=-12)
        scale.outline.set_linewidth(0.6)
    figure.caption = f"{_title(panels[0]._asdict())}: {y} against {x}. {text}"
    listed = (f"{p.label}: d = {getattr(p, score):.2f}, slope {float(p.arrays['slope']):.2f}" for p in panels)
    figure.alt = f"{n} square density plots of {y} against {x}, 0 to {limit}. " + "; ".join(listed) + "."
    return figure


def _density(ax, panel, limit, score):
    density = panel.arrays["density"]
    image = ax.imshow(
        density.T / density.max(), origin="lower", extent=(0, limit, 0, limit), cmap="Reds", vmin=0, vmax=1,
        interpolation="bilinear", aspect="equal",
    )  # fmt: skip
    ends = np.array([0.0, limit])
    ax.plot(ends, ends, ":", color="black", linewidth=0.9)
    ax.plot(ends, float(panel.arrays["slope"]) * ends, "-", color="black", linewidth=0.9)
    ax.set(xlim=(0, limit), ylim=(0, limit))
    ax.spines[["top", "right"]].set_visible(True)
    ax.spines["top"].set(color=colour(panel.label, panel.role), linewidth=2.5)
    ax.set_title(panel.label, pad=4)
    paper = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.2}
    ax.text(0.05, 0.94, f"d = {getattr(panel, score):.2f}", transform=ax.transAxes, va="top", bbox=paper)
    return image


def _density_text(panels, limit, score):
    first = panels[0]
    scored = _span([int(p.n_scored) for p in panels])
    shown = _span([int(p.arrays["n_shown"]) for p in panels])
    return (
        f"{first.dataset}, protocol {first.protocol}, {_span([p.seed for p in panels], 'seed')}. "
        f"d: {METRICS[score].label} over n = {scored} entries. Colour: kernel density of the n = {shown} of them that "
        f"were set to zero, both values below {limit}, up to the maximum of each panel. Solid: least squares through "
        "the origin; dotted: equality."
    )


def score_bars(table, score):
    """Fig 9b: one horizontal bar per method with its interval, the published value as a hollow diamond on its row.

    Best first, then the controls (grey), which give the score a scale. A control more than ``CUT`` times longer than
    all else is drawn shorter, with a mark across the bar, a note in the caption and its true value beside it.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``experiments.table.summarise`` for one value of each axis.
    score : str
        A key of ``METRICS``.

    Returns
    -------
    SuiteFigure
    """
    metric = METRICS[score]
    table = table[table["score"] == score] if "score" in table else table
    table = _ranked(table, metric.better)
    with mpl.rc_context(STYLE):
        rows = [_Bar(row, _longest(table)) for row in table.itertuples()]
        text, label = _bars_text(table, rows), f"{metric.label}, {metric.better} is better"
        width, left, right, step, top, bottom = (
            3.5,
            0.18 + max(_inches(r.label, 7)[0] for r in rows),
            0.06,
            0.23,
            HEAD + 0.06,
            0.46,
        )
        figure, foot = _figure(width, len(rows) * step + top + bottom, text)
        height, inner = figure.get_figheight(), width - left - right
        ax = figure.add_axes(_fractions((left, foot + bottom, inner, len(rows) * step), width, height))
        low, unit = _scale(rows, inner)
        ax.set(xlim=(low, low + inner / unit), ylim=(len(rows) - 0.5, -0.5))
        for i, row in enumerate(rows):
            row.draw(ax, i, unit)
        ax.set_yticks(range(len(rows)), [row.label for row in rows])
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.axvline(0, color="#444444", linewidth=0.6)
        middle = min(left + inner / 2, width - 0.06 - _inches(label, 7.5)[0] / 2)
        figure.text(middle / width, (foot + 0.06) / height, label, ha="center")
        figure.text(0.06 / width, 1 - 0.08 / height, _title(rows[0].row._asdict()), va="top", fontsize=8.5)
        if table["published"].notna().any():
            figure.legend(
                ax.plot([], [], **PUBLISHED), ["published"], loc="upper right", borderaxespad=0, borderpad=0,
                bbox_to_anchor=(1 - 0.06 / width, 1 - 0.09 / height), frameon=False, handletextpad=0, fontsize=7,
            )  # fmt: skip
    figure.caption = f"{_title(rows[0].row._asdict())}: {label}. {text}"
    figure.alt = f"Bars of {label}. " + "; ".join(row.words for row in rows) + "."
    return figure


HEAD = 0.3  # inches: the title of a figure
CUT = 2.5
PAD, HALF_DIAMOND = 0.05, 0.05  # inches
PUBLISHED = {
    "marker": "D", "markersize": 4, "markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 0.9,
    "linestyle": "none", "clip_on": False, "zorder": 5,
}  # fmt: skip


class _Bar:
    """One row of ``score_bars``: what is drawn where."""

    def __init__(self, row, longest):
        self.row, self.label, self.published = row, row.label, row.published
        self.cut = row.role == "control" and row.mean > CUT * longest > 0
        self.length = CUT * longest if self.cut else row.mean
        self.low = np.nanmin([0.0, self.length, row.ci_low, row.published])
        self.end = self.length if self.cut else np.nanmax([0.0, self.length, row.ci_high])
        self.number = f"{row.mean:.2f}" if row.n_seeds else _outcome(row.status)
        self.words = f"{row.label} {self.number}"
        if row.ci_low == row.ci_low:
            self.words += f" ({row.ci_low:.2f} to {row.ci_high:.2f})"
        if row.published == row.published:
            self.words += f", published {row.published:.2f}"

    def number_at(self, unit):
        """Where the number starts: after the bar, or after the published value where that would be in its way."""
        room = (self.published - self.end) * unit - HALF_DIAMOND - PAD  # inches between the bar and the diamond
        if -2 * HALF_DIAMOND - PAD < room < PAD + _inches(self.number, 7)[0]:
            return self.published + (HALF_DIAMOND + PAD) / unit
        return self.end + PAD / unit

    def draw(self, ax, i, unit):
        row = self.row
        if row.n_seeds:
            ax.barh(i, self.length, height=0.62, color=colour(row.label, row.role))
        if row.ci_low == row.ci_low and not self.cut:
            ends = [[row.mean - row.ci_low], [row.ci_high - row.mean]]
            ax.errorbar(row.mean, i, xerr=ends, color="black", elinewidth=0.9, capsize=2, capthick=0.9, zorder=4)
        if self.cut:
            for shift in (0.10, 0.15):
                x = self.length - np.array([shift + 0.04, shift]) / unit
                ax.plot(x, [i + 0.4, i - 0.4], color="white", linewidth=1.5)
        if row.published == row.published:
            ax.plot(row.published, i, **PUBLISHED)
        style = {} if row.n_seeds else {"color": MUTED, "style": "italic"}
        ax.text(self.number_at(unit), i, self.number, va="center", fontsize=7, **style)


def _scale(rows, inner):
    """Left end of the axis and inches per unit, such that every number still fits."""
    low = min(row.low for row in rows)
    unit = inner / (max([row.end for row in rows] + [r.published for r in rows if r.published > 0]) * 1.03 - low or 1.0)
    for _ in range(len(rows) + 1):  # a smaller unit can move a number beyond a diamond, hence again
        room = [(inner - _inches(row.number, 7)[0] - PAD) / (row.number_at(unit) - low or 1.0) for row in rows]
        unit = min(unit, *room)
    return (low - 0.02 * inner / unit if low < 0 else low), unit


def _ranked(table, better):
    """Methods by score, then those without one, then the controls."""
    ordered = table.sort_values("mean", ascending=better == "lower", na_position="last", kind="stable")
    control = ordered["role"] == "control"
    return pd.concat([ordered[~control], ordered[control]])


def _longest(table):
    methods = table[table["role"] != "control"]
    return np.nanmax([0.0, *methods["mean"], *methods["ci_high"], *methods["published"]])


def _outcome(status):
    """The words before the colons of "failed: why; skipped: why"."""
    return (
        " and ".join(dict.fromkeys(word for word in ("failed", "timeout", "skipped") if word in status)) or "no result"
    )


def _title(row):
    """The experiment and its axes: columns between protocol and method or, of a cell, between key and status."""
    names = list(row)
    after, before = ("key", "status") if "key" in row else ("protocol", "method")
    axes = names[names.index(after) + 1 : names.index(before)]
    return ", ".join([row["experiment"], *(f"{name} {row[name]}" for name in axes)])


def _bars_text(table, rows):
    first = table.iloc[0]
    seeds = table.loc[table["n_seeds"] > 0, "n_seeds"]
    text = f"{first['dataset']}, protocol {first['protocol']}, n = {_span(seeds, 'seed', count=True)}. "
    text += "Bar: mean over seeds; line: its 95% bootstrap interval."
    return text + (" Bars with a cut (//) are longer than drawn." if any(row.cut for row in rows) else "")


def _span(values, noun="", count=False):
    """ "5", "4–5", with a noun: "seed 0", "seeds 0–4", or, of counts, "5 seeds"."""
    low, high = (min(values), max(values)) if len(values) else (0, 0)
    span = f"{low:,}" if low == high else f"{low:,}–{high:,}"
    if not noun:
        return span
    return f"{span} {noun}{'s' * (high != 1)}" if count else f"{noun}{'s' * (low != high)} {span}"


def _figure(width, height, text):
    """A figure with room for the caption line below ``height`` inches of plot; and that room, in inches."""
    lines = _wrap(text, width - 0.12)
    foot = 0.125 * len(lines) + 0.06
    figure = SuiteFigure(figsize=(width, height + foot))
    FigureCanvasAgg(figure)
    figure.text(
        0.06 / width, 0.04 / (height + foot), "\n".join(lines), fontsize=SMALL, color=MUTED, va="bottom",
        linespacing=0.125 * 72 / SMALL / 1.164,
    )  # fmt: skip
    return figure, foot


def _wrap(text, width):
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _inches(longer, SMALL)[0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _inches(text, points):
    """Width and height of ``text`` on paper."""
    box = TextPath((0, 0), text or " ", size=points).get_extents()
    return box.width / 72 + 0.01, box.height / 72


def _fractions(place, width, height):
    x, y, w, h = place
    return x / width, y / height, w / width, h / height
