"""Figures: what is drawn equals the table, no words collide or leave the paper, equal input gives equal files."""

import io
import logging
from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.font_manager import get_font_names
from matplotlib.text import Text
from PIL import Image
from tidy import assert_tidy

from experiments.loop.registry import METRICS
from experiments.plots import boxes, style
from experiments.plots.bar_panels import CUT
from experiments.plots.bars import score_bars
from experiments.plots.density import density_panels
from experiments.plots.heat import heat_panels
from experiments.plots.pairs import Pairs, pair_panels
from experiments.plots.points import score_points
from experiments.plots.scatter import Categories, plane_panels
from experiments.plots.sheet import sheet
from experiments.report import table
from experiments.scores import Score

LABELS = ["scVI", "FA", "PCA", "ZIFA", "MAGIC", "ZINB-WaVE", "SIMLR", "BISCUIT", "DCA", "scVI (NB)", "MNN", "theirs"]


pytestmark = pytest.mark.slow  # a minute of drawing


def summary(*, means, controls=(), spread=0.02, published=None, seeds=5, failed=()):
    """Rows of table.summarise for given means: one seed lies far above each, the others as much below together."""
    around = np.r_[np.full(seeds - 1, -1 / (seeds - 1)), 1] if seeds > 1 else np.zeros(1)
    same = {
        "experiment": "imputation",
        "dataset": "cortex",
        "protocol": "as_written",
        "axes": {"corruption": "uniform"},
    }
    same |= {"facts": {}, "seconds": {"total": 1.0}, "peak_memory_mb": 1.0}
    records = []
    for label, mean in means.items():
        outcome = {"status": "failed", "reason": "R: not found", "scores": {}} if label in failed else None
        role = "control" if label in controls else "method"
        for seed, value in enumerate(mean + (spread if mean else 0) * around):
            name = {"method": label.lower(), "label": label, "role": role, "seed": seed, "key": f"{label}{seed}"}
            records.append(same | name | (outcome or {"status": "done", "reason": "", "scores": {"median_l1": value}}))
    rows = table.summarise(table.frame(records), ["corruption"], {"median_l1": "median_L1_{corruption}"}, None)
    rows["published"] = rows["label"].map(published or {}).astype(float)
    return rows


CASES = {
    "typical": {
        "means": {"scVI": 2.31, "FA": 2.43, "PCA": 2.45, "gene mean": 3.94, "identity": 6.0, "oracle": 0.0},
        "controls": ("gene mean", "identity", "oracle"),
        "published": {"scVI": 2.325},
    },
    "crowded": {
        "means": dict(zip(LABELS, np.linspace(2, 3, 12), strict=True)),
        "published": dict.fromkeys(LABELS, 2.6),
    },
    "published far away": {"means": {"ZIFA": 3.1, "MAGIC": 1.0}, "published": {"ZIFA": 6.0, "MAGIC": 9.67}},
    "published in the way of the number": {"means": {"a": 2.0, "b": 3.0}, "published": {"a": 2.35, "b": 3.5}},
    "one seed": {"means": {"scVI": 2.3, "FA": 2.4}, "seeds": 1},
    "some failed": {"means": {"scVI": 2.3, "FA": 2.4, "ZIFA": 1.0}, "failed": ("ZIFA",), "published": {"ZIFA": 0.1}},
    "all failed": {"means": {"scVI": 2.3, "FA": 2.4}, "failed": ("scVI", "FA")},
    "cut": {"means": {"scVI": 2.3, "identity": 60.0}, "controls": ("identity",)},
    "negative": {"means": {"scVI": 0.21, "FA": -0.12, "PCA": -0.4}, "published": {"PCA": -0.5, "FA": 0.2}},
    "all zero": {"means": {"scVI": 0.0, "FA": 0.0}, "spread": 0.0},
    "wide intervals": {"means": {"scVI": 2.0, "FA": 2.1}, "spread": 1.5, "published": {"FA": 2.9}},
    "long names": {"means": {"a method whose name has very many words": 2.0, "scvi_with_n_latent_5_and_more": 2.1}},
    "thousands": {"means": {"scVI": 1146.59, "FA": 1177.35}, "spread": 3.0, "published": {"scVI": 1146.0}},
}


@cache
def case(name):
    return summary(**CASES[name])


