"""One look for the whole suite: type, the colour of each method, figures that carry their own words.

Sizes are inches and points on paper, so that a figure is read at the column width of a journal.
"""

import contextlib
import hashlib
import io
import logging

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font_names
from matplotlib.textpath import text_to_path
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.spatial import cKDTree

COLUMN = 3.5  # inches: one column of a journal
MARGIN = 0.06  # inches at every edge of a figure
TITLE, NUMBER, FOOT = 8.5, 7, 6.5  # points
INK, SOFT = "#222222", "#5c5c5c"
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
    "axes.titlesize": TITLE,
    "axes.labelsize": 7.5,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
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
        with mpl.style.context(["default", STYLE]):
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


class SuiteFigure(Figure):
    """A figure with room for a title and a caption line; its words are saved in the file with it.

    Parameters
    ----------
    width, height : float
        Inches of the plot alone: title and caption come on top.
    title, caption : str
        Wrapped to the width.
    beside_title : float
        Inches at the right of the title that something else needs.
    """

    alt = ""  # what the figure shows, in words and numbers, for those who cannot see it
    data = None  # pandas.DataFrame of what is drawn: saved as a CSV beside the figure

    def __init__(self, width, height, *, title, caption, beside_title=0.0):
        above = wrap(title, TITLE, width - 2 * MARGIN - beside_title)
        below = wrap(caption, FOOT, width - 2 * MARGIN)
        self.title, self.caption = title, caption
        self.foot, self.head = _height(below, FOOT), _height(above, TITLE)
        self.width, self.height = width, self.foot + height + self.head
        super().__init__(figsize=(self.width, self.height))
        FigureCanvasAgg(self)
        self.write(MARGIN, self.height - MARGIN, "\n".join(above), va="top", fontsize=TITLE)
        self.write(MARGIN, MARGIN, "\n".join(below), va="bottom", fontsize=FOOT, color=SOFT)

    def write(self, x, y, text, **options):
        """Text at a place in inches from the lower left corner; a $ in the names of a user is no formula."""
        return self.text(x / self.width, y / self.height, text, parse_math=False, **options)

    def panel(self, x, y, width, height):
        """Axes at a place in inches, above the caption."""
        y += self.foot
        return self.add_axes((x / self.width, y / self.height, width / self.width, height / self.height))

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


def wrap(text, points, width):
    """``text`` in lines of at most ``width`` inches, broken between words and, where one is longer, inside it."""
    lines = []
    for word in text.split(" "):
        if lines and inches(f"{lines[-1]} {word}", points) <= width:
            lines[-1] += f" {word}"
            continue
        while inches(word, points) > width and len(word) > 1:
            fits = max(n for n in range(1, len(word)) if n == 1 or inches(word[:n], points) <= width)
            lines.append(word[:fits])
            word = word[fits:]
        lines.append(word)
    return lines or [""]


def in_lines(widths, width):
    """Things side by side, from left to right, in lines of ``width`` inches: [[(position in widths, start), …], …]."""
    lines, end = [[]], 0.0
    for i, needs in enumerate(widths):
        if lines[-1] and end + needs > width:
            lines.append([])
            end = 0.0
        lines[-1].append((i, end))
        end += needs
    return lines


def inches(text, points):
    """Width of ``text`` on paper, with a little air."""
    font = FontProperties(family=STYLE["font.family"], size=points)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72 * 1.04


def _height(lines, points):
    return len(lines) * points / 72 * 1.42 + 2 * MARGIN
