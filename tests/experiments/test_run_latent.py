"""batch, structure and tables from the command line, on a user's own file and cheap methods."""

import pandas as pd
import pytest
from test_run import command, written

EXPECTED = {
    "batch": ("tsne_label", "tsne_batch", "batch_entropy"),
    "structure": ("tsne_cell_type", "graph_cell_type", "distances", "cluster_excess"),
    "tables": ("sizes", "hyperparameters", "methods", "labels"),
}
DROPPED = {
    "batch": ("scvi", "scvi_nobatch", "scvi_mmd", "scvi_nolib", "simlr", "fa", "combat", "mnn", "dca"),
    "structure": ("scvi", "simlr", "fa"),
    "tables": (),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_table_figures_and_their_csv_are_written(name, tmp_path, small_h5ad):
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}", "dataset.label_key=cell_type", "dataset.batch_key=donor"]
    dropped = [f"~methods.{method}" for method in DROPPED[name]]
    done = command(f"+exp={name}", "scale=smoke", "seeds=[0]", *own, *dropped, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stem = written(tmp_path, "_jobs.csv").name.removesuffix("_jobs.csv")
    table = pd.read_csv(tmp_path / f"results/tables/{stem}.csv")
    assert (table["status"] == "done").all()
    assert table["mean"].notna().all()
    for figure in EXPECTED[name]:
        for suffix in ("png", "pdf"):
            assert (tmp_path / f"results/figures/{stem}_{figure}.{suffix}").stat().st_size > 1000
        assert len(pd.read_csv(tmp_path / f"results/figures/{stem}_{figure}.csv"))
    if name == "batch":
        entropy = table[table["score"] == "batch_entropy"].set_index("method")["mean"]
        assert entropy["batch_latent"] < entropy["pca"] < entropy["random_latent"] + 0.1