def panels(n, labels=LABELS, *, size=50, limit=10):
    """n rows as itertuples gives them, each with its own density."""
    axis = np.linspace(0, limit, size)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    rows = []
    for i in range(n):
        density = np.exp(-((x - 2) ** 2) - (y - 5 - 0.1 * i) ** 2).astype(np.float32)
        arrays = {"density": density, "slope": np.float64(0.5 + 0.05 * i), "n_shown": np.int64(900 + i)}
        rows.append(
            {"experiment": "imputation", "dataset": "cortex", "protocol": "as_written", "method": labels[i].lower(),
             "label": labels[i], "role": "method", "seed": 0, "key": f"k{i}", "corruption": "uniform", "status": "done",
             "reason": "", "median_l1": 2.3 + i / 100, "n_scored": 12345.0, "arrays": arrays}
        )  # fmt: skip
    return list(pd.DataFrame(rows).itertuples())


def density(n, labels=LABELS):
    return density_panels(panels(n, labels), limit=10, x="original count", y="imputed count", score="median_l1")


@pytest.mark.parametrize("name", CASES)
def test_words_of_the_bars_neither_collide_nor_leave_the_paper(name):
    assert_tidy(score_bars(case(name), "median_l1"))


@pytest.mark.parametrize("n", range(1, 13))
def test_words_of_the_panels_neither_collide_nor_leave_the_paper(n):
    figure = density(n)
    assert_tidy(figure)
    squares = [ax for ax in figure.axes if ax.get_title()]
    assert len(squares) == n
    for ax in squares:
        box = ax.get_window_extent()
        assert box.width == pytest.approx(box.height)
        assert ax.get_xlim() == ax.get_ylim() == squares[0].get_xlim()
    assert figure.get_figwidth() <= 7.2  # two columns of a journal


def test_long_names_of_panels_take_more_lines():
    assert_tidy(density(6, ["a method whose name has very many words", "methods_scvi_n_latent_is_5_and_more"] * 3))


def test_the_overlap_check_sees_an_overlap():
    figure = score_bars(case("typical"), "median_l1")
    figure.axes[0].text(0, 0, "scVI", ha="right")
    with pytest.raises(AssertionError, match="overlap"):
        assert_tidy(figure)


@pytest.mark.parametrize("name", CASES)
def test_bars_intervals_and_published_values_equal_the_table(name):
    rows, figure = case(name).set_index("label"), score_bars(case(name), "median_l1")
    ax = figure.axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    whole = {name.replace(" ", ""): name for name in rows.index}
    order = [whole.pop("".join(name.split())) for name in names]
    assert not whole
    bars = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}
    spans = {round(s[0, 1]): s[:, 0] for c in ax.collections for s in c.get_segments()}
    diamonds = {y: x for line in ax.lines if line.get_marker() == "D" for x, y in line.get_xydata()}
    texts = {round(t.get_position()[1]): t.get_text() for t in ax.texts if t.get_text().strip() != "//"}  # of a cut bar
    for i, label in enumerate(order):
        row = rows.loc[label]
        assert texts[i] == (f"{row['mean']:.2f}".replace("-", "−") if row["n_seeds"] else "failed")
        assert diamonds.get(i, np.nan) == pytest.approx(row["published"], nan_ok=True)
        if row["role"] != "control" or label == "oracle":  # the others are cut
            assert bars.get(i, np.nan) == pytest.approx(row["mean"], nan_ok=True)
            assert spans.get(i, [np.nan] * 2) == pytest.approx([row["ci_low"], row["ci_high"]], nan_ok=True)


def test_only_a_control_far_beyond_the_methods_is_cut_and_says_so():
    for name in CASES:
        figure = score_bars(case(name), "median_l1")
        assert ("longer than drawn" in figure.caption) == (name in {"cut", "typical"})
    figure = score_bars(case("cut"), "median_l1")
    longest = max(bar.get_width() for bar in figure.axes[0].patches)
    assert longest == pytest.approx(CUT * case("cut").set_index("label")["ci_high"]["scVI"])
    assert "60.00" in [text.get_text() for text in figure.axes[0].texts]


def test_a_method_that_would_hide_the_others_is_cut():
    rows = summary(means={"scVI": 2.0, "PCA": 3.0, "exploded": 900.0})
    figure = score_bars(rows, "median_l1")
    longest = max(bar.get_width() for bar in figure.axes[0].patches)
    assert longest == pytest.approx(CUT * rows.set_index("label").loc[["scVI", "PCA"], "ci_high"].max())
    assert "900.00" in [text.get_text() for text in figure.axes[0].texts]
    assert "longer than drawn" in figure.caption
    assert "longer than drawn" not in score_bars(rows[rows["label"] != "exploded"], "median_l1").caption


