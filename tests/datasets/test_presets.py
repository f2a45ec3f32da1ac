"""The folder conf/dataset: every preset is complete, and loads where its data are here."""

import importlib
import inspect

import pytest

from datasets import list as listing
from datasets import presets
from datasets.base import InvalidDataset, check_dataset, sha256_of
from datasets.io.fetch import Unavailable

SMALL = {"simulated": {"n_cells": 300}, "brain_large": {"n_cells": 100, "n_test": 10}}


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_says_what_a_run_needs(name):
    block = presets.preset(name)
    module, _, function = block["loader"]["_target_"].rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), function)).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    assert anything or set(block["loader"]) - {"_target_"} <= set(parameters)
    assert {"name", "published_as", "source", "licence"} <= set(block)
    for file in block.get("files", {}).values():
        assert {"name", "urls", "sha256", "bytes"} <= set(file)
        assert file["sha256"] is None or len(file["sha256"]) == 64
    assert ("stand_in_for" in block) == name.startswith("standin/")


@pytest.mark.parametrize("name", [name for name in presets.names() if name != "h5ad"])
def test_every_dataset_that_is_here_obeys_the_contract(name, tmp_path):
    try:
        adata = presets.load(name, **SMALL.get(name, {}))
    except (Unavailable, FileNotFoundError) as reason:
        pytest.skip(str(reason))
    check_dataset(adata)
    expect = presets.preset(name).get("expect") or {}
    for key, found in (("cells", adata.n_obs), ("genes", adata.n_vars)):
        assert expect.get(key, found) == found
    if name.startswith("standin/"):
        assert "stand-in for the paper's" in adata.uns["source"]["origin"]
        if "label" in adata.obs:
            assert adata.obs["label"].nunique() == expect["labels"]


def test_the_known_hashes_are_those_of_the_files_here():
    checked = 0
    for name in presets.names():
        for file in presets.preset(name).get("files", {}).values():
            path = presets.data_folder() / "raw" / file["name"]
            if path.exists() and file["sha256"]:
                assert sha256_of(path) == file["sha256"]
                assert path.stat().st_size == file["bytes"]
                checked += 1
    if not checked:
        pytest.skip("no raw file is in $SCVI_REPRO_DATA/raw")


def test_settings_are_replaced_by_name_and_typos_list_the_names():
    assert presets.load("cortex", n_genes=7).n_vars == 7
    with pytest.raises(InvalidDataset, match="no setting 'n_gene'; it has: name, title, published_as, path, download"):
        presets.load("cortex", n_gene=7)
    with pytest.raises(InvalidDataset, match="no dataset 'cortx'; there are: brain_large, brain_small, cbmc, cortex"):
        presets.load("cortx")


def test_data_that_are_not_here_say_where_to_get_them(tmp_path):
    with pytest.raises(Unavailable, match=r"pbmc8k_filtered.* is not in .*set dataset\.download=true, or put the file"):
        presets.load("pbmc", data_dir=tmp_path)


def test_the_list_names_every_dataset_and_what_is_here(tmp_path, capsys):
    listing.main(["--data-dir", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "dataset"
    for name in presets.names():
        assert sum(line.startswith(f"{name} ") for line in lines) == 2  # facts, and source with licence
    row = next(line for line in lines if line.startswith("cortex "))
    assert "3005 × 558" in row
    assert "embedded" in row
    assert "12039 × 3346" in next(line for line in lines if line.startswith("pbmc "))
    (tmp_path / "gene_info.csv").touch()
    here = {row["dataset"]: row["here"] for row in listing.rows(tmp_path)}
    assert here["pbmc"] == "1 of 4 files"
    assert {name for name, where in here.items() if where == "embedded"} == {
        "cortex",
        *(name for name in presets.names() if name.startswith("standin/") and name != "standin/zi_synthetic"),  # drawn
    }
