"""Words of figures: titles name settings in words, and no two figures of a run share one."""

import pandas as pd
import pytest

from experiments.plots.words import about, counted, panel_of, span, spread_of, title_of


def title(experiment, dataset, axes, **options):
    row = {"experiment": experiment, "dataset": dataset, "protocol": "as_written", **axes, "method": "scvi"}
    return title_of(next(pd.DataFrame([row]).itertuples()), **options)


@pytest.mark.parametrize(
    ("dataset", "axes", "expected"),
    [
        ("cortex", {"corruption": "uniform"}, "uniform corruption"),
        ("brain_large", {"n_train_cells": 1000}, "1,000 training cells"),
        ("brain_large", {"n_train_cells": "1000"}, "1,000 training cells"),  # where another size is "all"
        ("brain_large", {"n_train_cells": "all"}, "all training cells"),
        ("standin_pbmc", {"comparison": "BDC"}, "B cells against dendritic cells"),
        ("pbmc", {"comparison": "CD"}, "CD4 against CD8 T cells"),
        ("mine", {"comparison": "a against b"}, "a against b"),
        ("simulated", {"comparison": "CD"}, "comparison CD"),  # between clusters
        ("own_pbmc", {"comparison": "CD"}, "comparison CD"),  # whatever theirs is
        ("x", {"n_cells": 4000, "n_genes": 720}, "4,000 cells, 720 genes"),
        ("x", {"shape": "wide"}, "shape wide"),
    ],
)
def test_titles_say_settings_in_words(dataset, axes, expected):
    assert title("e", dataset, axes, like="Fig 1") == f"Fig 1: e, {expected}"
    assert title("e", dataset, axes, like="", what="this") == f"e, {expected}, this"


@pytest.mark.parametrize(
    ("figure", "dataset", "expected"),
    [
        ("Fig 8", "cortex", "Fig 8b"),
        ("Fig 8", "standin_retina", "as Fig 8d"),  # of the data that it stands in for
        ("Fig 8", "mine", "as Fig 8"),
        ("Fig 2", "cortex", "Fig 2"),
        ("Fig 2", "hemato", "as Fig 2"),
        ("Fig 9b–d", "standin_brain_large", "as Fig 9c"),
        ("Fig 11", "pbmc", "Fig 11c"),
        ("Fig 1c", "simulated", "as Fig 1c"),
        ("Table 4", "own_pbmc", "as Table 4"),
        ("Fig 5b", "pbmc", "Fig 5b"),
    ],
)
def test_a_figure_is_the_papers_only_where_the_data_are(figure, dataset, expected):
    row = pd.Series({"dataset": dataset})
    assert panel_of(figure, row) == expected
    changed = panel_of(figure, pd.Series({"dataset": dataset, "changed": "methods.scvi.n_epochs=60"}))
    assert changed == f"as {expected.removeprefix('as ')}"


def test_captions_say_what_a_run_has_changed_and_names_for_people():
    row = {"dataset": "standin_retina", "protocol": "as_run"}
    assert about(pd.Series(row)) == "Baron pancreas, in place of RETINA, protocol as run"
    assert about(pd.Series(row | {"changed": ""})).endswith("protocol as run")
    changed = about(pd.Series(row | {"dataset": "mine", "changed": "scale.max_cells=200"}))
    assert changed == "mine, protocol as run but for scale.max_cells=200"


def test_what_is_missing_makes_no_count_a_decimal_number():
    assert span(pd.Series([180.0, float("nan")])) == "180"
    assert counted(pd.Series([float("nan"), 1200.0, 3.0]), "cell") == "3–1,200 cells"
    assert counted([1.0], "cell type") == "1 cell type"
    assert span([]) == "0"


def test_one_seed_has_no_interval():
    several = pd.DataFrame({"n_seeds": [1, 3]})
    assert spread_of(several, "Bar") == "Bar: mean over seeds; line: its 95% interval."
    assert spread_of(several[:1], "Bar") == "Bar: a single seed, which has no interval."
