"""What the files of a run are called, and that no run takes the place of another."""

import functools
import json
import re

import anndata as ad
import hydra
import pandas as pd
import pytest
from command_line import command
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict
from test_run import QUICK

from experiments.loop import config as config_module
from experiments.loop.config import identify, resolve
from experiments.loop.jobs import enumerate_jobs
from experiments.loop.names import LONGEST, as_file_name, name_of_file, override, stem
from experiments.loop.paths import ROOT


def _remembering(compose):
    """The plain run is the same for most command lines here, and takes half a second to compose."""
    known = functools.cache(lambda overrides, options: compose(overrides, **dict(options)))
    return lambda overrides, **options: known(tuple(overrides), tuple(options.items()))


@pytest.fixture(scope="module")
def run():
    """The resolved configuration of a command line and its `Identity`."""

    @functools.cache
    def run(*overrides):
        composed = hydra.compose("config", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(composed.copy())
        with open_dict(composed):
            del composed["hydra"]
        return resolve(composed), identify(composed)

    start = hydra.initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf"), job_name="run")
    with start, pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_module, "_compose", _remembering(config_module._compose))
        yield run
    HydraConfig.instance().cfg = None


@pytest.fixture(scope="module")
def named(run):
    def named(*overrides):
        config, identity = run(*overrides)
        return stem([config[block]["name"] for block in ("experiment", "dataset", "protocol")], identity.changes)

    return named


PLAIN = "imputation_cortex_as_written"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], PLAIN),
        (["protocol=as_run"], "imputation_cortex_as_run"),
        (["dataset=standin/pbmc"], "imputation_standin_pbmc_as_written"),
        (["seeds=[0,1,2,3,4]", "methods.scvi.n_latent=10", "scale=paper", "dataset.name=cortex", "flip=[]"], PLAIN),
        (["executor.threads=2", "fresh=true", "data_dir=/x", "results_dir=/y", "executor=local"], PLAIN),
        (["dataset.path=/x/expression.txt", "dataset.download=true"], PLAIN),  # where the data are, not which
        (["+methods.pca._resources_.memory_gb=4"], PLAIN),
        (["~methods.pca"], f"{PLAIN}_without=pca"),
        (["only=[scvi,pca]"], f"{PLAIN}_only=pca+scvi"),
        (["~method@methods.pca", "~methods.fa"], f"{PLAIN}_without=fa+pca"),
        (["seeds=[0]"], f"{PLAIN}_seeds=0"),
        (["scale.seeds=[0]"], f"{PLAIN}_seeds=0"),
        (["experiment.axes.corruption=[uniform]"], f"{PLAIN}_experiment.axes.corruption=uniform"),
        (["flip=[scvi.sampling,scvi.init]"], f"{PLAIN}_flip=scvi.init+scvi.sampling"),
        (
            ["methods.scvi.n_latent=5", "methods.pca.n_latent=2"],
            f"{PLAIN}_methods.pca.n_latent=2,methods.scvi.n_latent=5",
        ),
        (["protocol.scvi.n_epochs=7"], f"{PLAIN}_protocol.scvi.n_epochs=7"),  # and not once more for each that follows
        (["scale=smoke"], f"{PLAIN}_scale=smoke"),
        (["scale.max_cells=100"], f"{PLAIN}_scale.max_cells=100"),
        (["+method@methods.simlr=simlr"], f"{PLAIN}_with=simlr"),
        (["method@methods.pca=fa"], f"{PLAIN}_methods.pca=fa"),
        (["dataset=random_zinb", "dataset.name=cortex"], f"{PLAIN}_dataset=random_zinb"),
        (["dataset=simulated", "dataset.name=cortex"], f"{PLAIN}_dataset=simulated"),
        (["protocol=as_run", "protocol.name=as_written"], f"{PLAIN}_protocol=as_run"),
        (["dataset=h5ad", "dataset.path=/x/f.h5ad", "dataset.name=cortex"], f"{PLAIN}_dataset=h5ad"),
        (["dataset=h5ad", "dataset.path=/x/my f.h5ad"], "imputation_my f_as_written"),
        (
            ["dataset=h5ad", "dataset.path=/x/f", "dataset.label_key=kind"],
            "imputation_f_as_written_dataset.label_key=kind",
        ),
    ],
)
def test_a_name_says_what_a_run_has_otherwise_than_the_plain_one(named, overrides, expected):
    assert named("+exp=imputation", *overrides) == expected