def test_intervals_lie_above_published_values():
    ax = score_bars(case("typical"), "median_l1").axes[0]
    diamonds = [line for line in ax.lines if line.get_marker() == "D"]
    assert min(c.get_zorder() for c in ax.collections) > max(line.get_zorder() for line in diamonds)


@pytest.mark.parametrize(("seeds", "drawn"), [(1, {"6", "11"}), (2, {"6.00", "11.00"})])
def test_counts_are_whole_numbers_where_all_are(seeds, drawn):
    rows = summary(means={"scVI": 6.0, "PCA": 11.0}, seeds=seeds, spread=0.5).assign(score="graph_components")
    ax = score_bars(rows, "graph_components").axes[0]
    assert {text.get_text() for text in ax.texts} == drawn
    assert (ax.get_xticks() % 1 == 0).all()


@pytest.mark.parametrize(("better", "expected"), [("lower", ["a", "b", "c"]), ("higher", ["b", "a", "c"])])
def test_best_first_then_what_failed_then_controls(better, expected, monkeypatch):
    monkeypatch.setitem(METRICS, "median_l1", Score("score (counts)", better))
    rows = summary(means={"c": 1.0, "b": 3.0, "a": 2.0, "k": 2.5}, failed=("c",), controls=("k",))
    figure = score_bars(rows, "median_l1")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [*expected, "k"]


@pytest.mark.parametrize(("better", "expected"), [("lower", ["a", "b", "c"]), ("higher", ["b", "a", "c"])])
def test_best_first_then_what_failed_then_controls_of_points(better, expected, monkeypatch):
    monkeypatch.setitem(METRICS, "median_l1", Score("score (counts)", better))
    rows = summary(means={"k": 2.5, "c": 1.0, "b": 3.0, "a": 2.0}, failed=("c",), controls=("k",))
    figure = score_points(rows, {"median_l1": ("o", "score")}, unit="counts")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [*expected, "k"]


def test_axes_of_densities_end_where_sparse_data_do():
    x, y = np.meshgrid(*2 * [np.linspace(0, 10, 50)], indexing="ij")
    sparse = panels(2)
    for i, panel in enumerate(sparse):
        panel.arrays["density"] = np.exp(-((x - 1.5) ** 2) - (y - 1 - i) ** 2)
    figure = density_panels(sparse, limit=10, x="original", y="imputed", score="median_l1")
    assert {ax.get_xlim() for ax in figure.axes[:2]} == {ax.get_ylim() for ax in figure.axes[:2]} == {(0, 4)}
    assert "below 10 and drawn up to 4;" in figure.caption
    assert figure.axes[0].images[0].get_extent() == [0, 10, 0, 10]
    sparse[1].arrays["density"] = np.exp(-((x - 5) ** 2) - (y - 5) ** 2)  # one panel that goes on, for all
    figure = density_panels(sparse, limit=10, x="original", y="imputed", score="median_l1")
    assert {ax.get_xlim() for ax in figure.axes[:2]} == {(0, 10)}


def test_scores_that_are_something_else_have_an_axis_of_their_own():
    own = summary(means={"scVI": -1100.0, "FA": 790.0, "ZIFA": 0.0}, failed=("ZIFA",), spread=1.0)
    own = own.assign(score="loglik")
    marginal = summary(means={"scVI": -1100.0, "FA": -1105.0, "ZIFA": 0.0}, failed=("ZIFA",), spread=1.0)
    marginal = marginal.assign(score="loglik_marginal")
    marks = {"loglik": ("o", "own"), "loglik_marginal": ("s", "of counts")}
    figure = score_points(pd.concat([own, marginal]), marks, apart=["loglik_marginal"])
    assert_tidy(figure)
    first, second = figure.axes[:2]  # the others are marks of the legend
    assert first.get_ylim() == second.get_ylim()
    assert second.get_xlim()[0] > -1110
    assert second.get_xlim()[1] < -1095
    assert {line.get_marker() for line in second.lines} <= {"s", "None", "D"}
    assert [text.get_text() for ax in (first, second) for text in ax.texts] == ["failed"]


