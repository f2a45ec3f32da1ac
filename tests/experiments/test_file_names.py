"""What the files of a run are called."""

from pathlib import Path

import pytest
from test_run import command

from experiments.file_names import name_of_file, short


@pytest.mark.slow
def test_a_sweep_over_annotations_keeps_the_tables_apart(tmp_path, small_h5ad):
    own = ["dataset=h5ad", f"dataset.path={small_h5ad}"]
    done = command("-m", "+exp=tables", *own, "dataset.label_key=cell_type,donor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "results/runs").glob("*.json")}
    assert names == {f"tables_small_as_written_dataset.label_key={key}.json" for key in ("cell_type", "donor")}


@pytest.mark.slow
def test_a_sweep_over_something_else_leaves_where_things_are_out_of_names(tmp_path, small_h5ad):
    file = tmp_path / "my file.h5ad"
    file.write_bytes(Path(small_h5ad).read_bytes())
    own = ["dataset=h5ad", f"dataset.path='{file}'", "dataset.obs_columns={kind: cell_type}"]
    done = command("-m", "+exp=tables", *own, "protocol=as_written,as_run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "results/runs").glob("*.json")}
    assert names == {f"tables_my file_{protocol}.json" for protocol in ("as_written", "as_run")}


@pytest.mark.slow
def test_a_file_does_not_take_the_name_of_a_data_set_of_the_suite(tmp_path, small_h5ad):
    file = tmp_path / "cortex.h5ad"
    file.write_bytes(Path(small_h5ad).read_bytes())
    done = command("+exp=tables", "dataset=h5ad", f"dataset.path={file}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "results/runs").glob("*.json")] == ["tables_own_cortex_as_written.json"]
    assert [name_of_file(f"x/{stem}.h5ad") for stem in ("standin_pbmc", "mine")] == ["own_standin_pbmc", "mine"]


def test_many_overrides_leave_file_names_short_and_apart():
    one, two = (short("methods.scvi.größe=5_" * 20 + end) for end in "ab")
    assert one != two
    assert max(len(one.encode()), len(two.encode())) < 140  # of 255, with experiment, data set, protocol and figure
    assert short("methods.scvi.n_latent=5") == "methods.scvi.n_latent=5"


@pytest.mark.slow
def test_whatever_a_sweep_sets_is_in_the_names_of_its_tables(tmp_path, small_h5ad):
    conf = tmp_path / "a=b" / "sweep"  # hydra takes such a folder
    conf.mkdir(parents=True)
    params = "hydra: {sweeper: {params: {dataset.label_key: 'cell_type,donor'}}}\n"
    (conf / "keys.yaml").write_text(f"# @package _global_\n{params}")
    own = ["--config-dir", str(conf.parent), "+sweep=keys", "dataset=h5ad", f"dataset.path={small_h5ad}"]
    done = command("-m", *own, "+exp=tables", "seeds=[0],[1]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {path.stem for path in (tmp_path / "results/runs").glob("*.json")}
    keys = [f"dataset.label_key={key}_seeds=[{seed}]" for key in ("cell_type", "donor") for seed in (0, 1)]
    assert names == {f"tables_small_as_written_{key}" for key in keys}
