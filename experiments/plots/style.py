"""One look for the whole suite: type, the colour of each method, figures that carry their own words.

Sizes are inches and points on paper, so that a figure is read at the column width of a journal. Where things stand on
it is left to matplotlib's constrained layout.
"""

import contextlib
import hashlib
import io
import logging
import warnings

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font_names
from matplotlib.patheffects import withStroke
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.spatial import cKDTree

from .text import fold, folded

COLUMN, PAGE = 3.5, 7.2  # inches: one column of a journal, two
MARGIN = 0.06  # inches at every edge of a figure
TITLE, NUMBER, FOOT = 8.5, 7, 6.5  # points
INK, SOFT = "#222222", "#5c5c5c"
WIDEST = 12  # columns of a legend
EXACT = 192  # colours of a PNG that are kept as they are drawn

CJK = (  # for the letters of a user's labels that DejaVu Sans lacks, where one of these is installed
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS",
)  # fmt: skip
STYLE = {
    # DejaVu Sans comes with matplotlib: the same letters on every machine.
    "font.family": ["DejaVu Sans", *(name for name in CJK if name in get_font_names())],
    "font.size": 7.5,
    "text.color": INK,
    "text.parse_math": False,  # a $ in the names of a user is no formula
    "axes.titlesize": TITLE,
    "axes.labelsize": 7.5,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": NUMBER,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.4,
    "legend.labelspacing": 0.35,
    "legend.borderpad": 0,
    "pdf.fonttype": 42,  # text stays text in the PDF
}
for _axis in "xy":
    STYLE |= {f"{_axis}tick.labelsize": NUMBER, f"{_axis}tick.labelcolor": INK, f"{_axis}tick.color": "#444444"}
    STYLE |= {f"{_axis}tick.major.width": 0.6, f"{_axis}tick.major.size": 2.5}