def test_panel_shows_density_with_original_across_and_both_lines():
    panel = panels(1)[0]
    ax = density(1).axes[0]
    image = ax.images[0].get_array()
    assert ax.images[0].get_cmap().name == "Reds"
    assert ax.images[0].origin == "lower"
    row, column = np.unravel_index(np.argmax(image), image.shape)
    assert (column, row) == (10, 24)  # original 2 (across) and imputed 5 (up) on a grid of 50 over 0 to 10
    np.testing.assert_allclose(image, panel.arrays["density"].T / panel.arrays["density"].max())
    lines = {line.get_linestyle(): line.get_ydata()[-1] / line.get_xdata()[-1] for line in ax.lines}
    assert lines == {":": 1.0, "-": pytest.approx(0.5)}
    assert "d = 2.30" in [text.get_text() for text in ax.texts]


def test_captions_state_data_protocol_seeds_and_n():
    bars, squares = score_bars(case("typical"), "median_l1", like="Fig 9b"), density(3)
    assert bars.title == "Fig 9b: imputation, uniform corruption"
    assert bars.caption.startswith("CORTEX, protocol as written, n\xa0= 5 seeds.")
    assert "n\xa0= 12,345 entries" in squares.caption
    assert "n\xa0= 900–902 of them" in squares.caption
    assert "seed 0" in squares.caption


@pytest.mark.parametrize("draw", [lambda: score_bars(case("crowded"), "median_l1"), lambda: density(3)])
@pytest.mark.parametrize("format", ["png", "pdf"])
def test_equal_input_gives_equal_bytes_whatever_the_global_settings(draw, format):
    def save():
        file = io.BytesIO()
        metadata = {"Software": None} if format == "png" else {"CreationDate": None}
        draw().savefig(file, format=format, dpi=100, metadata=metadata)
        return file.getvalue()

    first = save()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "pdf.fonttype": 3, "lines.linewidth": 9}):
        assert save() == first


def test_global_settings_and_figures_are_left_alone():
    from matplotlib import pyplot as plt

    fonts = logging.getLogger("matplotlib.font_manager")
    before, level = dict(mpl.rcParams), fonts.level
    assert level != logging.ERROR  # it is silenced while a figure is drawn alone
    density(2)
    score_bars(case("typical"), "median_l1").savefig(io.BytesIO(), format="png")
    assert dict(mpl.rcParams) == before
    assert fonts.level == level
    assert plt.get_fignums() == []


def test_every_family_is_installed():
    assert style.STYLE["font.family"][0] == "DejaVu Sans"
    assert set(style.STYLE["font.family"]) <= set(get_font_names())


@pytest.mark.skipif(not set(style.CJK) & set(get_font_names()), reason="no font with Chinese letters is installed")
def test_labels_in_other_scripts_are_drawn_where_a_font_has_them(recwarn):
    figure = sheet(pd.DataFrame({"cell type": ["神经元"]}), title="细胞", caption="c")
    figure.savefig(io.BytesIO(), format="png")
    assert not [str(warning.message) for warning in recwarn if "missing" in str(warning.message)]


def test_a_dollar_in_a_name_is_no_formula():
    figure = sheet(pd.DataFrame({"cell type": ["$x_2$ $", "$\\frac$"]}), title="$\\frac$", caption="data $x_1$.h5ad")
    assert_tidy(figure)  # what cannot be read as a formula would raise
    named = [text for text in figure.findobj(Text) if "$" in text.get_text()]
    assert len(named) == 4
    assert not any(text.get_parse_math() for text in named)


def test_no_point_lies_below_a_note():
    x = np.arange(50.0)
    figure = pair_panels([Pairs("scVI", x, x, "x", "y", "black", note="r = 1.00")], title="t", caption="c")
    figure.canvas.draw()
    ax = figure.axes[0]
    note = next(text for text in ax.texts if text.get_text() == "r = 1.00").get_window_extent()
    assert ax.transData.transform((49, 49))[1] < note.y0


def test_saved_files_carry_their_words():
    figure, file = score_bars(case("typical"), "median_l1"), io.BytesIO()
    figure.savefig(file, format="png")
    words = Image.open(file).info
    assert words["Title"] == figure.title
    assert "scVI 2.31" in words["Description"]
    assert "published 2.33" in words["Description"]
    assert figure.caption in words["Description"]
    pdf = io.BytesIO()
    figure.savefig(pdf, format="pdf")
    assert b"/Subject" in pdf.getvalue()
    assert b"/Subtype /Type3" not in pdf.getvalue()


