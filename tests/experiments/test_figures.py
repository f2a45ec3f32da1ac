"""Every figure of every experiment on odd results: no values, one method, one type, labels of any kind, all failed."""

import importlib
import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from tidy import assert_tidy

from experiments.loop import spreadsheet
from experiments.posterior import VALUES
from experiments.report.table import frame, summarise
from experiments.scores import published
from experiments.tables import CAPABILITIES
from experiments.technical import HISTOGRAM

pytestmark = pytest.mark.slow  # half a minute of drawing

N = 30  # cells, genes
ODD = [
    "$\\frac$ _{x} $y^",
    "_private",
    "two\nlines\tand  spaces",
    "=cmd()",
    "עצבים ועוד",
    "\u202enrut",
    "bell\x07",
    "",
    "x" * 400,
    "x" * 400 + "y",
    "a type of cell " * 30,
    "🧠",
]


def categories(names):
    return {"label": (np.arange(N) % len(names)).astype(np.int16), "label_names": np.array(names, dtype=str)}


def arrays_of(names):
    """{experiment: (axes, facts, arrays)} as their evaluate gives them."""
    rng = np.random.default_rng(0)
    plane, values = rng.normal(size=(N, 2)).astype(np.float32), rng.uniform(0.1, 0.9, N)
    of_types = categories(names)
    per_repeat = dict.fromkeys(("idr_weight", "auroc", "null_max_bayes_factor"), values[:3])
    genes = {"gene": np.array([f"g{i}" for i in range(N)]), "evidence": values, "log_fold_change": values}
    draws = {f"draws_{value}": values for value in VALUES}
    cell = {f"cell_{name}": values for name in ("nb", "bernoulli", "zeros", "mapped_reads")}
    technical = {"quality": np.array(["library_size"]), "signed_log10_p": rng.normal(size=(2, 1, 2)), "zeros": values}
    technical |= {"log_library": values, "log_scale": values, "frequency": values / 100, "nb_share": HISTOGRAM[1:] / 10}
    sheets = {"label": of_types["label_names"], "size": np.arange(len(names)), "parameter": np.array(["n_latent"])}
    sheets |= {"value": np.array(["10"]), "method": np.array([names[0]]), "can": np.ones((1, len(CAPABILITIES)), bool)}
    counts = {"n_cells": N, "n_genes": N}
    return {
        "imputation": (
            {"corruption": "uniform"},
            counts | {"n_scored": 7},
            {"density": values.reshape(5, 6)[:, :5], "slope": np.float64(1), "n_shown": np.int64(7)},
        ),
        "denoising": ({"share_seen": 0.5}, counts | {"share_of_zeros_kept_back": 0.4}, {}),
        "tuning": ({}, {}, {}),
        "zero_inflation": ({"lam": "all"}, {}, {}),
        "imputed": ({"counts": "thinned"}, counts | {"n_split_cells": 9}, {}),
        "batch": (
            {},
            counts | {"n_batches": 2, "n_labels": len(names), "entropy_of_batches": 0.6},
            {"plane": plane, "batch": np.arange(N) % 2, "batch_names": np.array(["", "b"])} | of_types,
        ),
        "clustering": ({}, counts | {"n_labels": len(names)}, {}),
        "protein": ({}, counts | {"n_proteins": 3}, {}),
        "structure": (
            {},
            counts | {"n_told": 0},
            {"latent": plane, "tsne": plane, "graph": plane, "log_library": values} | of_types,
        ),
        "differential": (
            {"comparison": f"{names[0]} against {names[-1]}"},
            counts | {"n_cells_a": 9, "n_cells_b": 9, "n_repeats": 3, "group_a": names[0], "group_b": names[-1]}
            | {"null_group": names[0]},
            per_repeat | genes | {"single_cell": values, "bulk": values, "null": values},
        ),
        "technical": (
            {},
            counts | {"n_groups": 2, "n_shown": N, "shown": names[0], "mean_umi": 900.0},
            technical | cell,
        ),
        "posterior": (
            {},
            counts | {"n_entries": 9, "n_draws": 50, "gene": names[0], "normalised": "columns"},
            draws | {"heat": values[:25].reshape(5, 5), "edges": np.arange(6.0)},
        ),
        "stability": (
            {"n_latent": 10},
            counts,
            {"training": values, "heldout": values, "median_l1": values[:3], "epochs": np.array([1, 5, 30])},
        ),
        "likelihood": ({"n_train_cells": "all"}, counts | {"n_train": N}, {}),
        "scalability": ({"n_cells": 1000, "n_genes": 720}, {}, {}),
        "tables": ({}, {}, sheets),
    }  # fmt: skip


