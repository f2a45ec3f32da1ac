"""The protein experiment, evaluated in this process on planted proteins."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from test_run import command
from tidy import assert_tidy

from baselines.base import Method
from baselines.controls import Oracle, RandomLatent, Raw
from experiments import protein
from experiments.figures import protein as drawing
from experiments.loop.job import Seeds
from experiments.report import table
from experiments.scores import published as addresses
from experiments.tasks.skipped import NotApplicable

PROTOCOL = {"split": {"train": 0.75, "test": 0.25, "random_state": None}}
SEEDS = Seeds(1, 2, 3)


@pytest.fixture(scope="module")
def adata():
    """240 cells whose genes and proteins follow the same two variables."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(240, 2))
    X = rng.poisson(np.exp(1.5 + z @ rng.normal(scale=0.5, size=(2, 30)))).astype(np.int32)
    X[:, 0] += 1
    proteins = z @ rng.normal(size=(2, 5)) + 0.3 * rng.normal(size=(240, 5))
    return ad.AnnData(sp.csr_matrix(X), obsm={"protein": proteins}, uns={"source": {"name": "planted"}})


class Spy(Method):
    def fit(self, X, batch=None):
        self.X_ = X.copy()
        return self

    def latent(self, X, batch=None):
        return np.log1p(X.toarray())


def adjacency(points, n_neighbors):
    distance = cdist(points, points)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :n_neighbors]
    matrix = np.zeros(distance.shape, dtype=int)
    np.put_along_axis(matrix, nearest, 1, axis=1)
    return matrix


def test_scores_are_those_of_dense_graphs_of_100_neighbours_of_the_training_cells(adata):
    spy = Spy()
    scores, arrays, facts = protein.evaluate(spy, adata, PROTOCOL, SEEDS)
    dense = adata.X.toarray()
    rows = [int(np.flatnonzero((dense == row).all(axis=1))[0]) for row in spy.X_.toarray()]
    assert facts["n_cells"] == len(rows) == 180
    ours, theirs = adjacency(spy.latent(spy.X_), 100), adjacency(adata.obsm["protein"][rows], 100)
    assert scores["protein_spearman"] == pytest.approx(spearmanr(ours.ravel(), theirs.ravel()).statistic, abs=1e-9)
    assert scores["protein_fold"] == pytest.approx((ours & theirs).sum() * 180**2 / (ours.sum() * theirs.sum()))
    assert set(scores) == set(protein.SCORES)
    assert arrays == {}


def test_the_controls_bracket_the_scores_and_a_broken_method_is_worse(adata):
    class Broken(Spy):
        def latent(self, X, batch=None):
            return super().latent(X)[::-1]

    runs = {type(m).__name__: protein.evaluate(m, adata, PROTOCOL, SEEDS) for m in
            (Oracle(), Spy(), Raw(), Broken(), RandomLatent())}  # fmt: skip
    spearman = {name: scores["protein_spearman"] for name, (scores, _, _) in runs.items()}
    assert spearman["Oracle"] == pytest.approx(1)
    assert runs["Oracle"][0]["protein_fold"] == pytest.approx(180 / 100)
    assert 1 > spearman["Spy"] > 0.2 > abs(spearman["Broken"])
    assert abs(spearman["RandomLatent"]) < 0.05
    assert spearman["Raw"] != spearman["Spy"]
    assert len({facts["cells_sha256"] for _, _, facts in runs.values()}) == 1


def test_data_without_proteins_are_skipped(adata):
    with pytest.raises(NotApplicable, match="planted has no proteins") as caught:
        protein.evaluate(Spy(), ad.AnnData(adata.X, uns=adata.uns), PROTOCOL, SEEDS)
    assert caught.value.skip


def test_published_values_and_figure(adata):
    records = []
    for method, label, role in ((Spy(), "scVI", "method"), (Raw(), "Raw", "method"), (Oracle(), "all", "control")):
        scores, arrays, facts = protein.evaluate(method, adata, PROTOCOL, SEEDS)
        records.append({"experiment": "protein", "dataset": "cbmc", "protocol": "as_run", "method": label,
                        "label": label, "role": role, "seed": 0, "key": "", "status": "done", "reason": "",
                        "arrays": arrays, **scores, **facts})  # fmt: skip
    records = pd.DataFrame(records)
    summary = table.summarise(records, [], addresses(protein.SCORES, records), "CBMC")
    published = summary.set_index(["label", "score"])["published"]
    assert published["scVI", "protein_spearman"] == pytest.approx(0.10619, abs=1e-5)
    assert published["Raw", "protein_fold"] == 7.2649
    figure = drawing.figure(summary, records)["scores"]
    assert_tidy(figure)
    assert "180 training cells, 100 neighbours each, 5 proteins" in figure.caption
    assert len(figure.data) == 6


@pytest.mark.slow
def test_from_the_command_line_to_figures(tmp_path):
    slow = [f"~methods.{name}" for name in ("scvi", "zifa", "zinbwave", "dca", "simlr", "fa")]
    data = ["dataset=simulated", "dataset.n_cells=200", "dataset.n_genes=40"]
    done = command("+exp=protein", "scale=smoke", *data, *slow, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stem = next((tmp_path / "results/tables").glob("*_jobs.csv")).name.removesuffix("_jobs.csv")
    found = pd.read_csv(tmp_path / f"results/tables/{stem}.csv").set_index(["label", "score"])["mean"]
    assert found["proteins themselves", "protein_spearman"] == pytest.approx(1)
    assert abs(found["random latent", "protein_spearman"]) < 0.1 < found["PCA", "protein_spearman"]
    for suffix in ("png", "pdf", "csv"):
        assert (tmp_path / f"results/figures/{stem}_scores.{suffix}").stat().st_size > 500


def test_too_few_cells_for_the_neighbours_are_skipped_before_the_fit(adata):
    with pytest.raises(NotApplicable, match="90 training cells: the graphs are of the 100 nearest"):
        protein.evaluate(None, adata[:120], PROTOCOL, SEEDS)
