"""What is ranked, and between which controls: conf/arena.yaml, read and checked."""

import functools
import importlib
from typing import NamedTuple

import yaml

from ..loop.paths import ROOT
from ..scores import Score


class Rule(NamedTuple):
    """How the arena takes one score of one experiment."""

    score: str
    about: Score  # label and direction, as the experiment declares them
    zero: str | None = None  # name of the control that has 0
    one: str | None = None  # of the control that has 1; None: the best method has
    above: object = None  # the Rule of a score in which a method has to be better than its control
    note: str = ""

    @property
    def sign(self):
        """1 where higher is better, -1 where lower is."""
        return 1 if self.about.better == "higher" else -1


@functools.cache
def _file():
    return yaml.safe_load((ROOT / "conf" / "arena.yaml").read_text(encoding="utf-8"))


def experiments():
    """Names of the experiments that rank, in the order of the scorecard."""
    return list(_file()["experiments"])


def not_entered():
    """{experiment: why it is none of the arena}."""
    return dict(_file()["not_entered"])


def not_ranked(experiment):
    """{score with a direction: why it is not ranked}."""
    return dict(_file()["experiments"][experiment].get("not_ranked") or {})


def first_data(experiment):
    """The data set on which a method enters while nobody else is on record; None: that of the experiment's yaml."""
    return _file()["experiments"][experiment].get("data")


def module(experiment):
    """The module of an experiment of the arena."""
    return importlib.import_module(f"experiments.{experiment}")


def ranked(experiment):
    """{score: its `Rule`}, in the order of the scorecard."""
    scores = module(experiment).SCORES
    options = _file()["experiments"][experiment]["ranked"]
    found = {name: Rule(score=name, about=scores[name], **given) for name, given in options.items()}
    return {name: rule._replace(above=found.get(rule.above)) for name, rule in found.items()}