@pytest.mark.slow
def test_runs_of_other_jobs_have_other_names(named, run):
    """The judge is the list of jobs: what differs there must differ in the name, with the same file name or not."""
    lines = [[], ["seeds=[0]"], ["seeds=[0,1]"], ["~methods.pca"], ["~methods.fa"], ["methods.pca.n_latent=2"]]
    lines += [["experiment.axes.corruption=[binomial]"], ["protocol.corruption.uniform.fraction=0.2"], ["scale=smoke"]]
    lines += [
        ["protocol.note='/../../x'"],
        ["protocol.note='-..-..-x'"],
        ["protocol.note='null'"],
        ["protocol.note=null"],
    ]
    lines += [["methods.zifa.tol=1e-3"], ["methods.zifa.tol=0.01"], ["flip=[split]"], ["protocol=as_run"]]
    lines += [["protocol.note=[a,b]"], ["protocol.note='a+b'"], ["protocol.note='[a,b]'"]]
    seen = {}
    for line in lines:
        line = [word.replace("protocol.note", "+protocol.note") for word in line]
        config = run("+exp=imputation", *line)[0]
        jobs = frozenset(job.key for job in enumerate_jobs(config, "hash"))
        seen.setdefault(named("+exp=imputation", *line), set()).add(jobs)
    assert all(len(jobs) == 1 for jobs in seen.values())
    assert len(set.union(*seen.values())) == len(seen) == len(lines) - 1  # tol=0.01 is the default


def test_the_dataset_of_the_yaml_is_the_plain_one(named):
    assert named("+exp=stability") == "stability_brain_large_as_written"
    assert named("+exp=scalability_10k", "seeds=[0]") == "scalability_10k_simulated_as_written"


@pytest.mark.slow
def test_which_changes_leave_the_jobs_of_the_plain_run_as_they_are(run):
    def alters(*overrides):
        return {change.word.split("=")[0]: change.alters for change in run("+exp=imputation", *overrides)[1].changes}

    parts = ["seeds=[7]", "~methods.pca", "experiment.axes.corruption=[uniform]", "+method@methods.simlr=simlr"]
    assert set(alters(*parts).values()) == {False}
    assert alters("methods.fa.n_latent=2") == {"methods.fa.n_latent": True}
    assert alters("experiment.axes.corruption=[other]") == {"experiment.axes.corruption": True}
    assert alters("dataset=simulated", "dataset.n_cells=50") == {"dataset.n_cells": True}
    assert alters("dataset=h5ad", "dataset.path=/x/f.h5ad", "dataset.label_key=kind") == {"dataset.label_key": False}


def test_file_names_are_short_plain_and_apart():
    long = [as_file_name("methods.scvi.größe=5," * 20 + end, LONGEST) for end in "ab"]
    assert long[0] != long[1]
    assert max(len(name.encode()) for name in long) <= LONGEST
    odd = {as_file_name(name) for name in ("T [CD4]", "T (CD4)", "T /CD4/", "T -CD4-")}
    assert len(odd) == 4
    assert not any(set("[](){}/") & set(name) for name in odd)
    assert as_file_name("methods.scvi.n_latent=5") == "methods.scvi.n_latent=5"


def test_a_file_does_not_take_the_name_of_a_data_set_of_the_suite():
    assert [name_of_file(f"x/{name}.h5ad") for name in ("cortex", "standin_pbmc", "mine")] == [
        "own_cortex",
        "own_standin_pbmc",
        "mine",
    ]


def test_all_methods_are_one_change(run, monkeypatch):
    monkeypatch.setattr("experiments.loop.config._all_methods", lambda _: {})
    words = [change.word for change in run("+exp=imputation", "methods.pca.n_latent=3", "methods=all")[1].changes]
    assert words == ["methods.pca.n_latent=3", "methods=all"]


