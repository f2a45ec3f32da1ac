"""Words of figures: titles name settings in words, and no two figures of a run share one."""

import pandas as pd
import pytest

from experiments.plots.words import panel_of, spread_of, title_of


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
        ("Fig 8", "standin_retina", "Fig 8d"),
        ("Fig 8", "mine", "as Fig 8"),
        ("Fig 2", "cortex", "Fig 2"),
        ("Fig 2", "hemato", "as Fig 2"),
        ("Fig 9b–d", "standin_brain_large", "Fig 9c"),
        ("Fig 11", "pbmc", "Fig 11c"),
    ],
)
def test_a_figure_is_named_after_the_panel_that_shows_its_data(figure, dataset, expected):
    assert panel_of(figure, dataset) == expected


def test_one_seed_has_no_interval():
    several = pd.DataFrame({"n_seeds": [1, 3]})
    assert spread_of(several, "Bar") == "Bar: mean over seeds; line: its 95% interval."
    assert spread_of(several[:1], "Bar") == "Bar: a single seed, which has no interval."
