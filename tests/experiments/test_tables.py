"""Tables 2 to 4: what is counted and read off, and what is drawn of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from tidy import assert_tidy

from baselines.combat import ComBat
from datasets import presets
from experiments import tables
from experiments.figures import tables as drawing
from experiments.loop.job import Seeds
from experiments.plots.sheet import sheet
from experiments.report import table
from experiments.scores import published as addresses
from scvi_core import SCVI

ROOT = Path(__file__).parents[2]
PROTOCOL = {"split": {"train": 0.6, "test": 0.3, "random_state": 0}}


@pytest.fixture(scope="module")
def cortex():
    return presets.load("cortex", n_genes=20)


@pytest.fixture(scope="module")
def found(cortex):
    return tables.evaluate(SCVI(n_latent=7, lr=0.002), cortex, PROTOCOL, Seeds(1, 2, 3))


def frame(found):
    scores, arrays, facts = found
    record = {"experiment": "tables", "dataset": "cortex", "protocol": "as_written", "method": "scvi", "label": "scVI",
              "role": "method", "seed": 0, "key": "k", "axes": {}, "status": "done", "reason": "", "scores": scores,
              "facts": facts, "seconds": {"total": 1.0}, "peak_memory_mb": 1.0}  # fmt: skip
    cells = table.frame([record])
    return table.summarise(cells, [], addresses(tables.SCORES, cells), "CORTEX"), cells.assign(arrays=[arrays])


def test_sizes_are_those_of_the_data_and_of_the_published_table(cortex, found):
    scores = found[0]
    assert (scores["n_cells"], scores["n_genes"]) == (3005, 20)
    assert (scores["n_train"], scores["n_test"]) == (1803, 902)
    published = {
        n["metric"]: n["value"]
        for n in json.loads((ROOT / "results/published.json").read_text())
        if n["figure"] == "Table 3"
    }
    assert len(published) == 7
    assert {name: scores[name] for name in published} == published
    summary = frame(found)[0].set_index("score")
    assert (summary.loc[list(published), "difference"] == 0).all()


def test_cuts_are_the_partitions_of_table_3(found):
    arrays = found[1]
    label = list(arrays["label"])
    expected = {
        2: [{"interneurons", "pyramidal CA1", "pyramidal SS"}],
        3: [{"astrocytes_ependymal", "oligodendrocytes"}, {"endothelial-mural", "microglia"}],
        4: [{"endothelial-mural", "microglia"}, {"astrocytes_ependymal"}, {"oligodendrocytes"}],
    }
    for k, groups in expected.items():
        codes = arrays[f"cut_{k}"]
        assert len(set(codes)) == k
        parts = [{name for name, code in zip(label, codes, strict=True) if code == c} for c in set(codes)]
        assert all(group in parts for group in groups)


def test_a_label_in_two_clusters_of_a_cut_is_refused(cortex):
    torn = cortex.copy()
    torn.obs["label_4"] = np.arange(torn.n_obs) % 4
    with pytest.raises(ValueError, match=r"label_4.*belongs to two"):
        tables.evaluate(SCVI(), torn, PROTOCOL, Seeds(1, 2, 3))


def test_hyperparameters_are_those_of_the_method_and_not_how_it_is_run(found):
    given = dict(zip(found[1]["parameter"], found[1]["value"], strict=True))
    assert (given["n_latent"], given["lr"]) == ("7", "0.002")
    assert not {"device", "verbose", "random_state"} & set(given)


def test_capabilities_are_those_of_the_classes(found, cortex):
    def can(arrays, method):
        row = arrays["can"][list(arrays["method"]).index(method)]
        return {name for name, value in zip(tables.CAPABILITIES, row, strict=True) if value}

    assert can(found[1], "scVI (NoLib)") >= {"latent", "impute", "compare"}  # its yaml names no class of its own
    assert can(found[1], "SIMLR") == {"latent"}
    assert can(found[1], "DESeq2") == {"compare"}
    assert hasattr(ComBat, "correct")
    assert "correct" not in can(found[1], "ComBat")  # one batch
    assert "random latent" not in found[1]["method"]
    two = cortex[:400].copy()
    two.obs["batch"] = pd.Categorical(np.repeat(["a", "b"], 200))
    two.obs = two.obs.drop(columns=["label"])
    _, arrays, _ = tables.evaluate(SCVI(), two, PROTOCOL, Seeds(1, 2, 3))
    assert "correct" in can(arrays, "ComBat")
    assert can(arrays, "DESeq2") == set()  # nothing to compare
    assert len(arrays["label"]) == 0


def test_the_tables_are_drawn_as_their_csv_has_them(found):
    figures = drawing.figure(*frame(found))
    assert set(figures) == {"sizes", "hyperparameters", "methods", "labels"}
    for figure in figures.values():
        assert_tidy(figure)
        assert figure.alt
        assert "CORTEX, protocol as written" in figure.caption
    labels = figures["labels"].data.set_index("cell type")
    assert list(labels.columns) == ["cells", "cut to 4", "cut to 3", "cut to 2", "published"]
    assert (labels["cells"] == labels["published"]).all()
    drawn = {text.get_text() for text in figures["labels"].findobj(Text)}
    assert {"939", "pyramidal CA1", "cut to 3"} <= drawn
    assert figures["labels"].title.startswith("Table 3")


def test_a_sheet_leaves_blank_what_is_missing():
    data = pd.DataFrame({"name": ["a", None], "n": [1234, 5], "m": [4321.0, np.nan], "x": [np.nan, 0.5]})
    figure = sheet(data, title="t", caption="c")
    assert_tidy(figure)
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert {"1,234", "4,321"} <= set(texts)  # a column in which something is missing holds floats
    assert "0.5" in texts
    assert not {"nan", "None"} & set(texts)
