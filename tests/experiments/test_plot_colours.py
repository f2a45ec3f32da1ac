"""Colours: one per method, told apart by every reader, the same in the file as drawn."""

import io
import itertools
from functools import cache

import hydra
import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from experiments.loop.paths import ROOT
from experiments.plots import style


def test_a_method_has_one_colour_and_controls_are_grey():
    assert style.colour("scVI") == style.COLOURS["scVI"]
    assert style.colour("gene mean", "control") == style.colour("identity", "control") == style.CONTROL
    assert style.colour("their method") == style.colour("their method") != style.colour("another method")
    assert style.colour("scVI (NB)") not in {style.colour("scVI"), style.colour("FA (NB)")}


# Linear RGB as seen with each deficiency at full strength: Machado, Oliveira and Fernandes (2009), table 1.
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}

XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]])


def lab(colour, vision):
    """CIE L*a*b* (D65) of a colour as seen with ``vision``."""
    rgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISION[vision] @ linear, 0, 1)
    f = XYZ @ seen / [0.95047, 1, 1.08883]
    f = np.where(f > (6 / 29) ** 3, np.cbrt(f), f / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_all_colours_differ_for_every_reader(vision):
    colours = style.COLOURS | {"control": style.CONTROL}
    for a, b in itertools.combinations(colours, 2):
        assert np.linalg.norm(lab(colours[a], vision) - lab(colours[b], vision)) > 10, f"{a} and {b}"


@cache
def labels_of(experiment):
    """Labels of the methods of conf/exp/ that are drawn together."""
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base=None):
        methods = hydra.compose("config", [f"+exp={experiment}"]).methods
        return sorted({m["_label_"] for m in methods.values() if m.get("_role_") != "control"})


@pytest.mark.parametrize("experiment", sorted(file.stem for file in (ROOT / "conf/exp").glob("*.yaml")))
def test_variants_of_one_figure_differ_and_stand_out_from_the_paper(experiment):
    labels = labels_of(experiment)
    variants = [label for label in labels if label not in style.COLOURS]
    for label in variants:
        light = lab(style.colour(label), "normal")[0]
        luminance = ((light + 16) / 116) ** 3  # far from black, where the formula differs
        assert 1.05 / (luminance + 0.05) > 1.75, f"{label} is pale"
        seen = lab(style.colour(label), "normal")
        for other in (set(labels) - {label}) | {"control"}:
            there = lab(style.colour(other, "control" if other == "control" else "method"), "normal")
            assert np.linalg.norm(seen - there) > 10, f"{label} and {other}"


def test_the_colours_of_methods_and_colour_maps_are_in_the_file_as_they_are():
    def colours(save):
        file = io.BytesIO()
        save(file, format="png", dpi=100)
        pixels = np.asarray(Image.open(file).convert("RGB")).reshape(-1, 3)
        return {mpl.colors.to_hex(colour) for colour in np.unique(pixels, axis=0) / 255}

    rng = np.random.default_rng(0)
    with style.in_style():
        figure = style.SuiteFigure(3.5, title="t", caption="c")
        (ax,) = figure.panels([""])
        for i, name in enumerate(style.COLOURS):
            ax.scatter(*rng.normal(size=(2, 100)), s=3, color=rng.random((100, 3)))  # far more than 256 colours
            ax.plot([i - 7], [-4], "s", markersize=6, color=style.COLOURS[name])
        figure.finish("", None, 1.8)
        assert {"#ffffff", *style.COLOURS.values()} <= colours(figure.savefig)
        assert len(colours(figure.savefig)) <= 256
        ax.imshow(np.arange(256)[:, None], cmap="viridis", aspect="auto")
        assert colours(figure.savefig) == colours(super(style.SuiteFigure, figure).savefig)
