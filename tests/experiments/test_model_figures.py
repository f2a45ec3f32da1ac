"""The experiments on the model itself from the command line: their tables and figures."""

import pandas as pd
import pytest
from command_line import command
from PIL import Image

TINY = ["methods.scvi.n_epochs=1", "methods.scvi.n_hidden=8", "+methods.scvi.engine=plain"]
SCVI_ROWS = ["scvi", "scvi_long", "scvi_full_kl", "scvi_no_kl", "scvi_offset", "scvi_observed", "scvi_nb"]
RUNS = {
    "likelihood": (
        [f"~methods.{name}" for name in [*SCVI_ROWS, "pca", "zifa", "zinbwave"]]
        + ["experiment.axes.n_train_cells=[20,all,9000]"],
        {"heldout_20", "heldout_all", "loglikelihood"},
        {"loglik", "loglik_marginal"},
    ),
    "posterior": (
        [f"~methods.{name}" for name in ["scvi", "scvi_offset", "zifa"]],
        {"boxes", "heat"},
        {"crps", "coverage"},
    ),
    "technical": (
        ["~methods.scvi_offset", "~methods.untrained", *TINY],
        {"scaling_factor", "zeros", "quality", "nb_share", "zero_probabilities"},
        {"nb_library_size", "bernoulli_gene_detection", "library_correlation", "nb_explains"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("experiment", RUNS)
def test_from_the_command_line(experiment, tmp_path, small_h5ad):
    changes, figures, scores = RUNS[experiment]
    changes = changes + ["methods.fa.n_latent=2"] * (experiment != "technical")
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}", "dataset.label_key=cell_type", "seeds=[0]"]
    done = command(f"+exp={experiment}", "results_dir=out", *own, *changes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (table,) = (path for path in (tmp_path / "out/tables").iterdir() if not path.stem.endswith("_jobs"))
    found = pd.read_csv(table)
    assert scores <= set(found["score"])
    assert (found.loc[found["mean"].notna(), "n_seeds"] == 1).all()
    drawn = {path.name for path in (tmp_path / "out/figures").iterdir()}
    assert {f"{table.stem}_{name}{suffix}" for name in figures for suffix in (".png", ".pdf", ".csv")} == drawn
    if experiment == "technical":  # with other settings than those of the yaml files, on other data than the paper's
        with Image.open(tmp_path / "out/figures" / f"{table.stem}_zeros.png") as image:
            words = image.info
        assert words["Title"].startswith("as Fig 6b: ")
        assert "protocol as written but for " in words["Description"]
        assert "methods.scvi.n_epochs=1" in words["Description"]
    if experiment == "likelihood":  # more training cells than there are
        assert found.loc[found["n_train_cells"] == "9000", "status"].str.startswith("skipped: 9,000 training").all()
        assert found.loc[found["score"] == "loglik", "mean"].dropna().lt(0).all()
