"""What is typed is what is meant: paths and names of any characters, lists of methods; errors without a grammar."""

import re
import warnings

import hydra
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from experiments.loop.command_line import explain, speak, understood
from experiments.loop.config import ERRORS, resolve
from experiments.loop.paths import ROOT

ODD = [
    "my data (1).h5ad",
    "run=3.h5ad",
    "a,b.h5ad",
    "Zellen_übermut.h5ad",
    "[1].h5ad",
    "{a}.h5ad",
    "it's.h5ad",
    'a"b.h5ad',
]
ODD += ["C:\\data\\", "0", "true", "null", "1e5", "nan", "1_000", "a: b", "~x", "#1", "$HOME", " x ", "glob(*)"]


def value(*arguments):
    (text,) = [word for word in understood(arguments) if not word.startswith("-")]
    return OverridesParser.create().parse_override(text).value()


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("key", ["dataset.path", "dataset.label_key", "+dataset.batch_key", "results_dir"])
def test_names_and_paths_are_taken_as_they_are_typed(key, text):
    assert value(f"{key}={text}") == text
    if text not in ("a,b.h5ad", "glob(*)"):  # sweeps
        assert value("-m", f"{key}={text}") == text


def test_what_is_quoted_empty_or_refers_to_another_setting_stays_and_a_sweep_is_one():
    assert value("dataset.path='my data.h5ad'") == "my data.h5ad"
    assert understood(["dataset.path=${data_dir}/x.h5ad", "dataset.path=", "seeds=[0,1]", "--cfg", "job"]) == [
        "dataset.path=${data_dir}/x.h5ad",
        "dataset.path=",
        "seeds=[0,1]",
        "--cfg",
        "job",
    ]
    assert understood(["-m", "dataset.path=a.h5ad,b.h5ad"])[1] == "dataset.path=a.h5ad,b.h5ad"


@pytest.fixture
def composed():
    def composed(*arguments):
        with hydra.initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
            return hydra.compose("config", overrides=["+exp=imputation", *understood(arguments)])

    return composed


@pytest.mark.parametrize(
    "arguments", [["methods=[scvi,pca]"], ["methods=pca,scvi"], ["methods.pca.n_latent=3", "methods=[pca,scvi]"]]
)
def test_a_list_selects_among_the_methods_of_the_experiment(composed, arguments):
    whole, part = (OmegaConf.to_container(composed(*words).methods) for words in ([], arguments))
    chosen = resolve(composed(*arguments))["methods"]
    assert list(chosen) == [name for name in whole if name in ("scvi", "pca")]
    assert chosen["pca"]["n_latent"] == part["pca"]["n_latent"]
    assert resolve(composed("methods=[]"))["methods"] == {}


@pytest.mark.parametrize("arguments", [["methods=[scvi,simlrr]"], ["methods=simlrr"]])
def test_a_method_that_the_experiment_lacks_is_named_with_those_it_has(composed, arguments):
    with pytest.raises(ValueError, match=r"this run has no method 'simlrr'; it has scvi, .*\+method@methods\.NAME"):
        resolve(composed(*arguments))


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("protocol.note=a b(c", r"^protocol\.note=a b\(c cannot be read: .*'protocol\.note=\"a b\(c\"'"),
        ("seeds=0,1", r"^seeds=0,1 cannot be read: .*'seeds=\[1,2\]', and several runs are seeds=1,2 with -m"),
        ("foo", r"^foo is no setting: write name=value"),
        (
            "methods.pca.n_latnt=5",
            r"'methods\.pca\.n_latnt': to append to your config use \+methods\.pca\.n_latnt=5\. The",
        ),
        ("dataset=corex", r"^Could not find 'dataset/corex': there are .*cortex, "),
    ],
)
def test_errors_of_the_grammar_say_how_to_write_it(composed, argument, said):
    with pytest.raises(HydraException) as error:
        composed(argument)
    sentence = explain(error.value)
    assert re.search(said, sentence), sentence
    assert "\n" not in sentence
    assert "https://" not in sentence
    assert "provider=" not in sentence


def test_a_yaml_that_cannot_be_read_is_a_sentence_with_its_line(tmp_path):
    (tmp_path / "broken.yaml").write_text("_target_: mine.Mine\n  k: 3\n")
    with pytest.raises(ERRORS) as error:
        OmegaConf.load(tmp_path / "broken.yaml")
    sentence = explain(error.value)
    assert re.fullmatch(r"a yaml file cannot be read: mapping values .* in \".*broken\.yaml\", line 2, .*", sentence)


def test_a_warning_is_a_sentence_without_the_line_of_code_that_it_comes_from(monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back behind this test
    speak()
    assert warnings.formatwarning("The record is damaged.", UserWarning, "store.py", 80) == (
        "warning: The record is damaged.\n"
    )
