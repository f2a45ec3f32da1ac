"""Scores that nobody has described are refused, and describing one is a line that computes nothing again."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from experiments import imputation, run
from experiments.loop import job, registry
from experiments.loop.declared import declared
from experiments.scores import Score, published, template

ROOT = Path(__file__).parents[2]
SUITE = {"batch", "clustering", "differential", "imputation", "likelihood", "parity", "posterior", "protein"}
SUITE |= {"scalability", "speed", "stability", "structure", "tables", "technical"}
HEAD = 'from experiments.scores import Score\nREQUIRES = "latent"\n'
SCORES = 'SCORES = {"asw": Score("silhouette of labels (ASW)", "higher"), "n_{type}": Score("cells")}\n'


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """Write an experiment of the user's own and import it."""
    monkeypatch.syspath_prepend(tmp_path)
    name = "own_" + "".join(c for c in request.node.name if c.isalnum())

    def write(body, scores=SCORES):
        (tmp_path / f"{name}.py").write_text(HEAD + scores + "def evaluate(method, adata, protocol, seeds):\n" + body)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    sys.modules.pop(name, None)


WAYS = {
    "a literal": '    return {"asw": 1.0, "new": 2.0}, {}, {}\n',
    "a variable": '    scores = {"asw": 1.0}\n    scores["new"] = 2.0\n    return scores, {}, {}\n',
    "a union": '    scores = {"asw": 1.0}\n    scores |= {"new": 2.0}\n    return scores, {}, {}\n',
    "another union": '    scores = {"asw": 1.0}\n    return scores | {"new": 2.0}, {}, {}\n',
    "an update": '    scores = {"asw": 1.0}\n    scores.update({"new": 2.0})\n    return scores, {}, {}\n',
    "words of an update": "    scores = dict(asw=1.0)\n    scores.update(new=2.0)\n    return scores, {}, {}\n",
    "another update": "    s = {'asw': 1.0}\n    s.update(**_more(adata))\n    return s, {}, {}\n\n"
    "def _more(x):\n    return {'new': 2}\n",
    "a default": "    scores: dict = {'asw': 1.0}\n    scores.setdefault('new', 2.0)\n    return scores, {}, {}\n",
    "a statement of the type": "    scores: dict = {'new': 1.0}\n    return scores, {}, {}\n",
    "a function": "    return _more(adata), {}, {}\n\ndef _more(x):\n    return {'new': 2.0}\n",
    "unpacking": "    s = {'asw': 1.0, **_more(adata)}\n    return s, {}, {}\n\ndef _more(x):\n    return {'new': 2}\n",
    "an f-string": "    return {f'new{i}': 1.0 for i in range(3)}, {}, {}\n",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_score_that_nobody_described_is_refused_before_anything_is_computed(way, module, tmp_path):
    own = module(WAYS[way])
    config = {"experiment": {"name": "own", "module": own.__name__}, "results_dir": str(tmp_path / "results")}
    with pytest.raises(ValueError, match=r"returns a score 'new.* add a line to its SCORES, \"new.*\": Score\("):
        run.execute(config)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ["batch", "clustering", "stability"])
def test_the_scores_of_a_metric_that_several_share_are_read_where_it_is(name):
    own = importlib.import_module(f"experiments.{name}")
    fewer = types.SimpleNamespace(**vars(own) | {"SCORES": {k: v for k, v in own.SCORES.items() if "nmi" not in k}})
    with pytest.raises(ValueError, match=f"experiments.{name} returns a score 'nmi.*' that nobody has described"):
        declared(fewer)


def test_described_scores_pass_templates_and_patterns_too(module):
    own = module("    return {'asw': 1.0, 'n_B cells': 2.0} | {f'n_{x}': 1.0 for x in 'ab'} | other(), {}, {}\n")
    assert list(declared(own)) == ["asw", "n_{type}"]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ("", "describes no score: give it SCORES"),
        ("SCORES = {}\n", "describes no score"),
        ('SCORES = {"asw": "higher"}\n', r"SCORES\['asw'\].* is 'higher': write \"asw\": Score\("),
        ('SCORES = {"asw": Score("", "higher")}\n', r"SCORES\['asw'\]"),
        ('SCORES = {"asw": Score("silhouette", "more")}\n', r"SCORES\['asw'\].*better='more'"),
        (
            'SCORES = {"asw": Score("s"), "n {k}": Score("n", "", "n_{k}")}\n',
            r"'n \{k\}'.*published='n_\{k\}' is one",
        ),
    ],
)
def test_a_line_that_describes_nothing_is_refused(scores, said, module):
    with pytest.raises(ValueError, match=said):
        declared(module("    return {'asw': 1.0}, {}, {}\n", scores))


def test_one_name_has_one_meaning(module):
    own = module("    return {'asw': 1.0}, {}, {}\n", 'SCORES = {"asw": Score("another thing", "lower")}\n')
    with pytest.raises(ValueError, match=r"'asw' as 'another thing, lower is better', another experiment as 'silhoue"):
        registry.register(own)


