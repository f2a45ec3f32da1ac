"""The command line, as a user types it, in an empty folder."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import yaml
from command_line import command, fresh

from experiments import pack, run
from experiments.report import redraw

ROOT = Path(__file__).parents[2]
SLOW = ["scvi", "scvi_offset", "fa", "zifa", "zinbwave", "magic", "biscuit"]
QUICK = ["seeds=[0,1]", *(f"~methods.{name}" for name in SLOW)]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory, small_h5ad):
    folder = tmp_path_factory.mktemp("run")
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}", "dataset.label_key=cell_type", "dataset.batch_key=donor"]
    arguments = ["+exp=imputation", *own, *QUICK]
    return folder, arguments, fresh(*arguments, cwd=folder)


def written(folder, ending):
    """The only file under ``folder`` with this ending."""
    (path,) = (folder / "results").rglob(f"*{ending}")
    return path


@pytest.mark.slow
def test_own_data_from_the_command_line(first_run):
    folder, _, done = first_run
    assert done.returncode == 0, done.stderr
    assert "16 jobs, 0 on record, 16 to compute." in done.stdout
    stem = written(folder, "_jobs.csv").name.removesuffix("_jobs.csv")
    table = pd.read_csv(folder / "results/tables" / f"{stem}.csv")
    assert set(table["method"]) == {"pca", "gene_mean", "identity", "oracle"}
    assert (table.loc[table["method"] == "oracle", "mean"] == 0).all()
    assert table["published"].isna().all()
    assert table["source"].str.contains("small.h5ad").all()
    assert (table["n_seeds"] == 2).all()
    assert (folder / "results/report/index.html").stat().st_size > 10_000
    for name in ("error_uniform", "error_binomial", "density_uniform"):
        for suffix in ("png", "pdf"):
            assert (folder / f"results/figures/{stem}_{name}.{suffix}").stat().st_size > 1000
    assert {path.name for path in folder.iterdir()} == {"results"}  # no litter


@pytest.mark.slow
def test_records_in_an_archive_are_those_that_were_folded_in(first_run, tmp_path):
    """A clone that has tables, summaries and archives fits nothing, and redraws the same table and the same figures."""
    folder, arguments, _ = first_run
    shutil.copytree(folder / "results", tmp_path / "results")
    pack.main(["--results", str(tmp_path / "results")])
    (path,) = (tmp_path / "results/records/imputation").iterdir()
    assert path.suffix == ".zip"
    done = command(*arguments, cwd=tmp_path)
    assert "16 jobs, 16 on record, 0 to compute." in done.stdout, done.stderr
    assert list((tmp_path / "results/records/imputation").iterdir()) == [path]
    names = [file.name for kind in ("tables", "figures") for file in (folder / "results" / kind).glob("*.csv")]
    assert len(names) > 4

    def are_the_same():
        for name in names:
            (before,), (after,) = ((place / "results").rglob(name) for place in (folder, tmp_path))
            assert after.read_bytes() == before.read_bytes()

    are_the_same()
    for file in (tmp_path / "results/figures").iterdir():
        file.unlink()
    (summary,) = (tmp_path / "results/runs").iterdir()
    redraw.write(summary, tmp_path / "results")
    are_the_same()


@pytest.mark.slow
def test_the_same_corruption_for_every_method(first_run):
    jobs = pd.read_csv(written(first_run[0], "_jobs.csv"))
    by_seed = jobs.groupby(["corruption", "seed"])["corrupted_sha256"]
    assert (by_seed.nunique() == 1).all()
    assert by_seed.first().nunique() == 4


@pytest.mark.slow
def test_a_second_run_fits_nothing_and_redraws(first_run):
    folder, arguments, _ = first_run
    records = {p: p.stat().st_mtime_ns for p in (folder / "results/records/imputation").iterdir()}
    kept = {p: p.read_bytes() for p in (folder / "results/tables").iterdir()}
    kept |= {p: p.read_bytes() for p in (folder / "results/figures").iterdir()}
    for path in kept:
        path.unlink()
    done = command(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "16 jobs, 16 on record, 0 to compute." in done.stdout
    assert {p: p.stat().st_mtime_ns for p in (folder / "results/records/imputation").iterdir()} == records
    assert {p: p.read_bytes() for p in kept} == kept


@pytest.mark.slow
def test_one_lost_record_is_computed_again_alone(first_run):
    folder, arguments, _ = first_run
    record = next((folder / "results/records/imputation").glob("*.json"))
    before = json.loads(record.read_text())
    record.unlink()
    done = command(*arguments, cwd=folder)
    assert "16 jobs, 15 on record, 1 to compute." in done.stdout
    assert json.loads(record.read_text())["scores"] == before["scores"]


@pytest.mark.slow
def test_a_record_says_where_it_comes_from(first_run):
    path = next((first_run[0] / "results/records/imputation").glob("*.json"))
    record = json.loads(path.read_text())
    expected = {"status", "scores", "seconds", "peak_memory_mb", "threads", "seeds", "method_config", "protocol_config"}
    expected |= {"versions", "git_commit", "machine", "dataset_hash", "dataset_source", "method_code", "written"}
    assert expected <= record.keys()
    assert record["key"] == path.stem


@pytest.mark.slow
def test_the_readme_adds_a_method_from_outside(tmp_path, small_h5ad):
    """README, "Add your method in five minutes": the files and the command as they stand there."""
    page = (ROOT / "README.md").read_text().split("## Add your method")[1].split("\n## ")[0]
    for name, block in re.findall(r"`(mine/[\w/.]+)`:\n\n```\w+\n(.*?)```", page, flags=re.S):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block)
    line = re.search(r"```sh\nPYTHONPATH=mine python -m experiments.run (.*?)```", page, flags=re.S).group(1)
    arguments = line.replace("\\\n", " ").split()
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}"]
    done = command(*arguments, *own, *QUICK, cwd=tmp_path, path=[tmp_path / "mine"])
    assert done.returncode == 0, done.stderr
    stem = written(tmp_path, "_jobs.csv").name.removesuffix("_jobs.csv")
    assert stem.endswith(",with=smoothing")
    table = pd.read_csv(tmp_path / "results/tables" / f"{stem}.csv").set_index(["corruption", "method"])
    assert table.loc[("uniform", "smoothing"), "label"] == "kNN smoothing"
    for corruption in ("uniform", "binomial"):
        assert table.loc[(corruption, "smoothing"), "mean"] < table.loc[(corruption, "identity"), "mean"]


@pytest.mark.slow
def test_a_sweep_keeps_the_tables_apart(tmp_path, small_h5ad):
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}"]
    own += ["+methods.pca._resources_.memory_gb=4"]  # changes no number and no name
    done = command("-m", "+exp=imputation", *own, *QUICK, "methods.pca.n_latent=2,5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tables = sorted(
        path.name
        for path in (tmp_path / "results/tables").glob("*,methods.pca.n_latent=?,only=*,seeds=*")
        if "_jobs" not in path.name
    )
    assert len(tables) == 2
    two, five = (pd.read_csv(tmp_path / "results/tables" / name).set_index(["method", "corruption"]) for name in tables)
    assert two.loc[("pca", "uniform"), "mean"] != five.loc[("pca", "uniform"), "mean"]


@pytest.mark.slow
def test_why_jobs_were_skipped_is_said_once_and_whole(tmp_path, small_h5ad):
    others = ("scvi", "fa", "pca", "zifa", "zinbwave", "simlr", "dca", "random_latent")
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}", "seeds=[0]", *(f"~methods.{name}" for name in others)]
    done = command("+exp=protein", *own, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("skipped: Raw, proteins themselves: small has no proteins in obsm['protein'].") == 1
    assert done.stderr.endswith("error: this run has no result: every job of it was skipped, for the reason above.\n")


@pytest.mark.slow
def test_methods_all_is_the_folder_of_methods_that_can_do_the_task(tmp_path, small_h5ad):
    """The settings are shown as they are computed with, and nothing is computed."""
    conf = tmp_path / "conf" / "method"
    conf.mkdir(parents=True)
    (conf / "planted_noise.yaml").write_text("_target_: planted.Noise\n")
    (conf / "planted_mute.yaml").write_text("_target_: planted.CannotImpute\n")
    arguments = ["--config-dir", str(conf.parent), "+exp=imputation", "methods=all", "flip=[scvi.init]", "--cfg", "job"]
    done = command(*arguments, f"dataset.path={small_h5ad}", cwd=tmp_path, path=[Path(__file__).parent])
    assert done.returncode == 0, done.stderr
    shown = yaml.safe_load(done.stdout)
    assert {"planted_noise", "scvi", "scvi_offset", "fa", "pca", "oracle"} <= set(shown["methods"])
    assert "planted_mute" not in shown["methods"]
    assert shown["methods"]["scvi_offset"]["library_encoder"] == "offset"
    assert shown["methods"]["scvi"]["init"] == "authors"
    assert shown["seeds"] == [0, 1, 2, 3, 4]
    assert not (tmp_path / "results").exists()


def test_runs_that_start_together_do_not_refuse_each_other(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: run.require_writable(tmp_path / "results"), range(64)))
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["+exp=imputatoin"], r"Could not find 'exp/imputatoin'.*imputation"),
        (["+exp=imputation", "dataset=corex"], r"Could not find 'dataset/corex'.*cortex"),
        (["+exp=imputation", "dataset=null"], r"^error: Config group override must be a string"),
        (["+exp=imputation", "methods.pca.n_latnt=5"], r"methods\.pca\.n_latnt.*The keys there are: .*n_latent"),
        (["+exp=imputation", "+methods.pca.n_latnt=5"], r"n_latnt is not a parameter of PCA; it has: n_latent"),
        (["+exp=imputation", "seeds=3"], r"give a list of different integers"),
        (["+exp=imputation", "seeds=[0,0]"], r"give a list of different integers"),
        (["+exp=imputation", "methods.scvi.n_epochs=-1"], r"n_epochs=-1 will not do: choose a whole number"),
        (["+exp=imputation", "executor.threads=0"], r"executor\.threads=0.*at least 1"),
        (["+exp=imputation", "seeds=[]"], r"There is nothing to run: .*seeds"),
        ([], r"Which experiment\? .*\+exp=imputation"),
        (["+exp=imputation", "dataset=h5ad", "dataset.path=absent.h5ad"], r"^error: There is no file .*absent\.h5ad"),
    ],
)
def test_a_mistake_is_said_in_one_message_without_a_traceback(tmp_path, arguments, said):
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(said, done.stderr, flags=re.S), done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("results/records/*/*.json"))
