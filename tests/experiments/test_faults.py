"""Faults from outside, struck into real runs: full and read-only disks, two runs at once, names that lead elsewhere."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest
from command_line import command

from experiments.loop.locks import Claims
from experiments.loop.settings import check_file_names
from experiments.loop.store import Store

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
QUICK = ["+exp=imputation", "dataset=h5ad", "experiment.axes.corruption=[uniform]", "~methods.scvi"]
QUICK += ["~methods.scvi_offset", "~methods.fa", "~methods.zifa", "~methods.zinbwave", "~methods.magic"]
QUICK += ["~methods.biscuit", "seeds=[0]"]
METHODS = {"pca", "gene_mean", "identity", "oracle", "planted"}
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}


def call(*arguments, conf=None):
    """The command line; ``conf`` is a folder of configuration of the user's own."""
    own = [] if conf is None else ["--config-dir", str(conf)]
    return [sys.executable, "-m", "experiments.run", *own, *QUICK, *map(str, arguments)]


def run(*arguments, cwd, conf=None):
    return command(*call(*arguments, conf=conf)[3:], cwd=cwd)


@pytest.fixture
def on_disk(tmp_path):
    """Run a script with a file system of its own at ``$DISK``: gone when the script ends, invisible outside."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def on_disk(script, options, timeout=300):
        enter = ["unshare", "--mount", "--map-root-user", "sh", "-ec"]
        mount = f"mount -t tmpfs -o {options} tmpfs {disk}; "
        try:
            subprocess.run([*enter, mount], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a file system of one's own cannot be mounted here")
        environment = ENVIRONMENT | {"DISK": str(disk)}
        options = {"capture_output": True, "text": True, "timeout": timeout, "check": False, "cwd": tmp_path}
        return subprocess.run([*enter, mount + script], env=environment, **options)

    return on_disk


def planted(folder, text, name="planted"):
    """A folder of configuration with one method in it."""
    (folder / "conf" / "method").mkdir(parents=True)
    (folder / "conf" / "method" / f"{name}.yaml").write_text(text)
    return folder / "conf"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "prepare", "said"),
    [
        ("size=200k", "", "No space left on device"),
        ("size=8m", "mount -o remount,ro $DISK; ", "Read-only file system"),
    ],
)
def test_a_disk_that_cannot_take_results_is_said_before_anything_is_computed(
    on_disk, tmp_path, small_h5ad, options, prepare, said
):
    line = shlex.join(call(f"dataset.path={small_h5ad}", f"results_dir={tmp_path}/disk/results"))
    done = on_disk(f"{prepare}code=0; {line} || code=$?; find $DISK -type f; exit $code", options)
    assert done.returncode == 1
    assert "Results cannot be written to" in done.stderr
    assert f"({said}): make room there or set results_dir=FOLDER." in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""  # nothing begun, no file left


@pytest.mark.slow
def test_a_disk_that_fills_up_ends_the_run_in_one_sentence_and_leaves_nothing_partial(on_disk, tmp_path, small_h5ad):
    """Room for some records and not for the arrays of the method that comes last."""
    conf = planted(tmp_path, f"_target_: planted.FillsTheDisk\npath: {tmp_path}/disk/ballast\n")
    more = [f"results_dir={tmp_path}/disk/results", "+method@methods.planted=planted", "executor.n_jobs=1"]
    line = shlex.join(call(f"dataset.path={small_h5ad}", *more, conf=conf))
    script = f"code=0; {line} || code=$?; rm $DISK/ballast; mv $DISK/results {tmp_path}/kept; exit $code"
    done = on_disk(script, "size=8m")
    assert done.returncode == 1
    (said,) = (line for line in done.stderr.splitlines() if "No space left on device" in line)
    assert "could not be written (No space left on device): " in said
    assert "make room there or write elsewhere." in said
    assert "Traceback" not in done.stderr
    kept = tmp_path / "kept" / "records" / "imputation"
    assert not list(kept.rglob("*.tmp"))
    statuses = [json.loads(path.read_text())["status"] for path in kept.glob("*.json")]
    assert statuses == ["done"] * 4  # pca, gene_mean, identity, oracle
    again = run(f"dataset.path={small_h5ad}", f"results_dir={tmp_path / 'kept'}", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "4 jobs, 4 on record, 0 to compute" in again.stdout


@pytest.mark.slow
def test_records_that_a_method_removes_are_rows_that_failed(tmp_path, small_h5ad):
    conf = planted(tmp_path, f"_target_: planted.Removes\nfolder: {tmp_path}/results/records\n")
    arguments = ["+method@methods.planted=planted", "seeds=[0,1]", "executor.n_jobs=1"]
    done = run(f"dataset.path={small_h5ad}", *arguments, cwd=tmp_path, conf=conf)
    assert done.returncode == 1
    assert "failed: PCA, gene mean, identity, oracle: its record is gone" in done.stderr
    (path,) = (tmp_path / "results/tables").glob("*_jobs.csv")
    jobs = pd.read_csv(path)
    assert len(jobs) == 10
    lost = (jobs["seed"] == 0) & (jobs["method"] != "planted")
    assert set(jobs.loc[lost, "status"]) == {"failed"}
    assert set(jobs.loc[~lost, "status"]) == {"done"}
    table = pd.read_csv(path.with_name(path.name.replace("_jobs", ""))).set_index("method")
    assert (table["n_missing"] == [1, 1, 1, 1, 0]).all()


@pytest.mark.slow
def test_two_runs_at_once_share_the_jobs_and_each_has_its_tables(tmp_path, small_h5ad):
    tally = tmp_path / "tally"
    conf = planted(tmp_path, f"_target_: planted.Tallied\ntally: {tally}\n")
    arguments = [f"dataset.path={small_h5ad}", "+method@methods.planted=planted"]
    arguments += ["seeds=[0,1,2,3,4,5]", "executor.n_jobs=1"]
    options = {"cwd": tmp_path, "env": ENVIRONMENT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    parts = [(), ("~methods.pca",)]
    runs = [subprocess.Popen(call(*arguments, *part, conf=conf), **options) for part in parts]
    said = [process.communicate(timeout=300) for process in runs]
    assert [process.returncode for process in runs] == [0, 0], said
    assert sorted(tally.read_text().split()) == sorted(set(tally.read_text().split()))  # no job twice
    assert len(tally.read_text().split()) == 6
    assert not list((tmp_path / "results").rglob("*.damaged"))
    assert not list((tmp_path / "results").rglob("*.tmp"))
    paths = [path for path in (tmp_path / "results/tables").iterdir() if "_jobs" not in path.name]
    tables = sorted(map(pd.read_csv, paths), key=len)
    assert [set(table["method"]) for table in tables] == [METHODS - {"pca"}, METHODS]
    for path, table in zip(paths, tables, strict=True):
        assert (table["n_seeds"] == 6).all()
        assert (table["n_missing"] == 0).all()
        assert f'id="run-{path.stem}"' in (tmp_path / "results/report/index.html").read_text()


@pytest.mark.parametrize(
    ("part", "name"),
    [("dataset", "../x"), ("dataset", ".."), ("experiment", "a/../../b"), ("protocol", "/x"), ("dataset", None)],
)
def test_a_name_that_leads_elsewhere_is_refused(part, name):
    config = {key: {"name": "fine"} for key in ("experiment", "dataset", "protocol")} | {part: {"name": name}}
    with pytest.raises(ValueError, match=rf"{part}\.name=.* cannot be part of a file name: use letters"):
        check_file_names(config)


@pytest.mark.slow
def test_a_dataset_never_leads_out_of_the_results(tmp_path):
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    done = run("dataset=cortex", "dataset.name=../../elsewhere", cwd=inside)
    assert done.returncode == 1
    assert done.stderr.startswith("error: dataset.name='../../elsewhere' cannot be part of a file name")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_hostile_names_of_methods_labels_and_genes_stay_inside(tmp_path, small_h5ad):
    """Method keys, tags, genes and cell types that look like paths."""
    adata = ad.read_h5ad(small_h5ad)
    adata.var_names = [f"../../gene{i}" for i in range(adata.n_vars)]
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.rename_categories(["../../a", "/b"])
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    adata.write_h5ad(tmp_path / "hostile.h5ad")
    text = "# @package _global_\nmethods:\n  ../../m: {_target_: baselines.pca.PCA, n_latent: 2, _label_: ../../PCA}\n"
    conf = planted(tmp_path / "own", text)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    arguments = [f"dataset.path={tmp_path / 'hostile.h5ad'}", "dataset.label_key=cell_type", "+method=planted"]
    done = run(*arguments, "+protocol.note='/../../x'", cwd=inside, conf=conf)
    assert done.returncode == 0, done.stderr
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert new
    assert all((inside / "results") in path.parents for path in new)


@pytest.mark.slow
def test_a_cell_of_another_run_is_left_to_it(tmp_path, small_h5ad):
    """While another process holds the claim of a job, this run computes the rest and waits."""
    results = tmp_path / "results"
    first = run(f"dataset.path={small_h5ad}", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    store = Store(results, "imputation")
    path = next(store.folder.glob("*.json"))
    record = path.read_text()
    path.unlink()
    claims = Claims(results)
    assert claims.take(path.stem)
    options = {"cwd": tmp_path, "env": ENVIRONMENT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(call(f"dataset.path={small_h5ad}"), **options)
    while "to compute" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    assert "4 jobs, 3 on record, 1 to compute" in line
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    path.write_text(record)  # the other run is done
    claims.close()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert path.read_text() == record
