"""The clustering experiment, evaluated in this process on planted types with a hierarchy."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from test_run import command
from tidy import assert_tidy

from baselines.base import Method
from baselines.controls import Oracle, RandomLatent
from experiments import clustering
from experiments.figures import clustering as drawing
from experiments.loop.job import Seeds
from experiments.report import table
from experiments.scores import OF_LABELS
from experiments.scores import published as addresses
from experiments.tasks.skipped import NotApplicable

PROTOCOL = {"split": {"train": 0.75, "test": 0.25, "random_state": None}, "clustering": {"use_batch": True}}
SEEDS = Seeds(1, 2, 3)
PARENT = {"a": "0", "b": "0", "c": "1", "d": "1"}


@pytest.fixture(scope="module")
def adata():
    """160 cells of four types, two and two alike, in two batches."""
    rng = np.random.default_rng(0)
    kind = np.array(list("abcd"))[rng.integers(4, size=160)]
    mean = np.full((160, 30), 3.0)
    for i, name in enumerate("abcd"):
        mean[kind == name, 5 * i : 5 * i + 5] *= 4
    mean[np.isin(kind, ["c", "d"]), 20:] *= 6
    obs = pd.DataFrame({"label": pd.Categorical(kind), "batch": pd.Categorical(np.resize(["x", "y"], 160))})
    obs["label_2"] = obs["label"].map(PARENT).astype("category")
    obs.index = [f"cell{i}" for i in range(160)]
    return ad.AnnData(sp.csr_matrix(rng.poisson(mean).astype(np.int32)), obs=obs, uns={"source": {"name": "planted"}})


class Spy(Method):
    """Some genes as latent space; remembers what it was given."""

    def __init__(self, n_clusters="labels"):
        self.n_clusters = n_clusters

    def fit(self, X, batch=None):
        self.X_, self.batch_ = X.copy(), batch
        return self

    def latent(self, X, batch=None):
        return np.log1p(X[:, ::4].toarray()).astype(np.float32)


def labels_of(adata, X):
    """The types of the cells of ``X``, found by their counts."""
    dense = adata.X.toarray()
    rows = [int(np.flatnonzero((dense == row).all(axis=1))[0]) for row in X.toarray()]
    return adata.obs["label"].astype(str).to_numpy()[rows]


def test_scores_are_those_of_scikit_learn_on_the_training_cells(adata):
    spy = Spy()
    scores, arrays, facts = clustering.evaluate(spy, adata, PROTOCOL, SEEDS)
    assert facts["n_cells"] == spy.X_.shape[0] == 120
    assert facts["n_labels"] == spy.n_clusters == 4  # "labels" stands for the number of cell types
    space, truth = spy.latent(spy.X_).astype(float), labels_of(adata, spy.X_)
    for cut, labels in (("", truth), ("_2", np.array([PARENT[name] for name in truth]))):
        found = KMeans(len(set(labels)), n_init=200, random_state=5).fit_predict(space)
        assert scores[f"asw{cut}"] == pytest.approx(silhouette_score(space, labels))
        assert scores[f"ari{cut}"] == pytest.approx(adjusted_rand_score(labels, found))
        assert scores[f"nmi{cut}"] == pytest.approx(
            normalized_mutual_info_score(labels, found, average_method="geometric")
        )
    assert {name: scores[name] for name in OF_LABELS} == {name: scores[f"{name}_all"] for name in OF_LABELS}
    assert not [name for name in scores if name.endswith(("_3", "_4"))]
    assert set(scores) <= set(clustering.SCORES)
    assert {score: clustering.SCORES[score].published for score in ("ari", "nmi")} == {"ari": "ARI", "nmi": "NMI"}
    assert arrays == {}


def test_the_controls_bracket_the_scores(adata):
    truth, _, _ = clustering.evaluate(Oracle(), adata, PROTOCOL, SEEDS)
    noise, _, _ = clustering.evaluate(RandomLatent(), adata, PROTOCOL, SEEDS)
    assert truth["asw"] == truth["ari"] == truth["nmi"] == pytest.approx(1)
    assert truth["asw_2"] < 0.7  # types without their relations: all of them are equally far apart
    assert abs(noise["ari"]) < 0.1
    assert abs(noise["asw"]) < 0.1


def test_a_method_broken_on_purpose_is_worse(adata):
    class Broken(Spy):
        def latent(self, X, batch=None):
            return super().latent(X)[::-1]  # cells in the wrong order

    good, bad = (clustering.evaluate(method, adata, PROTOCOL, SEEDS)[0] for method in (Spy(), Broken()))
    assert all(bad[name] < good[name] - 0.1 for name in OF_LABELS)


def test_all_methods_of_a_seed_see_the_same_cells(adata):
    first, again = (clustering.evaluate(method, adata, PROTOCOL, SEEDS)[2] for method in (Spy(), RandomLatent()))
    other = clustering.evaluate(Spy(), adata, PROTOCOL, Seeds(9, 2, 3))[2]
    assert first["cells_sha256"] == again["cells_sha256"] != other["cells_sha256"]


def test_batches_are_given_where_the_protocol_says_so(adata):
    spy, unaware = Spy(), Spy()
    clustering.evaluate(spy, adata, PROTOCOL, SEEDS)
    assert set(spy.batch_) == {"x", "y"}
    clustering.evaluate(unaware, adata, PROTOCOL | {"clustering": {"use_batch": False}}, SEEDS)
    assert unaware.batch_ is None


def test_data_without_labels_are_skipped_and_a_single_label_is_said(adata):
    bare = ad.AnnData(adata.X, uns=adata.uns)
    with pytest.raises(NotApplicable, match="planted has no cell types") as caught:
        clustering.evaluate(Spy(), bare, PROTOCOL, SEEDS)
    assert caught.value.skip
    other, spy = adata.copy(), Spy()
    for labels, n in ((["same"] * 160, 1), (adata.obs_names, 120)):
        other.obs["label"] = pd.Categorical(labels)
        with pytest.raises(NotApplicable, match=rf"planted has {n} cell type\(s\) among 120 training"):
            clustering.evaluate(spy, other, PROTOCOL, SEEDS)
    assert not hasattr(spy, "X_")  # said before anything is fitted


def test_every_published_bar_of_figure_8_is_found():
    """Fig 8b gives 6 methods, Fig 8e–g 5 at four cuts; each finds its own number."""
    rows = []
    for label in ("FA", "ZIFA", "ZINB-WaVE", "SIMLR", "DCA", "scVI"):
        scores = dict.fromkeys(clustering.SCORES, 0.5)
        rows.append({"experiment": "clustering", "dataset": "cortex", "protocol": "as_run", "method": label, "seed": 0,
                     "label": label, "role": "method", "status": "done", "reason": "", **scores})  # fmt: skip
    wanted = addresses(clustering.SCORES, rows[0])
    found = table.summarise(pd.DataFrame(rows), [], wanted, "CORTEX").set_index(["label", "score"])
    missing = found.index[found["published"].isna()]
    assert {label for label, _ in missing} == {"DCA"}  # not in Fig 8e–g
    assert found.loc[("FA", "ari"), "published"] == pytest.approx(0.50232, abs=1e-5)  # printed as "NMI"
    assert found.loc[("FA", "ari_all"), "published"] == pytest.approx(0.78689, abs=1e-5)
    assert found.loc[("scVI", "nmi_2"), "published"] == pytest.approx(0.76728, abs=1e-5)


@pytest.mark.slow
def test_from_the_command_line_to_figures(tmp_path):
    slow = [f"~methods.{name}" for name in ("scvi", "scvi_nolib", "zifa", "zinbwave", "dca", "simlr", "fa")]
    data = ["dataset=simulated", "dataset.n_cells=200", "dataset.n_genes=40"]
    done = command("+exp=clustering", "scale=smoke", *data, *slow, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stem = next((tmp_path / "results/tables").glob("*_jobs.csv")).name.removesuffix("_jobs.csv")
    found = pd.read_csv(tmp_path / f"results/tables/{stem}.csv").set_index(["label", "score"])["mean"]
    assert found["labels alone", "ari"] == 1
    assert found["random latent", "ari"] < 0.2 < found["PCA", "ari"]
    for name in ("scores", "hierarchy"):
        for suffix in ("png", "pdf", "csv"):
            assert (tmp_path / f"results/figures/{stem}_{name}.{suffix}").stat().st_size > 500


@pytest.mark.slow
def test_figures_are_tidy_and_draw_the_table(adata):
    records = []
    for method, label, role in ((Spy(), "scVI", "method"), (RandomLatent(), "random latent", "control")):
        for seed in (0, 1):
            scores, arrays, facts = clustering.evaluate(method, adata, PROTOCOL, Seeds(seed, seed, seed))
            scores |= {f"{name}_{cut}": scores[f"{name}_2"] for name in OF_LABELS for cut in (3, 4)}
            records.append({"experiment": "clustering", "dataset": "cortex", "protocol": "as_run", "method": label,
                            "label": label, "role": role, "seed": seed, "key": "", "status": "done", "reason": "",
                            "arrays": arrays, **scores, **facts})  # fmt: skip
    records = pd.DataFrame(records)
    summary = table.summarise(records, [], addresses(clustering.SCORES, records), "CORTEX")
    figures = drawing.figure(summary, records)
    assert set(figures) == {"scores", "hierarchy"}
    for figure in figures.values():
        assert_tidy(figure)
        assert "exchange them" in figure.caption
        assert "120 training cells, 4 cell types" in figure.caption
    ax = figures["scores"].axes[1]  # the second panel: ARI
    drawn = [patch.get_width() for patch in ax.patches]
    expected = summary[summary["score"] == "ari"].set_index("label").loc[["scVI", "random latent"], "mean"]
    assert drawn == pytest.approx(list(expected))
    colours = [patch.get_facecolor() for patch in figures["hierarchy"].axes[0].patches]
    assert len(set(colours)) == 4
    summary = summary[~summary["score"].str.endswith(("_3", "_4"))]
    two = drawing.figure(summary, records)["hierarchy"]  # a hierarchy with a single cut leaves no room for others
    assert [text.get_text() for text in two.body.legends[0].get_texts()] == ["2 types", "all 4", "published"]
    assert len(two.axes[0].patches) == 4