def test_bars_have_the_colours_of_their_methods():
    bars = score_bars(case("typical"), "median_l1").axes[0].patches
    drawn = [mpl.colors.to_hex(bar.get_facecolor()) for bar in bars]
    assert drawn == [*map(style.colour, ("scVI", "FA", "PCA")), *3 * [style.CONTROL]]


@pytest.mark.parametrize(("word", "fits"), [("x" * 90, 30), ("神经元" * 30, 15)], ids=["narrow", "twice as wide"])
def test_fold_keeps_every_letter_within_the_width(word, fits):
    lines = style.fold(f"a caption with {word} one word that is far too long", 30).split("\n")
    assert "".join(lines).replace(" ", "") == f"acaptionwith{word}onewordthatisfartoolong"
    assert max(len(line) for line in lines) <= 30
    assert all(len(line) <= fits for line in lines if set(line) <= set(word))


def test_words_of_any_length_stay_on_the_paper():
    assert_tidy(
        sheet(pd.DataFrame({"a": ["b"]}), title="a title " + "x" * 90, caption="c " * 200 + "x_of_Ω " * 90 + "y" * 90)
    )


@pytest.mark.parametrize("n", [1, 3, 6])
def test_panels_are_as_high_as_asked_or_square(n):
    for height in (1.2, None):
        with style.in_style():
            figure = style.SuiteFigure(style.PAGE, title="t " * 150, caption="c " * 400)
            axes = figure.panels([f"panel {i}" for i in range(n)])
            axes[0].set(xlabel="x", ylabel="several\nlines")
            assert figure.finish("what it shows", "its data", height) is figure
        for ax in axes:
            width, drawn = ax.get_window_extent().size / figure.dpi
            assert drawn == pytest.approx(height or width, abs=0.01)
        assert (figure.alt, figure.data) == ("what it shows", "its data")


def test_a_legend_takes_as_many_lines_as_it_needs():
    panel = panels(1)[0]
    names = np.array([f"a type of cell, number {i}" for i in range(15)])
    colour = Categories(np.arange(60) % 15, names, "tab20")
    plane = np.random.default_rng(0).normal(size=(60, 2))
    figure = plane_panels([panel] * 3, [plane] * 3, [colour] * 3, what="cell type", drawn="t-SNE")
    assert_tidy(figure)
    assert {text.get_text() for text in figure.body.legends[0].get_texts()} == set(names)


def test_boxes_are_drawn_at_the_percentiles_that_stand_in_the_data():
    panel = boxes.Boxes("scVI", ["a", "b"], {"k": [np.arange(101.0), np.array([])]}, "y")
    figure = boxes.box_panels([panel], title="t", caption="c", colours={"k": "red"})
    expected = [5, 25, 50, 75, 95]
    drawn = figure.data.set_index("at")[["low", "q1", "median", "q3", "high"]]
    np.testing.assert_allclose(drawn, [expected, [np.nan] * 5])
    (box,) = figure.axes[0].patches
    ends = {y for line in figure.axes[0].lines for y in line.get_ydata()} | {y for _, y in box.get_path().vertices}
    assert ends == {0, *expected}  # with the line at zero


def test_boxes_of_any_size_are_seen_on_an_axis_that_is_logarithmic_beyond_a_limit():
    panel = boxes.Boxes("scVI", ["a", "b"], {"k": [np.linspace(-500, 10, 9), np.linspace(-2, 2, 9)]}, "y")
    figure = boxes.box_panels([panel], title="t", caption="c", colours={"k": "red"}, log_beyond=1)
    assert_tidy(figure)
    heights = [patch.get_window_extent().height for patch in figure.axes[0].patches]
    assert min(heights) > 0.05 * figure.axes[0].get_window_extent().height
    within = panel._replace(values={"k": [np.linspace(-0.4, 0.6, 9)] * 2})  # the limit
    figure = boxes.box_panels([within], title="t", caption="c", colours={"k": "red"}, log_beyond=1)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["−1", "0", "1"]


def test_a_bin_without_draws_is_no_share_of_zero():
    heat = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    panel = pd.DataFrame({"label": ["FA"], "arrays": [{"heat": heat, "edges": np.arange(4.0)}]})
    figure = heat_panels(list(panel.itertuples()), x="observed", y="drawn", title="", caption="")
    shown = figure.axes[0].collections[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), [[False, True, False]] * 3)  # drawn transposed
    np.testing.assert_array_equal(shown.compressed(), heat[[0, 2]].T.ravel())