def test_what_only_shows_as_it_runs_fails_its_job(monkeypatch, tmp_path):
    monkeypatch.setattr(imputation, "evaluate", lambda *args, **axes: ({"surprise": 1.0}, {}, {}))
    monkeypatch.setattr(job, "load_dataset", lambda config: type("Data", (), {"uns": {"source": {}}}))
    protocol = {"name": "as_written"}
    config = {"_target_": "baselines.controls.GeneMean"}
    parts = ("imputation", "experiments.imputation", {"name": "x"}, "hash", "mean", config, protocol, {}, 0)
    job.run(job.Job(*parts, key="k"), tmp_path, threads=1)
    record = json.loads((tmp_path / "records/imputation/k.json").read_text())
    assert (record["status"], record["scores"]) == ("failed", {})
    assert "experiments.imputation returns a score 'surprise' that nobody has described" in record["reason"]


def test_templates_stand_for_the_names_that_were_found():
    scores = {
        "n": Score("cells", "", "n_cells"),
        "n {type}": Score("of a type", "", {"metric": "n_cells {type}", "sign": -1}),
    }
    assert published(scores, ["n", "n B cells", "m"]) == {
        "n": "n_cells",
        "n B cells": {"metric": "n_cells B cells", "sign": -1},
    }
    assert published({"n {type}": Score("of a type")}, ["n B cells"]) == {"n B cells": None}
    assert not template("n {type}").fullmatch("n ")
    assert template("p<0.05 (a|b)").fullmatch("p<0.05 (a|b)")


NAMES = [path.stem for path in sorted((ROOT / "conf" / "exp").glob("*.yaml")) if path.stem != "scalability_10k"]


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_described_its_scores(name):
    registry.register(importlib.import_module(f"experiments.{name}"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Run a command in a copy of the project in which something was replaced."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "experiments", copy / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
    for beside in ("scvi_core", "baselines", "datasets", "r_env", "conf", "results"):
        (copy / beside).symlink_to(ROOT / beside)

    def run_in(call, file="run.py", old="", new=""):
        path = copy / "experiments" / file
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))
        environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, *call], cwd=copy, env=environment, capture_output=True, text=True)
        path.write_text(before)
        return done

    return run_in


@pytest.fixture(scope="module")
def versions(copy):
    """The code behind every experiment, after something in it was replaced."""
    code = (
        "import json, sys; from experiments.loop.provenance import code_version; "
        "print(json.dumps({n: code_version('experiments.' + n, 'evaluate') for n in sys.argv[1:]}))"
    )
    return lambda *change: json.loads(copy(["-c", code, *NAMES], *change).stdout)


@pytest.fixture(scope="module")
def unchanged(versions):
    return versions()


@pytest.mark.slow
def test_the_command_says_which_line_is_missing(copy):
    call = ["-m", "experiments.run", "+exp=imputation", "dataset=simulated", "results_dir=out"]
    done = copy(call, "imputation.py", 'scores = {"median_l1":', 'scores = {"mean_l1": 0.0, "median_l1":')
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "error: experiments.imputation returns a score 'mean_l1' that nobody has described: add a line to its SCORES, "
        '"mean_l1": Score("label (unit)", "higher") (from experiments.scores import Score).\n'
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("figures/clustering.py", "ARI and NMI are named as they are", "The names are right"),  # a caption
        ("figures/likelihood.py", "each method's own quantity", "its own quantity"),  # a legend
        ("plots/style.py", "import", "import json\nimport"),
        ("structure.py", "pieces of the neighbour graph", "components"),  # a label
        ("scores.py", "silhouette of labels (ASW)", "silhouette"),
        ("scores.py", "median |imputed", "median absolute |imputed"),
        ("imputation.py", '"median_L1_{corruption}"', '"L1_{corruption}"'),  # a published name
        ("differential.py", '"IDR_p"', '"p"'),
        ("technical.py", '"mean reads per UMI"', '"reads"'),
        ("tables.py", '"cell types"', '"types"'),
        ("likelihood.py", '"sign": -1', '"sign": 1'),
        ("report/exhibits.py", "no published value", "nothing published"),
        ("loop/provenance.py", 'LIBRARIES = ("torch"', 'LIBRARIES = ("tqdm", "torch"'),
        ("imputation.py", 'REQUIRES = "impute"', '# another comment\nREQUIRES = "impute"'),
    ],
)
def test_words_and_published_names_are_no_part_of_a_key(file, old, new, versions, unchanged):
    assert versions(file, old, new) == unchanged


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "concerned"),
    [
        ("imputation.py", "DENSITY_GRID = 50", "DENSITY_GRID = 60", {"imputation"}),
        ("clustering.py", "CUTS = (4, 3, 2)", "CUTS = (4, 3)", {"clustering"}),
        ("technical.py", '"qc_mapped_reads"', '"qc_reads"', {"technical"}),
        ("differential.py", "LEVEL = 3.0, 0.05", "LEVEL = 3.0, 0.01", {"differential"}),
        ("posterior.py", 'GENE = "Thy1"', 'GENE = "Gad1"', {"posterior"}),
        ("metrics/clustering.py", "N_STARTS = 200", "N_STARTS = 100", {"batch", "clustering", "parity", "stability"}),
        ("tasks/hidden.py", '== "changed"', '== "altered"', {"imputation", "stability"}),
    ],
)
def test_what_evaluate_uses_is_a_part_of_its_key(file, old, new, concerned, versions, unchanged):
    after = versions(file, old, new)
    changed = {name for name in unchanged if after[name] != unchanged[name]}
    assert changed & SUITE == concerned  # an experiment that is new may use what these do
