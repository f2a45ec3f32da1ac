"""Keys: what a record depends on, and what it does not."""

import dataclasses
import importlib
import sys

import pytest

from experiments.loop import job
from experiments.loop.job import Job, check_method
from experiments.loop.provenance import code_version

BASE = Job(
    experiment="imputation",
    module="experiments.imputation",
    dataset={"name": "cortex", "published_as": "CORTEX"},
    dataset_hash="d1",
    method="fa",
    config={"_target_": "baselines.fa.FA", "_label_": "FA", "n_latent": 10},
    protocol={"name": "as_written", "split": {"train": 0.6}},
    axes={"corruption": "uniform"},
    seed=0,
)


def key(**changes):
    return dataclasses.replace(BASE, **changes).with_key().key


def test_the_key_is_stable():
    assert key() == key()
    assert len(key()) == 24


@pytest.mark.parametrize(
    "changes",
    [
        {"config": BASE.config | {"n_latent": 11}},
        {"config": BASE.config | {"n_latent": 10.5}},
        {"config": BASE.config | {"n_latent": "10"}},
        {"config": BASE.config | {"n_latent": None}},
        {"config": BASE.config | {"random_state": 3}},
        {"config": BASE.config | {"_target_": "baselines.pca.PCA"}},
        {"dataset_hash": "d2"},
        {"protocol": BASE.protocol | {"split": {"train": 0.75}}},
        {"axes": {"corruption": "binomial"}},
        {"seed": 1},
        {"dataset": {"name": "mine"}},  # its name is an axis of the seeds
        {"experiment": "other"},
    ],
)
def test_whatever_changes_the_result_changes_the_key(changes):
    assert key(**changes) != key()


RENAMED = [{"method": "factor_analysis"}, {"config": BASE.config | {"_label_": "Factor analysis"}}]


@pytest.mark.parametrize("changes", RENAMED)
def test_names_do_not_change_the_key(changes):
    assert key(**changes) == key()


def test_split_and_corruption_seeds_do_not_depend_on_the_method():
    other = dataclasses.replace(BASE, method="pca", config={"_target_": "baselines.pca.PCA"})
    assert other.seeds == BASE.seeds
    assert dataclasses.replace(BASE, seed=1).seeds.split != BASE.seeds.split
    binomial = dataclasses.replace(BASE, axes={"corruption": "binomial"}).seeds
    assert (binomial.split, binomial.corruption != BASE.seeds.corruption) == (BASE.seeds.split, True)


def test_every_seed_fits_anew():
    assert dataclasses.replace(BASE, seed=1).seeds.fit != BASE.seeds.fit


def test_the_code_version_follows_code_and_not_comments(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("def f(x):\n    return x + 1\n")
    main = package / "method.py"

    def version(source, helper=None):
        main.write_text(source)
        if helper:
            (package / "helper.py").write_text(helper)
        code_version.cache_clear()
        importlib.invalidate_caches()
        return code_version("theirs.method", "evaluate")

    source = "import numpy\nfrom .helper import f\n\ndef evaluate():\n    return f(1)\n\ndef told():\n    return 1\n"
    first = version(source)
    assert version("# a comment\n" + source.replace("evaluate():", 'evaluate():\n    """Docs."""')) == first
    assert version(source.replace("return 1", "return 2")) == first  # evaluate() does not call it
    assert version(source.replace("f(1)", "f(2)")) != first
    assert version(source, helper="def f(x):\n    return x + 2\n") != first
    sys.modules.pop("theirs", None)


def test_of_an_experiment_the_code_of_evaluate_alone_is_in_the_key(monkeypatch):
    codes = {("experiments.imputation", "evaluate"): "1", ("baselines.fa", None): "2"}
    monkeypatch.setattr(job, "code_version", lambda module, function=None: codes[module, function])
    before = key()
    assert job.describe(BASE, threads=1)["experiment_code"] == "1"
    codes["experiments.imputation", "evaluate"] = "3"
    assert key() != before


def test_native_code_beside_a_module_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "native_method.py").write_text("x = 1\n")
    (tmp_path / "native_method.c").write_text("int x = 1;")
    first = code_version("native_method")
    (tmp_path / "native_method.c").write_text("int x = 2;")
    code_version.cache_clear()
    assert code_version("native_method") != first


def test_an_unknown_parameter_is_named_with_those_there_are():
    said = r"methods\.fa\.n_latnt is not a parameter of FA; it has: n_latent, random_state"
    with pytest.raises(ValueError, match=said):
        check_method("fa", {"_target_": "baselines.fa.FA", "n_latnt": 3})


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"_lable_": "x"}, r"methods\.fa\._lable_ says nothing of a method; there are _label_, _note_, "),
        ({"_role_": "contrl"}, r"methods\.fa\._role_='contrl' is not known: write control"),
    ],
)
def test_an_unknown_word_about_a_method_is_refused(about, said):
    check_method("fa", {"_target_": "baselines.fa.FA", "_role_": "control", "_label_": "x"})
    with pytest.raises(ValueError, match=said):
        check_method("fa", {"_target_": "baselines.fa.FA"} | about)


def test_an_unknown_class_is_named():
    with pytest.raises(ValueError, match=r"methods\.x: the class baselines\.fa\.Fax cannot be imported"):
        check_method("x", {"_target_": "baselines.fa.Fax"})
    with pytest.raises(ValueError, match=r"methods\.x: baselines\.base\.Method has no fit\(\): define it\."):
        check_method("x", {"_target_": "baselines.base.Method"})