@contextlib.contextmanager
def in_style():
    """Context in which figures are made and saved: ``STYLE`` over matplotlib's defaults, whatever the user has set."""
    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)  # most families of CJK have no bold face: no matter
    try:
        with mpl.style.context(["default", STYLE]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of a user's label: it is drawn as a box
            yield
    finally:
        fonts.setLevel(level)


# The hues of the paper's Fig 1c (FA blue, scVI orange, DCA green, ZIFA red, ...), moved to where all of them differ
# from each other and from the grey of the controls for readers with any of the three colour vision deficiencies.
CONTROL = "#adadad"
COLOURS = {
    "scVI": "#e69f00",
    "FA": "#0072b2",
    "PCA": "#56b4e9",
    "ZIFA": "#d55e00",
    "ZINB-WaVE": "#623cb4",
    "SIMLR": "#7f3b10",
    "MAGIC": "#4d6650",
    "BISCUIT": "#b34b82",
    "DCA": "#009e73",
    "ComBat": "#9a9a3c",
    "MNN": "#7f3d66",
    "DESeq2": "#88dacc",
    "edgeR": "#b26acf",
    "MAST": "#658534",
}
SALT = 514  # of the hash of other labels: those that conf/exp/ draws together come out apart


def colour(label, role="method"):
    """The colour of a method in every figure, from its label alone.

    A variant, such as ``scVI (NB)`` or ``ComBat + PCA``, is a shade of the method it starts with, dark to mid and a
    little to either side of its hue; a method that the suite does not know gets a hue; both are hashed from the label.
    Controls are grey.
    """
    if role == "control":
        return CONTROL
    if label in COLOURS:
        return COLOURS[label]
    share, other = np.frombuffer(hashlib.sha256(f"{SALT} {label}".encode()).digest()[:8], ">u4") / 2**32
    base = COLOURS.get(label.split(" (")[0].split(" + ")[0])
    if base is None:
        return to_hex(hsv_to_rgb((share, 0.65, 0.65)))
    hue, saturation, _ = rgb_to_hsv(to_rgb(base))
    return to_hex(hsv_to_rgb(((hue + 0.12 * (other - 0.5)) % 1, saturation, 0.3 + 0.5 * share)))


PUBLISHED = {  # a published value in every figure: a hollow diamond
    "marker": "D", "markersize": 4, "markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 0.9,
    "linestyle": "none", "zorder": 5, "path_effects": [withStroke(linewidth=2.2, foreground="white")],
}  # fmt: skip


def across(columns):
    """Inches of paper for so many squares side by side."""
    return max(COLUMN, PAGE * min(columns, 4) / 4)


class SuiteFigure(Figure):
    """A figure with a title above and a caption below; its words are saved in the file with it.

    Parameters
    ----------
    width : float
        Inches on paper. The height follows from the panels, see `finish`.
    title, caption : str
        Wrapped to the width, a title of many lines cut.

    Attributes
    ----------
    alt : str
        What the figure shows, in words and numbers, for those who cannot see it.
    data : pandas.DataFrame
        What is drawn: saved as a CSV beside the figure.
    """

    alt, data = "", None

    def __init__(self, width, *, title, caption):
        super().__init__(figsize=(width, 5 * width), dpi=200, layout="constrained")
        FigureCanvasAgg(self)
        self.get_layout_engine().set(w_pad=MARGIN, h_pad=MARGIN, wspace=0.02, hspace=0.02)
        self.title, self.caption = title, caption
        place = {"x": MARGIN / width, "ha": "left"}
        self.suptitle(self._wrapped(title, TITLE, lines=6), fontsize=TITLE, **place)
        self.supxlabel(self._wrapped(caption, FOOT), fontsize=FOOT, color=SOFT, **place)
        self.body = self.subfigures()  # the panels and their legend, between title and caption

    def _wrapped(self, text, size, lines=None):
        """``text`` in lines as wide as the paper (matplotlib takes what stands between $ for formulas)."""
        measure, font = self.canvas.get_renderer().get_text_width_height_descent, FontProperties(size=size)
        for characters in range(int(140 * self.get_figwidth() / size), 10, -1):
            folded_text = fold(text, characters, lines)
            widest = max(measure(line, font, False)[0] for line in folded_text.split("\n"))
            if widest <= self.bbox.width - 2 * MARGIN * self.dpi:
                break
        return folded_text

    def panels(self, names, columns=4, **options):
        """Axes for the panels called ``names``, row by row; ``options`` are those of ``Figure.subplots``."""
        columns = min(columns, len(names))
        axes = self.body.subplots(-(-len(names) // columns), columns, squeeze=False, **options).ravel()
        if any(names):
            for ax, name in zip(axes, folded(names, int(15 * (self.get_figwidth() / columns - 0.45))), strict=False):
                ax.set_title(name, pad=4)
        for ax in axes[len(names) :]:
            ax.remove()
        return list(axes[: len(names)])

    def key(self, handles, loc="outside lower left", **options):
        """Add a legend beside the panels, by default below them in as many columns as the paper is wide for."""
        for columns in range(min(len(handles), WIDEST), 0, -1):
            legend = self.body.legend(handles=handles, loc=loc, **{"ncols": columns} | options)
            if columns == 1 or "ncols" in options or legend.get_window_extent().width < self.bbox.width:
                return
            legend.remove()

    def finish(self, alt, data, height=None):
        """Return the figure with its words and data, as high as panels of ``height`` inches, or square ones, need."""
        self.alt, self.data = alt, data
        first = self.axes[0]
        for _ in range(2):  # once more for what depends on the height itself
            self.draw_without_rendering()
            place = first.get_position(original=True).transformed(self.body.transSubfigure)
            missing = (height or place.width / self.dpi) - place.height / self.dpi
            self.set_figheight(self.get_figheight() + first.get_gridspec().nrows * missing)
        self.draw_without_rendering()
        self.set_layout_engine("none")  # where everything stands is the same in every file from here on
        return self

    def draw(self, renderer):
        with in_style():  # which ticks there are depends on their size
            super().draw(renderer)

    def savefig(self, fname, *, format, metadata=None, **options):
        names = {"png": ("Title", "Description"), "pdf": ("Title", "Subject")}[format]
        metadata = dict(zip(names, (self.title, f"{self.alt} {self.caption}"), strict=True)) | (metadata or {})
        with in_style():
            if format == "pdf":
                super().savefig(fname, format=format, metadata=metadata, **options)
            elif any(ax.images or any(c.get_array() is not None for c in ax.collections) for ax in self.axes):
                super().savefig(fname, format=format, metadata=metadata, **options)  # a colour map has more than 256
            else:
                drawn = io.BytesIO()
                super().savefig(drawn, format=format, metadata=metadata, **options)
                with_palette(drawn, fname)


def with_palette(file, to):
    """Save a PNG in 256 colours: less than half the bytes, hard to tell from the whole (kept: the PDF).

    The colours that fill most of it are kept as they are, so that methods and types look alike in every figure; the
    shades between them share the rest of the palette.
    """
    image, words = Image.open(file), PngInfo()
    for name, text in image.text.items():
        words.add_itxt(name, text)
    pixels = np.asarray(image.convert("RGB"))
    colours, which, counts = np.unique(pixels @ (1 << 16, 1 << 8, 1), return_inverse=True, return_counts=True)
    colours = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)
    order = np.argsort(-counts, kind="stable")
    palette, others = colours[order[:EXACT]], colours[order[EXACT:]]
    if len(others):
        shades = Image.fromarray(others[None]).quantize(256 - EXACT).getpalette()
        palette = np.concatenate([palette, np.reshape(shades, (-1, 3))]).astype(np.uint8)
    nearest = cKDTree(palette.astype(float)).query(colours.astype(float))[1].astype(np.uint8)
    drawn = Image.fromarray(nearest[which].reshape(pixels.shape[:2]), mode="P")
    drawn.putpalette(palette.tobytes())
    drawn.save(to, format="png", pnginfo=words, dpi=image.info["dpi"], optimize=True)