def results(name, *, names, failed=(), broken=False, labels=("scVI", "FA"), changed=""):
    """What a run hands to ``figure``: the summary and the finished jobs."""
    module = importlib.import_module(f"experiments.{name}")
    axes, facts, arrays = arrays_of(names)[name]
    if broken:
        arrays = {k: np.full_like(a, np.nan) if a.dtype.kind == "f" else a for k, a in arrays.items()}
    scores = {score: 0.5 + i / 10 for i, score in enumerate(module.SCORES) if "{" not in score}
    if name in ("clustering", "structure"):  # no hierarchy; no estimate
        scores = {key: value for key, value in scores.items() if "_" not in key or name == "structure"}
    records = [
        {"experiment": name, "dataset": "mine", "protocol": "as_written", "method": label, "label": label, "seed": 0,
         "role": "method", "key": label, "axes": axes, "peak_memory_mb": 1.0, "seconds": {"total": 1.0}}
        | ({"status": "failed", "reason": "R: not found", "scores": {}, "facts": {}} if label in failed else
           {"status": "done", "reason": "", "scores": scores, "facts": facts})
        for label in labels
    ]  # fmt: skip
    jobs = frame(records)
    table = summarise(jobs, list(axes), published(module.SCORES, jobs), None)
    done = jobs.assign(arrays=[arrays] * len(jobs))[jobs["status"] == "done"]
    return table.assign(changed=changed), done.assign(changed=changed)


def draw(name, **options):
    """The figures, each saved as it would be."""
    figures = importlib.import_module(f"experiments.figures.{name}").figure(*results(name, **options))
    assert figures
    for figure in figures.values():
        assert_tidy(figure)
        figure.savefig(io.BytesIO(), format="png", dpi=50)
        spreadsheet.write(figure.data, io.StringIO())
    return figures


EXPERIMENTS = list(arrays_of(["a", "b"]))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_all_failed_is_a_sentence(name):
    (figure,) = draw(name, names=["a", "b"], failed=("scVI", "FA")).values()
    assert figure.alt == "No result: scVI (failed), FA (failed)."
    assert figure.caption == "mine, protocol as written."


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_one_method_without_a_value_beside_one_that_failed(name):
    figures = draw(name, names=["only"], broken=True, failed=("FA",), changed="methods.scvi.n_epochs=60")
    for figure in figures.values():
        assert ".0 cell" not in figure.caption
        assert ".0 training" not in figure.caption
        assert figure.caption.startswith("mine, protocol as written but for methods.scvi.n_epochs=60")
        assert not figure.title.startswith(("Fig", "Table"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_labels_of_any_kind_are_shown_as_they_are(name):
    figures = draw(name, names=ODD, labels=ODD)
    for figure in figures.values():
        assert figure.get_figwidth() < 30
        assert figure.get_figheight() < 30
        assert not any(text.get_parse_math() for text in figure.findobj(Text) if "$" in text.get_text())
        assert not any("\x07" in text.get_text() or "\u202e" in text.get_text() for text in figure.findobj(Text))


def test_a_failed_method_adds_no_hierarchy_and_no_type():
    figures = draw("clustering", names=["a", "b"], failed=("FA",))
    assert set(figures) == {"scores"}
    assert "30 training cells, 2 cell types." in figures["scores"].caption


def test_hundreds_of_types_have_a_legend_of_the_largest():
    figures = draw("batch", names=[f"type {i}" for i in range(N)] + [f"none {i}" for i in range(270)])
    legend = [text.get_text() for text in figures["tsne_label"].body.legends[0].get_texts()]
    assert len(legend) == 41
    assert {f"type {i}" for i in range(N)} < set(legend)
    assert legend[-1] == "and 260 more"
    rows = draw("tables", names=[f"type {i}" for i in range(300)])["labels"]
    assert "The first 60 of 300 rows" in rows.caption
    assert len(rows.data) == 300
    assert rows.get_figheight() < 12


def test_what_is_cut_stays_apart():
    ax = draw("clustering", names=["a", "b"], labels=["x" * 400, "x" * 400 + "y"])["scores"].axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len(set(names)) == 2
    assert all("…" in name for name in names)
    assert len(ax.patches) == 2  # a bar each
    assert pd.Series([bar.get_y() for bar in ax.patches]).is_unique


def test_a_count_that_a_failed_job_has_not_stays_a_whole_number():
    same = {
        "experiment": "e",
        "dataset": "d",
        "protocol": "p",
        "method": "m",
        "label": "m",
        "role": "method",
        "seed": 0,
    }
    same |= {"key": "k", "axes": {}, "reason": "", "seconds": {"total": 1.0}, "peak_memory_mb": 1.0}
    done = {"status": "done", "scores": {"ari": 1.0}, "facts": {"n_cells": 180, "share": 0.5, "is_told": True}}
    jobs = frame([same | done, same | {"status": "failed", "scores": {}, "facts": {}}])
    assert jobs.to_csv(index=False, columns=["ari", "n_cells", "share"]).splitlines()[1:] == ["1.0,180,0.5", ",,"]
    assert frame([same | done])["n_cells"].dtype == np.int64
