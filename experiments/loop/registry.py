"""Every score there is, by name: what it is called and which direction is better, as its experiments declare it."""

import importlib
import sys

from ..scores import Score
from .declared import declared
from .paths import ROOT

METRICS = {}


def register(module):
    """Add the scores of an experiment that is about to run; ValueError where they are not declared as they should."""
    for name, score in declared(module).items():
        described = score._replace(published=None)
        if METRICS.setdefault(name, described) != described:
            raise ValueError(
                f"{module.__name__} describes the score {name!r} as {described.title!r}, another experiment as "
                f"{METRICS[name].title!r}: give it a name of its own, or the same words."
            )


for path in sorted((ROOT / "conf" / "exp").glob("*.yaml")):
    if (ROOT / "experiments" / path.name).with_suffix(".py").exists():  # scalability_10k is a setting of scalability
        try:
            scores = getattr(importlib.import_module(f"experiments.{path.stem}"), "SCORES", {})
        except Exception as error:  # of an experiment that somebody is writing; it is none of the others' business
            print(f"experiments.{path.stem} cannot be imported ({error}): its scores are not known.", file=sys.stderr)
            continue
        METRICS |= {name: score._replace(published=None) for name, score in scores.items() if isinstance(score, Score)}