@pytest.mark.slow
def test_a_part_of_a_run_leaves_the_whole_as_it_is(tmp_path, small_h5ad):
    own = ["+exp=imputation", "dataset=h5ad", f"dataset.path={small_h5ad}", *QUICK]
    own += ["experiment.axes.corruption=[uniform]", "~methods.oracle"]
    assert command(*own, cwd=tmp_path).returncode == 0
    written = [path for folder in ("tables", "figures", "runs") for path in (tmp_path / "results" / folder).iterdir()]
    kept = {path: path.read_bytes() for path in written}
    assert len(kept) == 9
    done = command(*own, "~methods.pca", "seeds=[0]", cwd=tmp_path)  # README's own words
    assert done.returncode == 0, done.stderr
    assert ", 2 on record, 0 to compute" in done.stdout  # the jobs are the same
    assert {path: path.read_bytes() for path in kept} == kept
    runs = [json.loads(path.read_text()) for path in (tmp_path / "results/runs").glob("*.json")]
    assert len({run["stem"] for run in runs}) == 2
    page = (tmp_path / "results/report/index.html").read_text()
    assert all(run["tag"] in page for run in runs)


@pytest.mark.slow
def test_two_samples_of_one_name_do_not_collide_and_the_page_knows_them(tmp_path, small_h5ad):
    paths = [tmp_path / sample / "filtered_feature_bc_matrix.h5ad" for sample in ("sample1", "sample2")]
    for path, n_cells in zip(paths, (80, 60), strict=True):
        path.parent.mkdir()
        ad.read_h5ad(small_h5ad)[:n_cells].copy().write_h5ad(path)
    swept = f"dataset.path={','.join(map(str, paths))}"
    done = command("-m", "+exp=tables", "dataset=h5ad", swept, "dataset.label_key=cell_type", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = [json.loads(file.read_text()) for file in (tmp_path / "results/runs").glob("*.json")]
    page = (tmp_path / "results/report/index.html").read_text()
    assert {run["file"] for run in runs} == {f"sample{n}/filtered_feature_bc_matrix.h5ad" for n in (1, 2)}
    for run in runs:
        table = pd.read_csv(tmp_path / "results/tables" / f"{run['stem']}.csv").set_index("score")["mean"]
        jobs = pd.read_csv(tmp_path / "results/tables" / f"{run['stem']}_jobs.csv")
        assert set(jobs["file"]) == {run["file"]}
        assert table["n_cells"] == (80 if run["file"].startswith("sample1/") else 60)
        assert re.match(r"tables_filtered_feature_bc_matrix_as_written_data=[0-9a-f]{8},", run["stem"])
        assert run["file"] in page


@pytest.mark.slow
def test_whatever_a_sweep_sets_is_in_the_names_of_its_tables(tmp_path, small_h5ad):
    conf = tmp_path / "a=b" / "sweep"  # hydra takes such a folder
    conf.mkdir(parents=True)
    params = "hydra: {sweeper: {params: {dataset.label_key: 'cell_type,donor'}}}\n"
    (conf / "keys.yaml").write_text(f"# @package _global_\n{params}")
    own = ["--config-dir", str(conf.parent), "+sweep=keys", "dataset=h5ad", f"dataset.path={small_h5ad}"]
    done = command("-m", *own, "+exp=tables", "seeds=[1]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tags = {
        json.loads(path.read_text())["tag"].split(", ", 1)[1] for path in (tmp_path / "results/runs").glob("*.json")
    }
    assert tags == {f"dataset.label_key={key}, seeds=1, sweep=keys" for key in ("cell_type", "donor")}


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("seeds=0+1", "'seeds=[0,1]'"),
        ("seeds=0", "'seeds=[0]'"),
        ("without=fa+pca", "'~methods.fa' '~methods.pca'"),
        ("only=fa+pca", "'methods=[fa,pca]'"),
        ("with=simlr", "+method@methods.simlr=simlr"),
        ("methods=all", "methods=all"),
        ("methods.scvi.n_latent=5", "methods.scvi.n_latent=5"),
        ("experiment.axes.corruption=uniform", "'experiment.axes.corruption=[uniform]'"),
        ("data=0a1b", None),
        ("unfinished", None),
    ],
)
def test_the_word_of_a_change_is_typed_so(word, typed):
    assert override(word) == typed
