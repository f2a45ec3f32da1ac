"""The figures of a run: saved in the place of the earlier ones, and what cannot be drawn takes nothing else with it."""

import json
import re
import sys
from types import ModuleType

import pandas as pd
import pytest

from experiments.plots.style import SuiteFigure
from experiments.report import drawing

NAMES = ("theirs", "theirs.figures", "theirs.figures.sizes")


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draw with a ``figure`` of somebody's; returns what `drawing.draw` does, and the names of the files there are."""
    modules = {name: ModuleType(name) for name in NAMES}
    for name, module in modules.items():
        module.__path__, module.__spec__ = [], __import__("importlib").machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / "runs").mkdir()
    (tmp_path / "figures").mkdir()

    def call(figure):
        modules[NAMES[-1]].figure = figure
        files, failures = drawing.draw("theirs.sizes", None, pd.DataFrame({"x": [1]}), tmp_path, "sizes_mine")
        (tmp_path / "runs" / "sizes_mine.json").write_text(json.dumps({"figures": files}))
        return files, failures, {path.name for path in (tmp_path / "figures").iterdir()}

    return call


def good(*names):
    def figure(table, records):
        figures = {}
        for name in names:
            figures[name] = SuiteFigure(3, title=name, caption="A caption.")
            figures[name].panels([name])
            figures[name].finish("words", pd.DataFrame({"a": [1]}), height=1)
        return figures

    return figure


def files(*names):
    return {f"sizes_mine_{name}{ending}" for name in names for ending in (".png", ".pdf", ".csv")}


def test_figures_of_a_later_run_replace_those_of_the_earlier(draw):
    assert draw(good("a", "b")) == (["sizes_mine_a", "sizes_mine_b"], [], files("a", "b"))
    assert draw(good("b")) == (["sizes_mine_b"], [], files("b"))


@pytest.mark.parametrize("error", [KeyError("zero_share"), SystemExit(3)])
def test_what_cannot_be_drawn_is_said_with_its_place(draw, error):
    def broken(table, records):
        raise error

    draw(good("a"))
    drawn, (said,), there = draw(broken)
    assert (drawn, there) == ([], set())  # no picture of an earlier run beside the newer table
    kind = type(error).__name__
    assert said.startswith(f"the figures of theirs.sizes cannot be drawn: {kind}: {error} (test_drawing.py, line")
    assert draw(lambda table, records: None)[1][0].startswith("the figures of theirs.sizes cannot be drawn: TypeError")


def test_one_figure_that_cannot_be_drawn_takes_no_other_with_it(draw):
    def figure(table, records):
        return good("a")(table, records) | {"b": __import__("matplotlib").figure.Figure()} | good("c")(table, records)

    drawn, (said,), there = draw(figure)
    assert (drawn, there) == (["sizes_mine_a", "sizes_mine_c"], files("a", "c"))
    assert said.startswith("the figure 'b' of theirs.sizes cannot be drawn: TypeError: it has no data, end with return")


@pytest.mark.parametrize("experiment", ["experiments.parity", "their_experiment"])
def test_an_experiment_that_draws_nothing_says_so(experiment, capsys):
    assert drawing.figures_of(experiment, None, None) == {}
    where = "experiments.figures.parity" if "." in experiment else "figures.their_experiment"
    assert capsys.readouterr().out == f"Figure: none, there is no module {where}.\n"


def test_points_that_are_not_vectors_are_sharp_in_print(tmp_path):
    figure = SuiteFigure(3.5, title="t", caption="c")
    (ax,) = figure.panels([""])
    ax.scatter([0, 1], [0, 1], rasterized=True)
    ax.set_axis_off()
    ax.margins(0)
    figure.finish("", pd.DataFrame(), 2.0)
    assert drawing._save(figure, tmp_path, "stem_panel") == "stem_panel"
    pixels = re.findall(rb"/Width (\d+)", (tmp_path / "stem_panel.pdf").read_bytes())
    assert max(map(int, pixels)) >= 300 * 3.5 * 0.9  # what journals ask for; the points end before the frame
