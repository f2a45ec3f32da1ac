"""The pages that are made from the sources lack nothing: every key has a meaning, every score a formula."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def configuration(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("configuration")


@pytest.mark.slow  # it imports every method
def test_every_key_has_a_meaning(configuration):
    silent, known = [], 0
    for group in configuration.GROUPS:
        for path in configuration.files(group) if group != "protocol" else ():
            for key in configuration.keys(path):
                known += 1
                silent += [(path.name, key.name)] if not key.meaning else []
    assert known > 500
    assert silent == []


def test_every_choice_of_the_protocol_has_a_meaning(configuration):
    written = configuration.comments(ROOT / "conf" / "protocol" / "as_written.yaml")
    assert len(written) > 40
    assert [name for name, (_, comment) in written if not comment] == []


def test_a_comment_is_that_of_its_line(configuration, tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text(
        "a: 1  # first\nb:     # block\n  c: 'x # y'\n  d: >-  # folded\n    words # not a comment\ne: [1, 2]\n"
    )
    found = dict(configuration.comments(path))
    assert found["a"] == ("1", "first")
    assert found["b"] == ("", "block")
    assert found["b.c"] == ("'x # y'", "")
    assert found["b.d"][1] == "folded"
    assert found["e"] == ("[1, 2]", "")


def test_parameters_are_read_off_a_docstring(configuration):
    text = (
        "What.\n\nParameters\n----------\na, b : int\n    Both.\nc : str\n\nReturns\n-------\nd : int\n    Not this.\n"
    )
    assert configuration.parameters(text) == {"a": "int. Both.", "b": "int. Both.", "c": "str."}


def test_every_score_has_a_formula():
    silent, known = [], 0
    for path in sorted((ROOT / "experiments").glob("*.py")):
        scores = getattr(importlib.import_module(f"experiments.{path.stem}"), "SCORES", None)
        for name, score in scores.items() if isinstance(scores, dict) else ():
            known += 1
            silent += [(path.stem, name)] if not score.formula else []
    assert known > 60
    assert silent == []
